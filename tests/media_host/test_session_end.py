"""A call through the media host ends: by the caller, the agent, a person who takes it, or a fault."""

import asyncio
import base64

import pytest

from media_host import handover_attempt
from media_host.agents.base import Fault, ToolCall, Transcript, TransferType
from media_host.notices import tone
from shared.calls.events import EventKind
from shared.errors import AgentUnavailable
from tests.support import media_tools
from tests.support.acs_rest import Told
from tests.support.media_world import NOTICE, open_media_world
from tests.support.timing import patience


async def test_the_caller_hangs_up(world):
    call_id, line, agent = await world.talk()
    agent.speak(3000)
    agent.host.event(Transcript("agent", "a story", "t1"))
    await world.eventually(lambda: len(line.heard) > 48 * 400)
    await line.hang_up()
    async with asyncio.timeout(patience(2)):
        await agent.closed.wait()
    record = await world.ended(call_id)
    assert record.media.closed and record.media.duration_ms > 0
    assert world.acs.of("terminate") == []
    [closed] = await world.events(call_id, EventKind.MEDIA_CLOSED)
    assert closed.data["reason"] == "line_closed"
    [said] = record.transcript
    assert 0 < said["heardMs"] < 1500 and said["interrupted"]
    assert not record.settled  # what became of the call is for ACS's callback to say


async def test_the_agent_is_done(world):
    """Farewell heard to its end, outcome stored, then the hang-up."""
    call_id, line, agent = await world.talk()
    pcm = agent.speak(900)
    agent.finish(reason="goodbye", task="wrap_up", reference={"ticket": "7"}, transfer={"mood": "good"})
    agent.host.event(Transcript("caller", "too late"))
    agent.host.audio("t9", base64.b64encode(bytes(960)))
    await world.eventually(lambda: world.acs.of("terminate"))
    assert line.heard == pcm
    record = await world.record(call_id)
    assert record.outcome == {
        "transferType": "SYSTEM",
        "reason": "goodbye",
        "currentTaskName": "wrap_up",
        "referenceVariables": {"ticket": "7"},
        "transferVariables": {"mood": "good"},
    }
    assert (record.ended.reason, record.ended.by) == ("agent_done", "agent")
    await line.hang_up()
    record = await world.ended(call_id)
    assert record.transcript == []
    assert len(world.acs.of("terminate")) == 1


async def test_if_acs_does_not_close_the_line_we_do(world):
    call_id, line, agent = await world.talk()
    agent.finish()
    assert await line.gone() == 1000
    await world.ended(call_id)


async def test_transfer_to_a_person(world):
    call_id, line, agent = await world.talk("helped")
    agent.finish(TransferType.AGENT, "asked_for_human", target="desk", transfer={"topic": "bill"})
    await world.eventually(lambda: world.acs.of("transferToParticipant"))
    body = world.acs.of("transferToParticipant")[0].body
    assert body["targetParticipant"]["rawId"] == "8:acs:r_1"
    assert body["customCallingContext"]["voipHeaders"] == {"transferType": "AGENT", "topic": "bill"}
    await line.hang_up()
    record = await world.ended(call_id)
    assert record.outcome["transferType"] == "AGENT"
    assert world.acs.of("terminate") == []
    [event] = await world.events(call_id, EventKind.TRANSFER)
    assert event.data["target"] == "desk"


@pytest.mark.parametrize("how", ["refused", "failed", "unknown"])
async def test_a_transfer_that_does_not_work_is_told_and_ended(world, how):
    call_id, line, agent = await world.talk("helped")
    if how == "refused":
        world.acs.tell("transferToParticipant", Told(400, "8523"))
    agent.finish(TransferType.AGENT, "asked_for_human", target="nobody" if how == "unknown" else "desk")
    if how == "failed":
        await world.eventually(lambda: world.acs.of("transferToParticipant"))
        context = world.acs.of("transferToParticipant")[0].body["operationContext"]
        await world.event(
            call_id, "failed", EventKind.TRANSFER_FAILED, code=500, subCode=8544, context=context
        )
    assert await line.gone() == 1000
    assert line.heard == NOTICE * 4800
    record = await world.ended(call_id)
    assert (record.ended.reason, record.ended.by) == ("transfer_failed", "system")


