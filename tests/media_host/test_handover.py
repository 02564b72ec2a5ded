"""Handovers through the real emulator: a caller, a person's telephone, ACS's callbacks, and nothing left behind."""

import asyncio
from unittest.mock import AsyncMock

import pytest

from emulator.faults import Faults
from emulator.phone.audio import share_at
from media_host import warm_handover
from media_host.agents.base import TransferType
from media_host.handover import HandoverResult
from media_host.warm_handover import Warm
from shared.errors import AgentUnavailable
from tests.support.app import RESOURCE
from tests.support.handover_world import (
    ANNOUNCEMENT_HZ,
    CALLER_HZ,
    CALLER_TONE,
    PERSON,
    PERSON_HZ,
    PERSON_TONE,
    handover_world,
)
from tests.support.media_calls import CALLER, heard
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

PRESS = {"press": "1"}


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with handover_world(tmp_path, monkeypatch) as world:
        yield world


def share(call, hz) -> float:
    pcm, rate = heard(call)
    return share_at(pcm, rate, hz)


async def hears(call, hz) -> None:
    async with asyncio.timeout(patience(5)):
        while share(call, hz) < 0.05:
            await asyncio.sleep(0.1)


async def run(world, transfer, **more):
    handover = world.handover(**transfer)
    async with asyncio.timeout(patience(15)):
        return handover, await handover.run("desk", {"topic": "bill"}, {"name": "Ada"}, **more)


async def test_a_name_that_is_not_configured_changes_nothing(world):
    await world.begin()
    handover = world.handover()
    assert await handover.run("nobody", {}, {}) is HandoverResult.UNKNOWN_TARGET
    assert not world.voice.deaf and not HandoverResult.UNKNOWN_TARGET.done
    assert [fault["code"] for fault in (await world.record()).faults] == ["unknown_transfer"]


async def test_blind_and_accepted(world):
    await world.begin([CALLER_TONE])
    await world.person(PERSON_TONE)
    _, result = await run(world, {}, reason="wants_person")
    assert result is HandoverResult.LEFT and result.done
    await world.app.callback("CallDisconnected")
    await hears(world.called, CALLER_HZ)
    record = await world.record()
    assert record.outcome == {
        "transferType": "AGENT",
        "reason": "wants_person",
        "currentTaskName": "desk",
        "referenceVariables": {},
        "transferVariables": {"topic": "bill"},
    }
    assert world.voice.deaf


async def test_blind_and_declined_the_agent_hears_again_and_may_try_another_time(world):
    await world.begin()
    await world.person(on_ring="decline", after_ms=400)
    handover, result = await run(world, {})
    assert result is HandoverResult.DECLINED
    assert world.voice.beeps >= 1 and not world.voice.deaf
    record = await world.record()
    assert not record.settled and not record.leaving and record.outcome is None and record.live
    await world.person(after_ms=300)  # time enough to take the first answer for the second
    assert await handover.run("desk", {}, {}, outcome=TransferType.SYSTEM) is HandoverResult.LEFT
    await world.app.callback("CallDisconnected")
    assert (await world.record()).outcome["transferType"] == "SYSTEM"


async def test_warm_and_confirmed_by_a_key_the_two_talk_and_we_are_gone(world):
    await world.begin([CALLER_TONE], **{"from": CALLER})
    await world.person({"wait_ms": 100}, PRESS, PERSON_TONE)
    _, result = await run(world, {"mode": "warm", "announce": "{{name}} calls"})
    assert result is HandoverResult.LEFT
    assert world.voice.said == ["Ada calls"]
    await hears(world.called, CALLER_HZ)
    await hears(world.caller, PERSON_HZ)
    assert share(world.caller, ANNOUNCEMENT_HZ) < 0.01
    assert world.caller.summary()["ended"] is None and world.called.summary()["ended"] is None
    assert await world.phases() == ["ringing", "answered", "confirmed", "left"]
    await world.app.callback("CallDisconnected")
    record = await world.record()
    assert (record.ended.reason, record.outcome["transferType"]) == ("handed_over", "AGENT")
    world.caller.hang_up()
    assert await world.called_is_over() == "other_hung_up"


