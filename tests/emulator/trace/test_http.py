"""A whole call in the trace: every wire in order, in one file, and no secret in any."""

import json
from pathlib import Path

import pytest

from emulator.event_grid.subscriptions import Subscription
from emulator.service import Emulator
from emulator.trace import Trace, format_trace
from tests.support.app import ACCESS_KEY, INCOMING_CALL, Media, emulated_app, emulator_config, sine
from tests.support.signed import signed

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


async def a_call(folder: Path) -> tuple[str, list[str], list[str]]:
    """Make a call; returns its correlation id, the secrets of the call, and the trace's lines."""
    async with emulated_app(subscribe=False, trace_folder=folder) as app:

        async def agent(media: Media) -> None:
            await media.speak(sine(440, 300))
            await media.stop_audio()

        app.on_media = agent
        secret = {"api-secret": "header-secret-value"}
        await app.emulator.subscribe(app.subscription(headers=secret, included_event_types=[INCOMING_CALL]))
        call = await app.emulator.dial(
            {"from": "+14255550100", "to": "+18005550000", "steps": [{"press": "4271"}, {"wait_ms": 60_000}]}
        )
        media = await app.connected()
        await media.until(lambda media: media.kinds().count("DtmfData") == 4)
        await app.connection.get_call_properties()
        call.hang_up()
        await call.ended()
        secrets = [
            ACCESS_KEY,
            "header-secret-value",
            app.events[0]["data"]["incomingCallContext"],
            media.headers["Authorization"].removeprefix("Bearer "),
            *(headers["Authorization"].removeprefix("Bearer ") for headers in app.callback_headers),
        ]
        correlation = call.correlation_id
    return correlation, secrets, (folder / f"call-{correlation}.jsonl").read_text().splitlines()


async def test_a_call(tmp_path: Path) -> None:
    correlation, secrets, lines = await a_call(tmp_path)
    records = [json.loads(line) for line in lines]
    assert {record["call"] for record in records} == {correlation}
    by_kind: dict[str, list[dict]] = {}
    for record in records:
        by_kind.setdefault(record["what"], []).append(record)
    assert by_kind.keys() == {"rest", "event", "callback", "media"}
    assert [record["method"] for record in by_kind["rest"]] == ["POST", "GET"]
    assert by_kind["rest"][0]["where"].startswith("/calling/callConnections:answer")
    assert by_kind["rest"][0]["response"]["correlationId"] == correlation
    assert [record["status"] for record in by_kind["event"]] == [200]
    assert by_kind["event"][0]["headers"]["api-secret"] == "[hidden]"
    types = [record["request"][0]["type"].rpartition(".")[2] for record in by_kind["callback"]]
    assert {"CallConnected", "ParticipantsUpdated", "MediaStreamingStarted"} <= set(types)
    assert types[-1] == "CallDisconnected"
    kinds = [record.get("kind") for record in by_kind["media"]]
    assert (kinds.count("DtmfData"), kinds.count("StopAudio"), kinds.count("AudioMetadata")) == (4, 1, 1)
    assert by_kind["media"][-1]["is"] == "closed"
    assert by_kind["media"][-1]["frames"]["from app"] == 3
    text = "\n".join(lines) + (tmp_path / "emulator.jsonl").read_text()
    assert [secret for secret in secrets if secret in text] == []
    assert len(format_trace(lines).splitlines()) == len(lines) + 1


async def test_what_belongs_to_no_call(tmp_path: Path) -> None:
    async with Emulator(emulator_config(trace_folder=tmp_path)) as emulator:
        body = {"createTokenWithScopes": ["voip"]}
        _, answer = await signed(emulator, "POST", "/identities?api-version=1", body)
        assert (await signed(emulator, "GET", "/calling/callConnections/unknown?a=1"))[0] == 404
    text = (tmp_path / "emulator.jsonl").read_text()
    first, second = (json.loads(line) for line in text.splitlines() if '"rest"' in line)
    assert (first["where"], first["status"]) == ("/identities?api-version=1", 201)
    assert (second["status"], second["response"]["error"]["code"]) == (404, "8522")
    assert answer["accessToken"]["token"] not in text


async def test_an_app_that_is_not_there(tmp_path: Path) -> None:
    seen: list[dict] = []
    trace = Trace(None)
    trace.listeners.append(seen.append)
    async with Emulator(emulator_config(), trace=trace) as emulator:
        emulator.grid.subscriptions.append(Subscription("gone", "http://127.0.0.1:9/hook", max_attempts=1))
        call = await emulator.dial(
            {"from": "+14255550100", "to": "+18005550000", "steps": ["listen"], "gives_up_ms": 300}
        )
        await call.ended()
    (event,) = seen
    assert (event["what"], event["call"], event["error"]) == (
        "event",
        call.correlation_id,
        "ClientConnectorError",
    )


async def test_off_by_default() -> None:
    async with Emulator(emulator_config()) as emulator:
        assert emulator.trace is None