@pytest.mark.parametrize("when", ["start", "hang", "fault", "crash"])
async def test_an_agent_that_fails_leaves_no_silence(world, when, monkeypatch):
    """An apology within 3 s that needs no agent, an outcome, a reason, a hang-up."""
    if when == "start":
        world.agent_options["fail"] = AgentUnavailable("the model is away")
    if when == "hang":
        world.agent_options["hang"] = True
        services = world.host.server._services
        object.__setattr__(services, "agent_start_s", 0.2)
    call_id, line, agent = await world.talk()
    began = asyncio.get_running_loop().time()
    if when == "fault":
        agent.speak(20_000, fill=5)
        agent.host.event(Fault("model_lost", "the socket broke", True))
    elif when == "crash":
        agent.crash = ZeroDivisionError("a bug")
        await line.speak(2)
    await world.eventually(lambda: [samples for _, samples in line.audio if samples[:1] == NOTICE])
    assert asyncio.get_running_loop().time() - began < patience(3)
    assert await line.gone() == 1000
    async with asyncio.timeout(patience(2)):
        await agent.closed.wait()
    record = await world.ended(call_id)
    reason = {
        "start": "agent_unavailable",
        "hang": "agent_timeout",
        "fault": "model_lost",
        "crash": "agent_crashed",
    }[when]
    assert (record.ended.reason, record.outcome["transferType"]) == (reason, "SYSTEM")
    assert [fault["code"] for fault in record.faults] == [reason]
    assert len(world.acs.of("terminate")) == 1
    if when == "fault":
        assert len(line.stops) == 1


async def test_the_apology_does_not_wait_for_a_start_that_is_slow_to_give_up(world):
    world.agent_options |= {"hang": True, "slow_cancel_s": 1.0}
    object.__setattr__(world.host.server._services, "agent_start_s", 0.2)
    call_id, line, agent = await world.talk()
    began = asyncio.get_running_loop().time()
    await world.eventually(lambda: line.heard)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert await line.gone() == 1000
    assert (await world.ended(call_id)).ended.reason == "agent_timeout"
    assert agent.closed.is_set()


async def test_a_caller_who_is_being_transferred_hears_that_it_goes_on(world, monkeypatch):
    monkeypatch.setattr(handover_attempt, "BEEP_S", 0.1)
    call_id, line, agent = await world.talk("helped")
    agent.finish(TransferType.AGENT, "asked_for_human", target="desk")
    await world.eventually(lambda: world.acs.of("transferToParticipant"))
    beep = tone(24000, 1)
    await world.eventually(lambda: line.heard[: len(beep)] == beep)
    context = world.acs.of("transferToParticipant")[0].body["operationContext"]
    await world.event(call_id, "failed", EventKind.TRANSFER_FAILED, code=603, subCode=8538, context=context)
    assert await line.gone() == 1000
    assert line.heard.endswith(NOTICE * 4800)


async def test_a_failed_agent_with_a_fallback_hands_over_to_a_person(world):
    world.agent_options["fail"] = AgentUnavailable("away")
    call_id, line, _ = await world.talk("helped")
    await world.eventually(lambda: world.acs.of("transferToParticipant"))
    assert line.heard == NOTICE * 4800
    body = world.acs.of("transferToParticipant")[0].body
    assert body["targetParticipant"]["phoneNumber"]["value"] == "+18005559999"
    assert body["sourceCallerIdNumber"]["value"] == "+18005550000"
    await line.hang_up()
    record = await world.ended(call_id)
    assert (record.outcome["transferType"], record.outcome["reason"]) == ("AGENT", "agent_unavailable")


async def test_a_hang_up_that_acs_does_not_take_is_tried_again(world):
    call_id, line, agent = await world.talk()
    world.acs.tell("terminate", *[Told(503)] * 3)
    agent.finish()
    assert await line.gone() == 1000
    record = await world.ended(call_id)
    assert record.faults == [] and len(world.acs.of("terminate")) == 4


async def test_a_tool_that_runs_at_the_end_is_answered_once_and_leaves_nothing_behind(world):
    call_id, line, agent = await world.talk("slow")
    agent.host.event(ToolCall("1", "for_ever", {}))
    await world.eventually(lambda: world.host.server.sessions[call_id]._tool_runs.busy)
    await line.hang_up()
    await world.ended(call_id)  # and the world looks for orphan tasks
    assert agent.results == [("1", {"error": "the call is over"})]


async def test_a_models_connection_does_not_outlive_the_caller(world):
    call_id, line, agent = await world.talk()
    agent.speak(20_000)
    await line.hang_up()
    async with asyncio.timeout(patience(1)):
        await agent.closed.wait()
    await world.ended(call_id)


async def test_the_post_call_hook_gets_the_record_after_the_call_and_a_stopping_host_waits_for_it(
    tmp_path, monkeypatch
):
    media_tools.records.clear()
    async with open_media_world(tmp_path, monkeypatch) as world:
        call_id, line, agent = await world.talk("after")
        agent.host.event(Transcript("caller", "good morning"))
        await line.hang_up()
        await world.ended(call_id)
    [record] = media_tools.records
    assert record["callId"] == call_id
    assert [said["text"] for said in record["transcript"]] == ["good morning"]


async def test_a_call_ends_at_its_limit(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, max_call_s=0.3) as world:
        call_id, line, _ = await world.talk()
        assert await line.gone() == 1000
        record = await world.ended(call_id)
        assert (record.ended.reason, record.outcome["reason"]) == ("max_duration", "max_duration")
        assert line.heard == NOTICE * 4800
