"""The collector: fed by the real exporter, read as a page, and only on this machine."""

import aiohttp
import pytest
from PIL import Image

from cli.metrics.asked import collecting, draw_call_trace
from cli.metrics.collector import Collector
from cli.metrics.page import page
from shared.telemetry import metrics, traces
from shared.telemetry.current import follow, scope
from shared.telemetry.setup import MEDIA, TelemetrySettings, start
from tests.cli.metrics.support import trace


@pytest.fixture
async def collector(monkeypatch):
    monkeypatch.setattr("cli.metrics.collector.QUIET_S", 0.05)
    async with Collector() as opened:
        yield opened


async def tell(collector, monkeypatch):
    """A call as a process tells of it."""
    for name, value in collector.env.items():
        monkeypatch.setenv(name, value)
    settings = TelemetrySettings(otlp_endpoint=collector.endpoint)
    running = start(settings, service=MEDIA, instance="h1", environment="test")
    with scope():
        root = traces.fresh()
        follow("c1", root)
        traces.past("answer", 1000.1, 1000.4, failed="no <b>good</b>", tries=2, sure=True, share=0.5)
        traces.whole(root, "call", 1000.0, 1002.0, attributes={"patchcord.call.id": "c1"},
                     happenings=[traces.Happening("hang_up", 1001.5, {})])  # fmt: skip
    metrics.REFUSED.add(1, reason="media_hosts_full")
    metrics.DURATION.add(30.0, tenant="acme")
    await running.close()


async def test_from_the_exporter_to_the_page_and_the_picture(collector, monkeypatch, tmp_path):
    await tell(collector, monkeypatch)
    async with aiohttp.ClientSession() as client, client.get(collector.endpoint) as answer:
        text = await answer.text()
        assert answer.status == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    for shown in (
        "call c1",
        "patchcord.calls.refused",
        "reason=media_hosts_full",
        "patchcord.call.duration",
        "30.0 s",
    ):
        assert shown in text, shown
    assert "<b>" not in text and "no &lt;b&gt;good" in text and "<script" not in text
    [call, answer] = await collector.whole_trace("c1")
    assert (answer.name, answer.parent_id, answer.service) == ("answer", call.span_id, MEDIA)
    assert answer.attributes["patchcord.tries"] == 2 and answer.attributes["patchcord.share"] == 0.5
    assert [one.name for one in call.moments] == ["hang_up"] and not call.failed
    assert await draw_call_trace(collector, "c1", tmp_path / "sub" / "trace.png")
    with Image.open(tmp_path / "sub" / "trace.png") as picture:
        assert picture.width == 1600 and picture.height > 150


async def test_a_trace_that_does_not_come_is_not_waited_for_for_ever(collector, tmp_path):
    assert await collector.whole_trace("c1", 0.2) == ()
    collector.kept.add_spans(one for one in trace() if one.parent_id)
    assert await collector.whole_trace("c1", 0.2) == ()


async def test_nothing_is_drawn_of_nothing(collector, tmp_path, monkeypatch):
    monkeypatch.setattr(Collector, "whole_trace", lambda *_: _nothing())
    assert not await draw_call_trace(collector, "c1", tmp_path / "trace.png")
    assert not (tmp_path / "trace.png").exists()


async def _nothing():
    return ()


async def test_an_empty_page(collector):
    assert "Nothing has come yet." in page(collector.kept) and "No call yet." in page(collector.kept)


async def test_a_page_of_somebody_elses_is_not_shown_ours(collector):
    async with aiohttp.ClientSession() as client:
        async with client.get(collector.endpoint, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
        for path in ("/v1/traces", "/v1/metrics"):
            async with client.post(collector.endpoint + path, data=b"\xff\xff") as answer:
                assert answer.status == 400


async def test_only_who_asks_gets_one():
    async with collecting(False) as nobody:
        assert nobody is None
    async with collecting(True) as collector:
        assert collector is not None and collector.endpoint.startswith("http://127.0.0.1:")


def test_a_call_at_the_edge_of_the_axis():
    from cli.metrics.kept import Kept

    kept = Kept()
    kept.add_spans(trace())
    text = page(kept)
    assert "fill='#fff'" in text and "hang_up &lt;b&gt;" in text and "#c81e1e" in text
