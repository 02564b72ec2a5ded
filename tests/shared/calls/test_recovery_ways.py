"""The ways out of a loss, in the order of `recovery.lost`; `test_recovery` has the loss itself and the restart."""

import json
from dataclasses import replace

import pytest

from shared.calls.events import EventKind
from shared.calls.recovery import SOOTHE_S
from shared.http import request
from tests.shared.calls.test_recovery import Pauses, asked, kinds, report
from tests.support.acs_rest import Told
from tests.support.call_world import CONFIG, START, open_world

K = EventKind
IDENTITY = "8:acs:r_patchcord"
RECOVERY = """
recovery:
  identity: "8:acs:r_patchcord"
  fallback: "+18005550198"
  caller_id: "+18005550111"
  waiting: One moment.
  notice: Please call again.
  cognitive_services: https://speech.example
"""


@pytest.fixture
async def world(tmp_path, monkeypatch, request):
    changes = getattr(request, "param", {})
    text = CONFIG + RECOVERY
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "own.yaml").write_text(text)
    async with open_world(tmp_path, monkeypatch, PATCHCORD_CONFIG=str(tmp_path / "own.yaml")) as opened:
        yield opened


@pytest.fixture
def pauses(world):
    found = Pauses(world)
    object.__setattr__(world.app.callbacks.recovery, "pause", found)
    return found


def body(world, operation):
    return world.acs.of(operation)[-1].body


async def told(world, record, name, context, ident, after_s=2.0, **data):
    """ACS's callback about what was asked for under `context`."""
    world.clock.at = max(world.clock.at, START + after_s)
    event = world.callback(
        name, ident, after_s=after_s, code=603, sub_code=8538, operationContext=context, **data
    )
    token = await world.token(record.call_id, record.tenant)
    reply = await world.app.call_events(
        token, request("r", {"authorization": world.signer.sign()}, json.dumps([event]).encode())
    )
    assert reply.status == 200


