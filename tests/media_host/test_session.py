import asyncio
import base64
import wave

import numpy as np
import pytest

from media_host import handover_attempt
from media_host.agents.base import Fault, Heard, SpeechStarted, ToolCall, Transcript, TransferType
from media_host.notices import tone
from media_host.session import Session
from shared.calls.events import EventKind
from shared.errors import AgentUnavailable
from tests.support import media_tools
from tests.support.acs_rest import Told
from tests.support.media_world import NOTICE, open_media_world
from tests.support.timing import patience


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, max_call_s=3600) as world:
        yield world


async def test_the_callers_audio_reaches_the_agent_byte_for_byte_in_order(world):
    _, line, agent = await world.talk()
    sent = [await line.speak(fill=n) for n in range(50)]
    await world.eventually(lambda: len(agent.heard) == 50)
    assert agent.heard == sent


async def test_audio_that_overtakes_the_sessions_first_step_is_not_lost(world, monkeypatch):
    run, gate, waiting = Session.run, asyncio.Event(), []

    async def late(session):
        waiting.append(session)
        await gate.wait()
        await run(session)

    monkeypatch.setattr(Session, "run", late)
    line = await world.dial(await world.call())
    sent = [await line.speak(fill=n) for n in range(5)]
    await world.eventually(lambda: waiting and len(waiting[0]._audio._early) == 5)
    gate.set()
    await world.eventually(lambda: world.agents)
    sent.append(await line.speak(fill=9))
    await world.eventually(lambda: len(world.agents[0].heard) == 6)
    assert world.agents[0].heard == sent


async def test_the_agents_audio_reaches_the_caller_sample_for_sample(world):
    _, line, agent = await world.talk()
    pcm = agent.speak(700, fill=3)
    await world.eventually(lambda: len(line.heard) == len(pcm))
    assert line.heard == pcm
    await world.eventually(lambda: agent.turns == ["t1"])


async def test_16_khz(world):
    _, line, agent = await world.talk("narrow", rate=16000)
    assert agent.start_args.codec == "pcm16/16000"
    pcm = agent.speak(500)
    await world.eventually(lambda: line.heard == pcm)


async def test_the_agent_knows_task_and_variables(world):
    call_id, _, agent = await world.talk()
    start = agent.start_args
    assert (start.call_id, start.task, start.resumed) == (call_id, "desk", False)
    assert start.variables == {"accountNumber": "00123"}
    assert [tool.name for tool in start.tools] == ["lookup_order", "end_call", "send_dtmf"]


async def test_keys_reach_the_agent_once_in_order_and_only_their_number_is_kept(world, caplog):
    caplog.set_level("DEBUG", "media_host")
    call_id, line, agent = await world.talk()
    for key in ["4", "2", "7", "1", "9", "pound", "*"]:
        await line.key(key)
    await world.eventually(lambda: len(agent.keys) == 7)
    assert agent.keys == ["4", "2", "7", "1", "9", "#", "*"]
    await line.hang_up()
    record = await world.ended(call_id)
    assert record.keys_pressed == 7
    assert "42719" not in str(record.to_json()) + caplog.text


async def test_barge_in_is_silence_first(world):
    call_id, line, agent = await world.talk()
    agent.speak(5000, end=False)
    story = "a long story that goes on and on, and never comes to its end"
    agent.host.event(Transcript("agent", story, "t1"))
    await world.eventually(lambda: len(line.heard) >= 48 * 600)
    agent.host.event(SpeechStarted(60))
    await world.eventually(lambda: line.stops)
    silent_from = len(line.audio)
    [[heard]] = agent.flushes
    assert heard.turn == "t1" and 200 < heard.heard_ms < len(line.heard) / 48 and heard.made_ms == 5000
    await asyncio.sleep(0.1)
    assert len(line.audio) == silent_from
    agent.host.event(SpeechStarted(0))  # nobody is speaking: nothing to flush
    agent.speak(100, "t2")
    await world.eventually(lambda: agent.turns == ["t2"])
    await line.hang_up()
    record = await world.ended(call_id)
    assert len(line.stops) == len(agent.flushes) == record.barge_ins == 1
    [said] = record.transcript
    assert said["interrupted"] and said["heardMs"] == heard.heard_ms
    assert said["text"] and story.startswith(said["text"]) and len(said["text"]) < 30
    assert record.latencies["bargeInToSilenceMs"][0] >= 60


