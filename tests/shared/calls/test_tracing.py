"""A call's trace in the function app: from the event to the last callback, and in the tokens that leave."""

import json
import logging

import pytest

from shared.errors import StoreUnavailable
from shared.http import request
from shared.security.tokens import Audience, TokenVerifier
from shared.telemetry.current import current, follow, parse_trace, scope
from shared.telemetry.logs import JsonLines
from tests.support.call_world import open_world
from tests.support.outbound_client import Caller
from tests.support.scan import find_secrets
from tests.support.telemetry import told


@pytest.fixture
def seen():
    with told() as found, scope():
        yield found


async def post(world, record, *events):
    with scope():  # a delivery is a task of its own
        token = await world.token(record.call_id)
        headers = {"Authorization": world.signer.sign()}
        return await world.app.call_events(token, request("r", headers, json.dumps(events).encode()))


async def test_from_the_event_to_the_last_callback_it_is_one_trace(world, seen):
    with scope():
        record = await world.answered()
    follow("", None)
    await post(world, record, world.callback("CallConnected", "e1", after_s=1))
    await post(world, record, world.callback("CallDisconnected", "e2", after_s=9))
    names = [span.name for span in seen.spans]
    assert names == [
        "incoming event", "admission", "ACS: answer", "answer",
        "callback: CallConnected", "call", "callback: CallDisconnected",
    ]  # fmt: skip
    root = parse_trace(record.trace)
    assert {f"{span.context.trace_id:032x}" for span in seen.spans} == {root.trace_id}
    above = {span.name: f"{span.parent.span_id:016x}" for span in seen.spans if span.parent}
    answer = f"{seen.span('answer').context.span_id:016x}"
    assert above.pop("ACS: answer") == answer
    assert set(above.values()) == {root.span_id} and seen.span("call").parent is None
    assert find_secrets("".join(span.to_json() for span in seen.spans)) == []
    assert seen.values("patchcord.events.received") == [({"result": "answered"}, 1)]
    assert seen.values("patchcord.calls.answered")[0][1] == 1


async def test_the_calls_tokens_carry_the_trace(world, seen):
    record = await world.answered()
    [answer] = world.acs.of("answer")
    media = answer.body["mediaStreamingOptions"]["transportUrl"].rpartition("/")[2]
    verifier = TokenVerifier(world.app.keys, world.clock)
    claims = await verifier.verify(media, Audience.ACS_MEDIA)
    assert f"{seen.span('answer').context.span_id:016x}" == claims.trace.span_id
    assert claims.trace.trace_id == parse_trace(record.trace).trace_id


async def test_without_telemetry_tokens_carry_none(world):
    record = await world.answered()
    verifier = TokenVerifier(world.app.keys, world.clock)
    token = await world.token(record.call_id)
    assert record.trace == "" and (await verifier.verify(token, Audience.ACS_CALLBACK)).trace is None


async def test_a_call_that_is_not_admitted(world, seen):
    await world.app.incoming_call(world.incoming(), "req-1")  # no media host
    assert seen.span("admission").attributes["patchcord.result"] == "no_media_host"
    [(about, count)] = seen.values("patchcord.calls.refused")
    assert (about["reason"], about["how"], count) == ("no_media_host", "busy", 1)
    assert seen.span("overflow").parent.span_id == seen.span("call").context.span_id


async def test_who_is_refused_is_counted_by_the_reason_and_joins_no_trace(world, seen):
    with scope():
        record = await world.answered()
    before = len(seen.spans)
    reply = await world.app.call_events("a.b.c", request("r", {"traceparent": record.trace}, b"[]"))
    assert reply.status == 401
    assert seen.values("patchcord.door.refusals") == [({"reason": "malformed"}, 1)]
    assert len(seen.spans) == before


async def test_events_that_are_put_aside_are_counted(world, seen):
    await world.app.incoming_call({"id": "e", "eventType": "Microsoft.Communication.IncomingCall"}, "req")
    assert seen.values("patchcord.events.poisoned") == [({"reason": "malformed"}, 1)]


async def test_the_sweep_tells_what_it_did_in_each_calls_own_trace(world, seen):
    with scope():
        record = await world.talking()
    world.acs.state = "disconnected"
    world.clock.at += 60
    await world.app.sweep()
    assert current().call_id == ""
    assert dict((about["action"], count) for about, count in seen.values("patchcord.sweep.actions"))
    assert {f"{span.context.trace_id:032x}" for span in seen.spans} == {parse_trace(record.trace).trace_id}


async def test_a_fault_of_acs_is_in_the_span(world, seen):
    from tests.support.acs_rest import Told

    await world.host()
    world.acs.tell("answer", Told(404, "8522"))
    await world.app.incoming_call(world.incoming(), "req-1")
    assert not seen.span("ACS: answer").status.is_ok
    [(about, _)] = seen.values("patchcord.acs.duration")
    assert about["operation"] == "answer" and about["result"] != "ok"


async def test_the_application_gives_its_telemetry_back(world):
    class Running:
        closed = 0

        async def close(self):
            self.closed += 1

    world.app.telemetry = running = Running()
    await world.app.close()
    assert running.closed == 1


async def test_json_is_for_the_handlers_that_are_there(tmp_path, monkeypatch):
    handler = logging.StreamHandler()
    logging.getLogger().handlers[:] = [handler]
    async with open_world(tmp_path, monkeypatch, PATCHCORD_LOG_FORMAT="json"):
        assert isinstance(handler.formatter, JsonLines)


async def test_a_store_that_is_away_is_counted(tmp_path, seen):
    from shared.store.sqlite import SqliteStore

    (tmp_path / "folder").mkdir()
    store = SqliteStore(tmp_path / "folder")
    with pytest.raises(StoreUnavailable):
        await store.get("calls", "a", "b")
    await store.close()
    assert seen.values("patchcord.store.errors") == [({"store": "sqlite"}, 1)]


async def test_a_call_that_we_make(world, seen):
    await world.host()
    caller = await Caller.of(world)
    with scope():
        made = await caller.call()
    record = await caller.record(made["callId"])
    [asked] = world.acs.of("create")
    media = asked.body["mediaStreamingOptions"]["transportUrl"].rpartition("/")[2]
    claims = await TokenVerifier(world.app.keys, world.clock).verify(media, Audience.ACS_MEDIA)
    assert claims.trace.span_id == f"{seen.span('create call').context.span_id:016x}"
    assert seen.span("ACS: create").parent.span_id == seen.span("create call").context.span_id
    assert parse_trace(record.trace).trace_id == claims.trace.trace_id
    with scope():
        assert await caller.call() == made  # the same request again: nothing is begun a second time