async def test_all_ways_one_after_the_other(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")
    await report(world, record)
    assert asked(world) == ["startMediaStreaming", "play", "transferToParticipant"]
    assert body(world, "play")["playOptions"] == {"loop": True}
    assert body(world, "play")["playSources"][0]["text"]["text"] == "One moment."
    moved = body(world, "transferToParticipant")
    assert moved["targetParticipant"]["rawId"] == IDENTITY
    assert set(moved["customCallingContext"]["voipHeaders"]) == {"patchcordMove"}
    found = await world.again(record)
    assert (found.leaving, found.live, found.outcome) == (True, True, None)

    await told(world, record, "CallTransferFailed", moved["operationContext"], "t1")
    fallback = body(world, "transferToParticipant")
    assert fallback["targetParticipant"]["phoneNumber"]["value"] == "+18005550198"
    assert fallback["sourceCallerIdNumber"]["value"] == "+18005550000"
    assert "customCallingContext" not in fallback

    await told(world, record, "CallTransferFailed", fallback["operationContext"], "t2", after_s=3)
    assert asked(world)[3:] == ["transferToParticipant", "cancelAllMediaOperations", "play"]
    last = body(world, "play")
    assert last["playSources"][0]["text"]["text"] == "Please call again."
    assert (await world.again(record)).recovery == "notice"

    await told(world, record, "PlayStarted", last["operationContext"], "p1", after_s=3)
    assert asked(world)[-1] == "play", "it has only begun"
    await told(world, record, "PlayCompleted", last["operationContext"], "p2", after_s=4)
    assert asked(world)[-1] == "terminate"
    found = await world.again(record)
    assert (found.ended.reason, found.ended.by) == ("media_lost", "system")
    entries = [entry for entry in found.timeline if entry["kind"] == "recovery"]
    assert [entry["reason"] for entry in entries] == [
        "restart",
        "self_transfer",
        "fallback",
        "notice",
        "media_lost",
    ]


async def test_a_caller_who_was_moved_or_transferred_is_not_hung_up(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")
    await report(world, record)
    context = body(world, "transferToParticipant")["operationContext"]
    await told(world, record, "CallTransferAccepted", context, "t1")
    await world.event(record, "d", K.DISCONNECTED, 3, code=200)
    found = await world.again(record)
    assert (found.ended.reason, found.outcome) == ("moved", None)
    assert "terminate" not in asked(world)


async def test_the_fallback_is_the_outcome(world, pauses):
    record = await world.talking("host-a")  # and there is no other host
    await report(world, record)
    assert asked(world) == ["transferToParticipant", "play"], "it hears something while the telephone rings"
    context = body(world, "transferToParticipant")["operationContext"]
    await told(world, record, "CallTransferAccepted", context, "t1")
    await world.event(record, "d", K.DISCONNECTED, 3, code=200)
    found = await world.again(record)
    assert found.ended.reason == "transferred"
    assert (found.outcome["transferType"], found.outcome["reason"]) == ("AGENT", "media_lost")


async def test_a_conversation_that_never_began_is_not_moved(world, pauses):
    record = await world.answered()
    await report(world, record, details="initialWebSocketConnectionFailed")
    assert asked(world) == ["startMediaStreaming", "play", "transferToParticipant"]
    wanted = body(world, "transferToParticipant")["targetParticipant"]
    assert wanted["phoneNumber"]["value"] == "+18005550198"


async def test_audio_that_is_late_stops_what_was_played(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def later():
        if pauses.waited_s > SOOTHE_S + 0.2:
            await world.event(record, "media-2", K.MEDIA_CONNECTED, 1.2, hostId="host-b", resumed=True)
        else:
            pauses.then = later

    pauses.then = later
    await report(world, record)
    assert asked(world) == ["startMediaStreaming", "play", "cancelAllMediaOperations"]


async def test_what_cannot_be_played_or_stopped_is_no_reason_to_stop(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("transferToParticipant", Told(400, "8523"))
    world.acs.tell("play", Told(400, "8500"))
    world.acs.tell("cancelAllMediaOperations", Told(400, "8500"))
    await report(world, record)
    assert asked(world) == ["transferToParticipant", "cancelAllMediaOperations", "play", "terminate"]
    assert "handover" in await kinds(world, record)
    assert (await world.again(record)).ended.reason == "media_lost"


async def test_a_failed_wait_is_tried_once(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("play", Told(400, "8500"))
    await report(world, record)
    assert asked(world) == ["transferToParticipant", "play"]


async def test_failures_of_others_and_of_calls_that_are_over_change_nothing(world, pauses):
    record = await world.talking("host-a")
    await told(world, record, "CallTransferFailed", "handover-1", "t1")
    await told(world, record, "PlayCompleted", "recovery-waiting", "p1")
    assert asked(world) == []
    await world.event(record, "h", K.HANG_UP, 1, by="agent", reason="agent_done")
    await told(world, record, "PlayCompleted", "recovery-notice", "p2")
    await told(world, record, "CallTransferFailed", "recovery-1-move", "t2")
    assert asked(world) == []


async def test_a_second_handler_of_a_step_stays_away(world, pauses):
    record = await world.talking("host-a")
    await world.calls.once(record.call_id, "recovery-1-restart")
    await report(world, record)
    assert asked(world) == []


@pytest.mark.parametrize("world", [{"  waiting: One moment.\n": ""}], indirect=True)
async def test_without_music_there_is_nothing_to_stop(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("transferToParticipant", Told(404, "8522"))
    await report(world, record)
    assert asked(world) == ["transferToParticipant", "play"]


@pytest.mark.parametrize("world", [{"  notice: Please call again.\n": ""}], indirect=True)
async def test_without_a_notice_it_is_hung_up_in_silence(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("transferToParticipant", Told(404, "8522"))
    await report(world, record)
    assert asked(world) == ["transferToParticipant", "terminate"]


@pytest.mark.parametrize(
    "world",
    [
        {
            "  waiting: One moment.\n": "  lost: [fallback]\n",
            "dialogue: d.yaml": 'dialogue: d.yaml, transfers: {fallback: "8:acs:r_own"}',
        }
    ],
    indirect=True,
)
async def test_the_agents_own_fallback_goes_first_and_a_step_that_is_not_named_is_left_out(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")
    await report(world, record)
    assert asked(world) == ["transferToParticipant"], "no restart, no music"
    wanted = body(world, "transferToParticipant")
    assert wanted["targetParticipant"]["rawId"] == "8:acs:r_own"
    assert "sourceCallerIdNumber" not in wanted
    await told(world, record, "CallTransferFailed", wanted["operationContext"], "t1")
    assert asked(world)[-1] == "terminate"


@pytest.mark.parametrize(
    "world", [{"  waiting: One moment.\n": "  lost: [restart, notice]\n"}], indirect=True
)
async def test_a_failure_of_a_step_that_is_no_more_in_the_list_ends_the_call(world, pauses):
    record = await world.talking("host-a")
    await told(world, record, "CallTransferFailed", "recovery-1-move", "t1")
    assert asked(world) == ["terminate"]


async def test_a_caller_who_is_to_be_given_back_goes_there(world, pauses):
    record = replace(await world.talking("host-a"), return_to="8:acs:r_ivr")
    assert await world.app.callbacks.recovery._sent_to_person(record)
    assert body(world, "transferToParticipant")["targetParticipant"]["rawId"] == "8:acs:r_ivr"


async def test_who_was_lent_or_talks_to_a_person_is_not_sent_anywhere(world, pauses):
    record = await world.talking("host-a")
    recovery = world.app.callbacks.recovery
    three = ("4:+1", "4:+2", "8:acs:r_app")
    for other in ({"transfer_id": "t"}, {"handed_over": True}, {"participants": three}):
        assert not await recovery._sent_to_person(replace(record, **other))
        assert not await recovery._moved(replace(record, **other))
    assert asked(world) == []
