"""At the end of a drain: another media host, a person, or a few words."""

import asyncio

import pytest

from media_host import departure
from shared.calls.admission import Heartbeat, write_heartbeat
from shared.calls.events import EventKind
from shared.errors import StoreUnavailable
from tests.support.acs_rest import Told
from tests.support.media_world import CONFIG, NOTICE, open_media_world
from tests.support.timing import patience

K = EventKind
IDENTITY = "8:acs:r_patchcord"
RECOVERY = """
recovery: {identity: "8:acs:r_patchcord", fallback: "+18005550198"}
"""


@pytest.fixture
async def world(tmp_path, monkeypatch, request):
    config = getattr(request, "param", CONFIG + RECOVERY)
    async with open_media_world(tmp_path, monkeypatch, config=config, drain_s=0) as world:
        await write_heartbeat(world.store, Heartbeat("host-b", 0, 10, False, world.now()))
        yield world


async def drain(world):
    async with asyncio.timeout(patience(20)):
        await world.host.drain()


async def asked(world, operation):
    """ACS's request, as soon as it is there."""
    await world.eventually(lambda: world.acs.of(operation))
    return world.acs.of(operation)[-1].body


async def moving(world, agent="puppet", **data):
    """A drain that has asked ACS to move a call; the call's id, its line, the request and the drain."""
    call_id = await world.call(agent, **data)
    line = await world.dial(call_id)
    await world.eventually(lambda: world.agents)
    async with asyncio.timeout(patience(5)):
        await world.agents[-1].started.wait()
    draining = asyncio.create_task(drain(world))
    return call_id, line, await asked(world, "transferToParticipant"), draining


async def test_a_call_goes_on_at_another_host(world):
    call_id, line, sent, draining = await moving(world, externalConversationId="conversation-1")
    assert sent["targetParticipant"]["rawId"] == IDENTITY
    headers = sent["customCallingContext"]["voipHeaders"]
    assert headers["externalConversationId"] == "conversation-1"
    row = await world.store.get("moves", "move", headers["patchcordMove"])
    assert row.values["callId"] == call_id
    record = await world.record(call_id)
    assert (record.leaving, record.settled) == (True, True), "known before ACS was asked"
    await world.event(call_id, "acs-1", K.TRANSFER_ACCEPTED, context=sent["operationContext"])
    await draining
    assert not world.acs.of("terminate"), "the call is no longer ours"
    await line.closed.wait()
    assert NOTICE * 4800 in line.heard, "one moment, please"
    await world.event(call_id, "acs-2", K.DISCONNECTED, code=200)
    record = await world.record(call_id)
    assert (record.ended.reason, record.outcome) == ("moved", None)


async def test_what_acs_refuses_or_cannot_do_goes_to_the_fallback_and_then_to_the_last_words(world):
    call_id, line, sent, draining = await moving(world)
    world.acs.requests.clear()
    await world.event(call_id, "acs-1", K.TRANSFER_FAILED, context=sent["operationContext"], subCode=8538)
    sent = await asked(world, "transferToParticipant")
    assert sent["targetParticipant"]["phoneNumber"]["value"] == "+18005550198"
    await world.event(call_id, "acs-2", K.TRANSFER_FAILED, context=sent["operationContext"], subCode=8538)
    await draining
    assert await line.gone() == 1001
    record = await world.record(call_id)
    assert (record.ended.reason, record.outcome["reason"]) == ("drain_deadline", "drain_deadline")
    assert line.heard.endswith(NOTICE * 4800)


async def test_the_agents_own_fallback_goes_first(world):
    world.acs.tell("transferToParticipant", Told(400, "8523"))
    call_id = await world.call("helped")
    await world.dial(call_id)
    await world.eventually(lambda: world.agents)
    await world.agents[-1].started.wait()
    draining = asyncio.create_task(drain(world))
    await world.eventually(lambda: len(world.acs.of("transferToParticipant")) == 2)
    sent = world.acs.of("transferToParticipant")[-1].body
    assert sent["targetParticipant"]["phoneNumber"]["value"] == "+18005559999"
    await world.event(call_id, "acs-1", K.TRANSFER_ACCEPTED, context=sent["operationContext"])
    await draining
    record = await world.record(call_id)
    assert (record.outcome["transferType"], record.outcome["reason"]) == ("AGENT", "drain")


