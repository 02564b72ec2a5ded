"""Spans: where they hang, what they say when something fails, and that there are none without a trace."""

import pytest

from shared.telemetry import traces
from shared.telemetry.current import current, follow, scope
from tests.support.telemetry import told


async def test_without_a_tracer_nothing_is_made():
    @traces.traced("work")
    async def work():
        return 5

    with traces.span("open") as span:
        span.set({"a": 1})
    traces.past("over", 1, 2)
    assert await work() == 5
    assert traces.fresh() is None and not traces.on()


def test_outside_of_a_trace_nothing_is_made_either():
    with told() as seen:
        with traces.span("open"):
            pass
        traces.past("over", 1, 2)
        assert seen.spans == []


async def test_spans_hang_below_the_one_that_is_open():
    @traces.traced("work")
    async def work():
        traces.past("before", 100.0, 101.5, result="good")

    with told() as seen, scope():
        root = traces.fresh()
        follow("c1", root)
        with traces.span("answer", kind="client", tries=2) as span:
            span.set({"patchcord.more": True})
            await work()
        assert current().trace == root
        traces.whole(
            root, "call", 99.0, 200.0, attributes={"a": "b"}, happenings=[traces.Happening("x", 100.0, {})]
        )
        call, answer, inner, before = (seen.span(name) for name in ("call", "answer", "work", "before"))
        assert call.parent is None and f"{call.context.span_id:016x}" == root.span_id
        assert {f"{one.context.trace_id:032x}" for one in seen.spans} == {root.trace_id}
        assert answer.parent.span_id == call.context.span_id
        assert inner.parent.span_id == answer.context.span_id
        assert before.parent.span_id == inner.context.span_id
        assert (before.start_time, before.end_time) == (100_000_000_000, 101_500_000_000)
        assert before.attributes == {"patchcord.call.id": "c1", "patchcord.result": "good"}
        assert answer.attributes["patchcord.tries"] == 2 and answer.attributes["patchcord.more"] is True
        assert answer.kind.name == "CLIENT" and call.kind.name == "SERVER"
        assert [event.name for event in call.events] == ["x"]
        assert call.status.is_unset


def test_failures_are_told():
    with told() as seen, scope():
        follow("", root := traces.fresh())
        with pytest.raises(ValueError), traces.span("answer"):
            raise ValueError("no good")
        traces.past("tool", 2.0, 1.0, failed="the tool gave an error")
        traces.whole(root, "call", 1, 2, attributes={}, failed="media_lost")
        assert seen.span("answer").status.description == "ValueError: no good"
        tool = seen.span("tool")
        assert (
            not tool.status.is_ok and tool.start_time == tool.end_time
        )  # a clock that was set back makes no negative time
        assert seen.span("call").status.description == "media_lost"


def test_a_long_span_is_ended_by_somebody_else():
    with told() as seen, scope():
        follow("c1", traces.fresh())
        span = traces.begin("media", at=5.0)
        assert span is not None and seen.spans == []
        span.happened(traces.Happening("barge_in", 6.0, {"patchcord.heardMs": 40}))
        span.end(7.0)
        (event,) = seen.span("media").events
        assert (event.name, event.timestamp, dict(event.attributes)) == (
            "barge_in",
            6 * 10**9,
            {"patchcord.heardMs": 40},
        )


def test_a_trace_that_is_not_sampled_is_not_exported_by_anybody(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with told() as seen, scope():
        root = traces.fresh()
        assert str(root).endswith("-00")
        follow("c1", root)
        with traces.span("answer") as span:
            assert not span.context.sampled
        traces.whole(root, "call", 1, 2, attributes={})
        assert seen.spans == []
    monkeypatch.delenv("OTEL_TRACES_SAMPLER")
    with told() as seen, scope():  # another process, which samples everything: the first one's word counts
        follow("c1", root)
        traces.past("media", 1, 2)
        traces.whole(root, "call", 1, 2, attributes={})
        assert seen.spans == []