@pytest.mark.parametrize(("who", "left"), [("called", "person_left"), ("caller", "caller_left")])
async def test_warm_and_the_agent_stays_as_a_listener(world, who, left):
    await world.begin([CALLER_TONE])
    await world.person(PRESS, PERSON_TONE)
    handover, result = await run(world, {"mode": "warm", "stay": "listen"})
    assert result is HandoverResult.JOINED and world.voice.deaf
    record = await world.record()
    assert record.settled and record.handed_over and not record.leaving and record.live
    await hears(world.caller, PERSON_HZ)
    getattr(world, who).hang_up()
    async with asyncio.timeout(patience(5)):
        assert await handover.accompany() == left


@pytest.mark.parametrize("caller", [f"8:acs:{RESOURCE}_ada", "anonymous"])
async def test_a_listener_that_may_not_stay_leaves_whoever_the_caller_is(world, caller):
    await world.begin(**{"from": caller})
    await world.person(PRESS, PERSON_TONE)
    _, result = await run(world, {"mode": "warm", "stay": "listen"}, may_stay=False)
    assert result is HandoverResult.LEFT
    assert (await world.phases())[-1] == "left"


async def test_a_voicemail_is_no_person(world):
    await world.begin()
    await world.person(PERSON_TONE)
    _, result = await run(world, {"mode": "warm", "confirm_s": 0.4})
    assert result is HandoverResult.NOT_CONFIRMED
    assert await world.called_is_over() == "removed"
    await comes_back(world)
    assert await world.phases() == ["ringing", "answered", "not_confirmed"]


async def comes_back(world) -> None:
    """The caller is not on hold, hears the agent, and is alone with it."""
    assert not world.voice.deaf
    kinds = [event["kind"] for event in world.caller.events]
    assert kinds.count("on_hold") == kinds.count("off_hold")
    await world.voice.media.speak(bytes(2) * 4800)
    names = await world.control.participants(world.connection_id)
    assert f"4:{CALLER}" in names and len(names) == 2
    record = await world.record()
    assert record.live and not record.settled and record.outcome is None


@pytest.mark.parametrize(
    ("on_ring", "result"),
    [
        ("decline", HandoverResult.DECLINED),
        ("busy", HandoverResult.DECLINED),
        ("unreachable", HandoverResult.FAILED),
    ],
)
async def test_nobody_comes(world, on_ring, result):
    await world.begin()
    await world.person(on_ring=on_ring)
    assert (await run(world, {"mode": "warm"}))[1] is result
    await comes_back(world)


@pytest.mark.parametrize("acs_says_so", [True, False])
async def test_nobody_answers(world, acs_says_so, monkeypatch):
    if not acs_says_so:  # its report is lost
        monkeypatch.setattr(warm_handover, "RING_GRACE_S", -0.7)
    await world.begin()
    await world.person(on_ring="no_answer")
    assert (await run(world, {"mode": "warm", "ring_s": 1}))[1] is HandoverResult.NO_ANSWER
    assert await world.called_is_over() == "stopped_ringing"
    assert world.voice.beeps >= 2 or not acs_says_so
    await comes_back(world)


async def begun(world, phase, *steps, **phone):
    """A warm handover that has come to `phase`."""
    await world.begin()
    await world.person(*steps, **phone)
    handover = world.handover(mode="warm", confirm_s=20.0)
    task = asyncio.create_task(handover.run("desk", {}, {}))
    await world.until_phase(phase)
    return task


async def test_the_caller_hangs_up_while_it_rings(world):
    task = await begun(world, "ringing", on_ring="no_answer")
    world.caller.hang_up()
    assert await task is HandoverResult.LEFT
    assert await world.called_is_over() == "stopped_ringing"
    assert (await world.phases())[-1] == "caller_gone"
    await world.app.callback("CallDisconnected")
    record = await world.record()
    assert (record.ended.reason, record.outcome["transferType"]) == ("caller_hung_up", "CALLER_DISCONNECT")


