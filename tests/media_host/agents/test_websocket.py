"""The agent of somebody's own, over a real socket: `voice-agent.v1` from the host's side."""

import asyncio
import base64
import itertools

from media_host.agents.base import (
    Codec,
    Ended,
    Fault,
    Heard,
    Said,
    SpeechStarted,
    SpeechStopped,
    SpokenWord,
    ToolCall,
    ToolSpec,
    Transcript,
    TransferType,
    TurnEnded,
    TurnStarted,
)
from tests.support.agent_host import NotingHost
from tests.support.own_agent import READY, OwnAgent

TOOL = ToolSpec("lookup_order", "Finds an order.", {"type": "object"}, "hold")


def b64(data):
    return base64.b64encode(data)


async def test_the_agent_is_told_everything_before_the_call(meet, fast):
    history = [Said("agent", f"line {n}", earlier=n < 11) for n in range(60)]
    host = NotingHost(history)
    more = {
        "task": "order_desk",
        "variables": {"customer": 'Ann "A" Smith'},
        "tools": [TOOL],
    }
    async with OwnAgent() as own:
        await meet(
            own, host, fast=fast, more=more, key="KEY", barge_in="confirmed",
            instructions="You know {{customer}}.", greeting="Hello {{customer}}!",
        )  # fmt: skip
        assert own.request.headers["Authorization"] == "Bearer s3cret"
        assert own.request.path == "/agent"
        (start,) = own.received
    first, *others = start.pop("history")
    assert first == {"who": "agent", "text": "line 10", "earlier": True}
    assert others == [{"who": "agent", "text": f"line {n}"} for n in range(11, 60)]
    assert "Ann" in start.pop("instructions")
    assert start.pop("greeting") == 'Hello Ann "A" Smith!'
    assert start == {
        "type": "start",
        "callId": "call-1",
        "codec": "pcm16/24000",
        "task": "order_desk",
        "bargeIn": "confirmed",
        "variables": {"customer": 'Ann "A" Smith'},
        "tools": [
            {"name": "lookup_order", "description": "Finds an order.", "parameters": {"type": "object"}, "whileRunning": "hold"}
        ],
        "resumed": False,
    }  # fmt: skip


async def test_a_history_that_is_too_long_for_a_message_is_left_out(meet):
    async with OwnAgent() as own:
        await meet(own, NotingHost([Said("caller", "x" * 10_000)] * 50))
        assert own.received[0]["history"] == []


async def test_without_a_key_no_header_is_sent_and_a_call_that_goes_on_is_not_greeted(meet):
    async with OwnAgent() as own:
        await meet(own, NotingHost(), greeting="Hello", more={"resumed": True})
        assert "Authorization" not in own.request.headers
        assert (own.received[0]["greeting"], own.received[0]["resumed"]) == ("", True)


async def test_audio_goes_both_ways_untouched(meet, fast):
    heard, spoken = bytes(range(256)) * 15, bytes(reversed(range(256))) * 40
    host = NotingHost()
    async with OwnAgent() as own:
        agent = await meet(own, host, fast=fast)
        for at in range(0, len(heard), 960):
            agent.send_audio(b64(heard[at : at + 960]))
        await own.until(lambda: len(own.audio) >= len(heard))
        assert own.audio == heard
        await own.send({"type": "turn", "turn": "t1"})
        cuts = [0, 1, 2, 963, 964, 2001, len(spoken)]  # odd ones: half a sample is kept for the next message
        for begin, end in itertools.pairwise(cuts):
            await own.send(spoken[begin:end])
        await own.send({"type": "turnEnd", "turn": "t1"})
        await host.got(TurnEnded)
    assert host.sound == {"t1": spoken}
    assert host.events[:2] == [TurnStarted("t1"), TurnEnded("t1")]


async def test_mu_law_samples_are_single_bytes(meet):
    host = NotingHost()
    ready = {"type": "ready", "codec": "ulaw/8000"}
    async with OwnAgent({"type": "turn", "turn": "t"}, b"\x01", b"\x02\x03") as own:
        own.answer[0] = ready
        await meet(own, host, codec=Codec.ULAW_8K)
        await host.until(lambda: host.sound.get("t") == b"\x01\x02\x03")


async def test_what_comes_in_the_same_packet_as_ready_is_not_lost(meet):
    host = NotingHost()
    async with OwnAgent({"type": "turn", "turn": "t"}, b"ab", {"type": "turnEnd", "turn": "t"}) as own:
        await meet(own, host)
        await host.got(TurnEnded)
    assert host.sound == {"t": b"ab"}


async def test_the_callers_first_words_wait_for_ready_two_seconds_at_most(meet):
    host = NotingHost()
    async with OwnAgent(mute=True) as own:
        starting = asyncio.create_task(meet(own, host))
        await own.until(lambda: own.received)
        agent = next(frame.f_locals["agent"] for frame in [starting.get_coro().cr_frame])
        for n in range(120):
            agent.send_audio(b64(bytes([n, n])))
        await own.send(READY)
        await starting
        await own.until(lambda: len(own.audio) == 200)
    assert own.audio == bytes(n for n in range(20, 120) for _ in range(2))