@pytest.mark.parametrize(
    "data",
    [
        {"moves": 3},
        {"callTransferId": "t", "returnTo": "8:acs:r_1"},
    ],
)
async def test_who_may_not_be_moved_is_not(world, data):
    _, _, sent, draining = await moving(world, **data)
    wanted = sent["targetParticipant"]["rawId"]
    assert wanted == data.get("returnTo", "4:+18005550198")
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def test_without_another_host_nobody_is_moved(world):
    await write_heartbeat(world.store, Heartbeat("host-b", 0, 10, True, world.now()))
    _, _, sent, draining = await moving(world)
    assert sent["targetParticipant"]["rawId"] == "4:+18005550198"
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


@pytest.mark.parametrize("where", ["another_host", "prepare"])
async def test_without_a_store_nobody_is_moved(world, monkeypatch, where):
    async def away(*_args):
        raise StoreUnavailable("away")

    call_id, line, _ = await world.talk()
    moves = world.host.server._services.moves
    monkeypatch.setattr(moves, where, away)
    world.acs.tell("transferToParticipant", Told(400, "8523"))
    await drain(world)
    assert await line.gone() == 1001
    assert [r.body["targetParticipant"]["rawId"] for r in world.acs.of("transferToParticipant")] == [
        "4:+18005550198"
    ]
    assert (await world.record(call_id)).ended.reason == "drain_deadline"


async def test_a_move_that_cannot_be_recorded_is_not_made(world, monkeypatch):
    """The new call would find the old one in its way, and its end would be taken for a loss."""
    await world.talk()
    log = next(iter(world.host.server.sessions.values()))._log
    monkeypatch.setattr(log, "flush", lambda _within_s: asyncio.sleep(0, False))
    world.acs.tell("transferToParticipant", Told(404, "8522"))
    await drain(world)
    assert [r.body["targetParticipant"]["rawId"] for r in world.acs.of("transferToParticipant")] == [
        "4:+18005550198"
    ]


async def test_a_call_that_is_over_when_it_is_to_be_moved(world):
    world.acs.tell("transferToParticipant", Told(404, "8522"))
    await world.talk()
    await drain(world)
    assert not world.acs.of("terminate")


async def test_a_move_that_nobody_answers_is_given_up(world, monkeypatch):
    monkeypatch.setattr(departure, "MOVE_S", 0.1)
    call_id, _, _, draining = await moving(world)
    world.acs.requests.clear()
    assert (await asked(world, "transferToParticipant"))["targetParticipant"]["rawId"] == "4:+18005550198"
    phases = [event.data["phase"] for event in await world.events(call_id, K.HANDOVER)]
    assert phases == ["no_answer"]
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def test_who_was_lent_goes_back_to_the_lender(world):
    call_id = await world.call(callTransferId="transfer-1")
    line = await world.dial(call_id)
    await world.eventually(lambda: world.agents and world.agents[-1].started.is_set())
    await drain(world)
    assert await line.gone() == 1001
    record = await world.record(call_id)
    assert (record.outcome["transferType"], record.outcome["reason"]) == ("AGENT", "drain")
    assert not world.acs.of("transferToParticipant")
    assert world.acs.of("terminate")


@pytest.mark.parametrize("world", [CONFIG + "\nrecovery: {draining: [fallback]}\n"], indirect=True)
async def test_steps_that_are_not_named_are_left_out(world):
    call_id, line, _ = await world.talk()
    await drain(world)
    assert await line.gone() == 1001
    assert line.heard == b"", "no last words"
    assert (await world.record(call_id)).ended.reason == "drain_deadline"