async def test_the_caller_hangs_up_on_hold_and_the_person_is_not_left_alone(world):
    task = await begun(world, "answered", PERSON_TONE)
    await world.caller.first("on_hold")
    world.caller.hang_up()
    assert await task is HandoverResult.LEFT
    await world.called_is_over()
    assert (await world.phases())[-1] == "caller_gone"
    await world.app.callback("CallDisconnected")
    record = await world.record()
    assert (record.ended.reason, record.outcome["transferType"]) == ("caller_hung_up", "CALLER_DISCONNECT")


async def test_the_person_hangs_up_instead_of_confirming(world):
    task = await begun(world, "answered", PERSON_TONE)
    await world.caller.first("on_hold")
    world.called.hang_up()
    assert await task is HandoverResult.DECLINED
    await comes_back(world)


@pytest.mark.parametrize(("phase", "on_ring"), [("ringing", "no_answer"), ("answered", "pick_up")])
async def test_a_handover_that_is_cancelled_leaves_nothing_behind(world, phase, on_ring):
    task = await begun(world, phase, on_ring=on_ring)
    if phase == "answered":
        await world.caller.first("on_hold")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert await world.called_is_over() in ("stopped_ringing", "removed")
    await comes_back(world)
    assert (await world.phases())[-1] == "given_up"


async def test_a_session_that_cannot_speak(world):
    await world.begin()
    world.voice.fails = AgentUnavailable("hoarse")
    await world.person()
    assert (await run(world, {"mode": "warm"}))[1] is HandoverResult.FAILED
    await comes_back(world)
    assert [fault["code"] for fault in (await world.record()).faults] == ["handover_failed"]


async def test_the_line_is_lost_in_mid_handover_and_the_caller_kept(world):
    task = await begun(world, "answered")
    await world.caller.first("on_hold")
    world.caller.abort_media()
    assert await task is HandoverResult.LEFT
    assert await world.called_is_over() == "removed"
    assert (await world.phases())[-1] == "given_up"
    assert (await world.record()).live
    assert await world.control.participants(world.connection_id)


@pytest.mark.parametrize("phase", ["ringing", "answered"])
async def test_another_host_takes_back_what_a_dead_one_had_begun(world, phase, monkeypatch):
    task = await begun(world, phase, on_ring="no_answer" if phase == "ringing" else "pick_up")
    if phase == "answered":
        await world.caller.first("on_hold")
    with monkeypatch.context() as dead:
        dead.setattr(Warm, "recover", AsyncMock())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    handover = world.handover(mode="warm")
    await handover.recover()
    assert await world.called_is_over() in ("stopped_ringing", "removed")
    await comes_back(world)
    await handover.recover()  # there is nothing left to do
    assert (await world.phases()).count("given_up") == 1


@pytest.mark.parametrize(
    ("mode", "operation", "statuses", "result", "fault"),
    [
        ("blind", "transferToParticipant", [400], HandoverResult.REFUSED, "transfer_refused"),
        ("blind", "transferToParticipant", [404], HandoverResult.LEFT, ""),
        ("warm", "add", [400], HandoverResult.REFUSED, "transfer_refused"),
        ("warm", "add", [404], HandoverResult.LEFT, ""),
        ("warm", "hold", [400], HandoverResult.FAILED, "hold_refused"),
        ("warm", "hold", [404], HandoverResult.FAILED, ""),
        ("warm", "unhold", [400], HandoverResult.JOINED, ""),
        ("warm", "unhold", [400] * 3, HandoverResult.JOINED, "unhold_failed"),
    ],
)
async def test_what_acs_refuses(tmp_path, monkeypatch, mode, operation, statuses, result, fault):
    faults = Faults(rest_status={operation: statuses})
    async with handover_world(tmp_path, monkeypatch, faults=faults) as world:
        await world.begin()
        await world.person(PRESS, PERSON_TONE)
        found = (await run(world, {"mode": mode, "stay": "listen"}))[1]
        assert found is result, (await world.phases(), await world.control.participants(world.connection_id))
        assert [found["code"] for found in (await world.record()).faults] == ([fault] if fault else [])
        if not result.done:
            await comes_back(world)