async def test_the_agent_may_flush_itself(world):
    _, line, agent = await world.talk()
    agent.speak(2000)
    [heard] = agent.host.interrupt()
    assert (heard.turn, heard.made_ms) == ("t1", 2000)
    assert agent.host.interrupt() == []
    await world.eventually(lambda: len(line.stops) == 1)
    assert agent.flushes == [] and agent.turns == []


async def test_transcript_has_both_sides_in_the_order_heard(world):
    call_id, line, agent = await world.talk()
    agent.speak(200, "t1")
    agent.host.event(Transcript("agent", "Hello,", "t1"))
    agent.host.event(Transcript("agent", "how are you?", "t1"))
    await world.eventually(lambda: "t1" in agent.turns)
    agent.host.event(Transcript("caller", "fine"))
    agent.speak(100, "t2")
    await world.eventually(lambda: "t2" in agent.turns)
    agent.host.event(Transcript("agent", "good.", "t2"))  # after it was heard
    agent.host.event(Transcript("agent", "never spoken", "t3"))
    await line.hang_up()
    record = await world.ended(call_id)
    said = [(item["who"], item["text"], item.get("heardMs")) for item in record.transcript]
    assert said[1:3] == [("caller", "fine", None), ("agent", "good.", 100)]
    assert said[0] == ("agent", "Hello,", 200) or said[0] == ("agent", "Hello, how are you?", 200)
    assert said[-1] == ("agent", "", 0)


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


async def test_tools_are_run_and_answered_once(world):
    call_id, line, agent = await world.talk()
    agent.host.event(ToolCall("1", "lookup_order", {"order_number": "10042"}))
    agent.host.event(ToolCall("2", "rm", {}))
    await world.eventually(lambda: len(agent.results) == 2)
    results = dict(agent.results)
    assert results["1"]["status"] == "packed"
    assert "error" in results["2"]
    await line.hang_up()
    await world.ended(call_id)
    events = await world.events(call_id, EventKind.TOOL)
    assert sorted((event.data["name"], event.data["ok"]) for event in events) == [
        ("lookup_order", True),
        ("rm", False),
    ]


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


async def test_recording_is_as_long_as_the_call_and_has_both_sides(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "media_host")
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        (tmp_path / "rec").mkdir()
        call_id, line, agent = await world.talk("recorded")
        agent.speak(200, fill=3)
        for _ in range(25):
            await line.speak(fill=7)
            await asyncio.sleep(0.02)
        await line.hang_up()
        record = await world.ended(call_id)
        path = tmp_path / "rec" / record.recording["file"]
        assert abs(record.recording["ms"] - record.media.duration_ms) <= 40
        assert record.recording["consent"] is True
        assert f"call {call_id}: recorded, consent: yes" in caplog.text
        with wave.open(str(path)) as file:
            assert file.getnchannels() == 2 and file.getframerate() == 24000
            samples = file.readframes(file.getnframes())
            assert abs(file.getnframes() / 24 - record.media.duration_ms) <= 40
        frames = [samples[at : at + 4] for at in range(0, len(samples), 4)]
        assert sum(item[:2] == b"\7\7" for item in frames) > 24 * 400
        assert sum(item[2:] == b"\3\3" for item in frames) > 24 * 150


