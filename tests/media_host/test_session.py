"""A call through the media host: audio, keys, words, tools."""

import asyncio

import pytest

from media_host.agents.base import Heard, SpeechStarted, ToolCall, Transcript
from media_host.session import Session
from shared.calls.events import EventKind


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