@pytest.mark.parametrize("stay", ["leave", "listen"])
async def test_who_confirms_and_hangs_up_at_once_is_not_there(tmp_path, monkeypatch, stay):
    """We leave only when both are there (requirement 100)."""
    faults = Faults(rest_delay_s={"unhold": 0.4})
    async with handover_world(tmp_path, monkeypatch, faults=faults) as world:
        await world.begin()
        await world.person(PRESS, {"wait_ms": 10}, "hang_up")
        assert (await run(world, {"mode": "warm", "stay": stay}))[1] is HandoverResult.DECLINED
        await comes_back(world)


async def test_while_acs_does_not_say_who_is_there_nobody_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(warm_handover, "ASK_EVERY", 2)
    async with handover_world(tmp_path, monkeypatch) as world:
        await world.begin()
        await world.person(PRESS, PERSON_TONE)
        handover, result = await run(world, {"mode": "warm", "stay": "listen"})
        assert result is HandoverResult.JOINED
        world.caller.fault({"rest_status": {"listParticipants": [403] * 3}})
        accompany = asyncio.create_task(handover.accompany())
        await asyncio.sleep(0.3)
        assert not accompany.done()
        world.caller.fault({"rest_status": {}})
        world.called.hang_up()
        async with asyncio.timeout(patience(5)):
            assert await accompany == "person_left"


async def test_nobody_is_accompanied_before_somebody_has_joined(world):
    await world.begin()
    with pytest.raises(RuntimeError):
        await world.handover().accompany()


PERSON_USER = f"8:acs:{RESOURCE}_ivr"
BACK = {"return_to": PERSON_USER, "return_step": "Schritt ✓", "conversation_id": "conv-1"}


@pytest.mark.parametrize(
    ("name", "outcome"), [("system", TransferType.SYSTEM), ("person", TransferType.AGENT)]
)
async def test_the_caller_goes_back_to_where_the_call_came_from(world, name, outcome):
    await world.begin()
    await world.app.emulator.add_phone(
        {"at": PERSON_USER, "on_ring": "pick_up", "steps": [{"wait_ms": 60_000}]}
    )
    asked = []
    transfer = world.control.transfer

    async def spy(connection_id, to, headers=None, **more):
        asked.append((to, dict(headers or {}), more))
        await transfer(connection_id, to, headers, **more)

    world.control.transfer = spy
    handover = world.handover(known=BACK)
    made_up = {
        "balance": "00123",
        "empty": "",
        "returnTo": "8:acs:evil_1",
        "transferType": "X",
        "returnStep": "y",
    }
    async with asyncio.timeout(patience(15)):
        assert await handover.run(name, made_up, {}, outcome=outcome) is HandoverResult.LEFT
    [(to, headers, _)] = asked
    assert to == PERSON_USER
    assert headers == {
        "balance": "00123",
        "empty": "",
        "transferType": outcome.value,
        "externalConversationId": "conv-1",
        "returnStep": "Schritt ✓",
    }


async def test_a_person_of_the_agents_own_comes_before_the_systems(world):
    await world.begin()
    handover = world.handover(known=BACK)
    assert handover._target("desk", TransferType.AGENT).to == PERSON
    assert handover._target("desk", TransferType.SYSTEM).to == PERSON_USER
    assert handover._headers(TransferType.AGENT, {"a": "b"}, back=False) == {
        "a": "b",
        "transferType": "AGENT",
    }
    bare = world.handover(known={"return_to": PERSON_USER})
    assert bare._headers(TransferType.SYSTEM, {}, back=True) == {"transferType": "SYSTEM"}