async def test_events_of_every_kind(meet):
    host = NotingHost()
    words = [{"text": "Hello", "atMs": 0, "ms": 300}]
    async with OwnAgent() as own:
        agent = await meet(own, host, greeting_barge_in="never", barge_in="confirmed")
        for message in (
            {"type": "turn", "turn": "t1"},
            {"type": "transcript", "who": "agent", "text": "Hello", "turn": "t1", "words": words},
            {"type": "turn", "turn": "t2", "new": "field"},
            {"type": "turn", "turn": "t3", "bargeIn": "speech"},
            {"type": "turnEnd", "turn": "t3"},
            {"type": "speechStarted", "agoMs": 120},
            {"type": "speechStopped"},
            {"type": "transcript", "who": "caller", "text": "Grüezi"},
            {"type": "from a later version", "turn": 1},
            {"type": "toolCall", "callId": "c1", "name": "lookup_order", "arguments": {"n": 1}},
            {"type": "error", "code": "late", "message": "busy, number 4111111111111111\n"},
            {
                "type": "end", "outcome": "AGENT", "reason": "asked", "target": "human",
                "reference": {"r": "1"}, "variables": {"v": "2"},
            },
            {"type": "error", "code": "not_heeded", "fatal": True},
        ):  # fmt: skip
            await own.send(message)
        await host.got(Ended)
        assert agent.capabilities.detects_speech
        await agent.close()
        assert (await own.got("stop"))[0]["reason"] == "completed"
        await own.closed.wait()
        assert own.socket.close_code == 1000
    assert host.events == [
        TurnStarted("t1", "never"),
        Transcript("agent", "Hello", "t1", [SpokenWord("Hello", 0, 300)]),
        TurnEnded("t1"),
        TurnStarted("t2", "confirmed"),
        TurnEnded("t2"),
        TurnStarted("t3", "speech"),
        TurnEnded("t3"),
        SpeechStarted(120),
        SpeechStopped(),
        Transcript("caller", "Grüezi", "", []),
        ToolCall("c1", "lookup_order", {"n": 1}),
        Fault("late", "busy, number # ", fatal=False),
        Ended(TransferType.AGENT, "asked", "human", "", {"r": "1"}, {"v": "2"}),
    ]


async def test_what_the_host_tells_reaches_the_agent(meet):
    host = NotingHost()
    async with OwnAgent() as own:
        agent = await meet(own, host)
        agent.send_key("4")
        agent.send_key("#")
        agent.flushed([Heard("t1", 300, 900)])
        agent.played("t2")
        await agent.send_text("silence")
        await agent.say("hold on")
        await agent.tool_result("c1", {"a": 1})
        await agent.tool_result("c2", {"a": "x" * 300_000})
        await agent.listen_only()
        await agent.close()
        await agent.close()
        agent.send_key("9")
        await own.closed.wait()
    assert own.received[1:] == [
        {"type": "dtmf", "digits": "4"},
        {"type": "dtmf", "digits": "#"},
        {"type": "interrupted", "turn": "t1", "playedMs": 300, "madeMs": 900},
        {"type": "played", "turn": "t2"},
        {"type": "text", "text": "silence"},
        {"type": "say", "text": "hold on"},
        {"type": "toolResult", "callId": "c1", "output": {"a": 1}},
        {"type": "toolResult", "callId": "c2", "output": {"error": "the result is too long"}},
        {"type": "listenOnly"},
        {"type": "stop", "reason": "call_over"},
    ]


async def test_after_an_interruption_late_audio_of_the_turn_is_dropped(meet):
    host = NotingHost()
    async with OwnAgent({"type": "turn", "turn": "t1"}, b"ab") as own:
        agent = await meet(own, host)
        await host.until(lambda: host.sound)
        agent.flushed(host.interrupt())
        assert (await own.got("interrupted"))[0]["turn"] == "t1"
        for message in (b"late", {"type": "turnEnd", "turn": "t1"}, {"type": "turn", "turn": "t2"}, b"cd"):
            await own.send(message)
        await host.until(lambda: host.sound.get("t2") == b"cd")
        await own.send({"type": "interrupt"})
        assert (await own.got("interrupted", 2))[1] == {
            "type": "interrupted", "turn": "t2", "playedMs": 500, "madeMs": 1000,
        }  # fmt: skip
        assert not host.of(Fault)
    assert host.sound == {"t1": b"ab", "t2": b"cd"}


async def test_an_agent_that_is_to_listen_is_not_heard(meet):
    host = NotingHost()
    async with OwnAgent({"type": "turn", "turn": "t1"}) as own:
        agent = await meet(own, host)
        await host.got(TurnStarted)
        await agent.listen_only()
        for message in (b"ab", {"type": "turn", "turn": "t2"}, b"cd", {"type": "turnEnd", "turn": "t2"}):
            await own.send(message)
        await own.send({"type": "transcript", "who": "caller", "text": "hi"})
        await host.got(Transcript)
        assert host.sound == {}
        assert not host.of(Fault)


async def test_what_the_agent_says_of_itself(meet):
    ready = {**READY, "detectsSpeech": False, "exactSay": True, "mindsSilence": True, "sessionId": "s\n1"}
    async with OwnAgent() as own:
        own.answer[0] = ready
        agent = await meet(own, NotingHost())
    able = agent.capabilities
    assert (able.detects_speech, able.exact_say, able.minds_silence) == (False, True, True)