async def test_ten_keys_in_a_second_cost_no_audio_and_leave_no_gap_in_the_recording(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        call_id, line, agent = await world.talk("recorded")
        agent.speak(1500, fill=3)
        due = asyncio.get_running_loop().time()
        for number in range(75):
            await line.speak(fill=7)
            if number % 5 == 0 and number // 5 in range(10):
                await line.key("0123456789"[number // 5])
            due += 0.02  # as a telephone does: what came late is followed by what is due
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        await world.eventually(lambda: agent.turns == ["t1"] and len(agent.heard) == 75)
        assert agent.keys == list("0123456789")
        await line.hang_up()
        record = await world.ended(call_id)
        with wave.open(str(tmp_path / "rec" / record.recording["file"])) as file:
            sides = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        for side in (0, 1):
            spoken = np.flatnonzero(sides[:, side])
            assert len(spoken) >= 74 * 480
            assert np.diff(spoken).max() <= 24 * 40, "samples between two that were spoken: 40 ms at most"


async def test_no_recording_unless_configured(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        call_id, line, _ = await world.talk("puppet")
        await line.hang_up()
        assert (await world.ended(call_id)).recording is None
        assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize(
    ("described", "reason"),
    [({"sampleRate": 16000}, "audio_format"), ({"encoding": "OPUS"}, "audio_format")],
)
async def test_a_line_with_another_format_ends_with_an_apology(world, described, reason):
    call_id = await world.call()
    line = await world.dial(call_id, metadata=False)
    await line.describe(**described)
    assert await line.gone() == 1000
    record = await world.ended(call_id)
    assert record.ended.reason == reason


async def test_audio_before_its_description_is_refused(world):
    call_id = await world.call()
    line = await world.dial(call_id, metadata=False)
    await line.speak(1)
    await line.gone()
    assert (await world.ended(call_id)).ended.reason == "audio_before_metadata"


async def test_bad_frames_are_counted_and_many_of_them_end_the_call(world):
    call_id, line, agent = await world.talk()
    await line.send({"kind": "MarkData", "markData": {"id": "m"}})
    for value in ([], {"kind": 7}, {"kind": "AudioData", "audioData": {"data": "%%%"}}):
        await line.send(value)
    frame = await line.speak()
    await world.eventually(lambda: agent.heard == [frame])
    for _ in range(60):
        await line.send({"kind": "DtmfData", "dtmfData": {"data": "12"}})
    assert await line.gone() == 1000
    assert agent.keys == []
    assert (await world.ended(call_id)).ended.reason == "bad_frames"


async def test_a_call_ends_at_its_limit(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, max_call_s=0.3) as world:
        call_id, line, _ = await world.talk()
        assert await line.gone() == 1000
        record = await world.ended(call_id)
        assert (record.ended.reason, record.outcome["reason"]) == ("max_duration", "max_duration")
        assert line.heard == NOTICE * 4800


async def test_first_audio_and_readiness_are_measured(world):
    call_id, line, agent = await world.talk()
    agent.speak(20)
    await world.eventually(lambda: line.audio)
    await line.hang_up()
    record = await world.ended(call_id)
    kinds = [event.kind for event in await world.events(call_id)]
    assert kinds.count(EventKind.FIRST_AUDIO) == kinds.count(EventKind.AGENT_READY) == 1
    assert record.latencies["answerToFirstAudioMs"] > 0


async def test_a_flood_of_audio_is_bounded_and_recorded_as_a_fault(world):
    call_id, line, agent = await world.talk()
    for n in range(40):
        agent.speak(1000, f"t{n}")
    await line.hang_up()
    record = await world.ended(call_id)
    assert [fault["code"] for fault in record.faults] == ["audio_dropped"]


async def test_a_store_that_is_away_does_not_touch_the_audio(world, monkeypatch):
    from shared.errors import StoreUnavailable

    call_id, line, agent = await world.talk()
    append, away = world.host._calls.append, True

    async def sometimes(*args):
        if away:
            raise StoreUnavailable("away")
        return await append(*args)

    monkeypatch.setattr(world.host._calls, "append", sometimes)
    pcm = agent.speak(200)
    agent.host.event(Transcript("caller", "still there?"))
    await world.eventually(lambda: line.heard == pcm)
    away = False
    await line.hang_up()
    record = await world.ended(call_id)
    assert [item["text"] for item in record.transcript] == ["still there?"]


async def test_heard_is_exact_enough_for_truncation(world):
    """What the host reports as heard is never more than what the line was sent."""
    _, line, agent = await world.talk()
    agent.speak(3000, end=False)
    await world.eventually(lambda: len(line.heard) > 48 * 500)
    [heard] = agent.host.interrupt()
    assert isinstance(heard, Heard)
    assert heard.heard_ms <= len(line.heard) / 48
