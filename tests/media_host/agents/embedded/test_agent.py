"""The agent with real speech: a caller's synthetic voice, the real detector, recogniser and synthesiser."""

import asyncio
import base64
import math
import os
import signal
import time
from itertools import batched

import pytest
import pytest_asyncio

from media_host.agents.base import (
    AgentStart,
    Codec,
    Ended,
    Fault,
    Heard,
    SpeechStarted,
    ToolCall,
    TransferType,
    TurnEnded,
    TurnStarted,
    VoiceAgent,
)
from media_host.agents.embedded import EmbeddedAgent, create
from media_host.agents.embedded.agent import frames
from media_host.speech import Speech
from shared.errors import AgentUnavailable
from tests.media_host.agents.embedded.host import FakeHost
from tests.media_host.agents.embedded.support import ORDER_DESK, small

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech():
    async with Speech() as speech:
        assert speech.recogniser is not None
        yield speech


class Call:
    """One call: the agent, its host, and a caller who can speak."""

    def __init__(self, speech, agent=None, codec=Codec.PCM16_24K, voice="en-us+f3"):
        self.speech, self.codec, self.voice = speech, codec, voice
        self.host = FakeHost()
        self.agent: VoiceAgent = agent or create(ORDER_DESK, speech)
        self.host.agent = self.agent

    async def start(self, **options):
        await self.agent.start(AgentStart("call-1", self.codec, **options), self.host)
        return self

    async def say(self, text, pause_ms=1400):
        pcm = await self.speech.synthesiser.say(text, self.voice, self.codec.sample_rate)
        self.feed(self.silence(300) + pcm + self.silence(pause_ms))

    def silence(self, ms):
        return bytes(self.codec.bytes_per_ms * ms)

    def feed(self, pcm):
        size = self.codec.bytes_per_ms * 20
        for at in range(0, len(pcm) - size + 1, size):
            self.agent.send_audio(base64.b64encode(pcm[at : at + size]))

    def keys(self, keys):
        for key in keys:
            self.agent.send_key(key)

    async def hears(self, text):
        await self.host.until(lambda: any(text in said for said in self.host.said()))

    async def end(self):
        await self.host.until(lambda: self.host.ended)
        return self.host.ended

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.agent.close()


@pytest.mark.parametrize(
    ("codec", "voice"),
    [
        (Codec.PCM16_24K, "en-us+f3"),
        (Codec.PCM16_16K, "en-us+f3"),
        (Codec.PCM16_24K, "en-us"),
        (Codec.PCM16_16K, "en-us"),
    ],
)
@pytest.mark.parametrize("interruption", ["stop that is enough", "what are your opening hours"])
async def test_the_demo_call(speech, codec, voice, interruption):
    async with Call(speech, codec=codec, voice=voice) as call:
        await call.start()
        await call.hears("not a language model")
        await call.hears("How can I help you?")
        await call.say("where is my order")
        await call.hears("key in your five digit order number")
        call.host.hold = True  # the long status is being spoken from here on
        call.keys("42719#")
        await call.hears("Rotterdam")
        status = call.host.turns[-1]
        await call.host.until(lambda: TurnEnded(status) in call.host.events)
        assert call.host.audio_bytes[status] > 15_000 * codec.bytes_per_ms  # a sentence worth interrupting
        flushes = call.host.flushes
        await call.say(interruption)
        assert call.host.flushes == flushes + 1
        call.host.hold = False
        await call.hears("anything else?")
        await call.say("goodbye")
        ended = await call.end()
        assert ended.outcome is TransferType.SYSTEM
        assert ended.reason == "goodbye"
        assert ended.reference == {"order_number": "42719"}
        assert ended.transfer == {"order_status": "shipped", "expected": "Thursday"}
        assert call.host.said("caller") == ["where is my order", "[5 keys]", interruption, "goodbye"]
        assert "42719" not in " ".join(call.host.said() + call.host.said("caller"))
        assert not [event for event in call.host.events if isinstance(event, Fault)]


async def test_a_spoken_number_is_read_back_and_confirmed(speech):
    async with Call(speech) as call:
        await call.start(task="order_status")
        await call.hears("key in")
        await call.say("four two seven one nine", pause_ms=1700)
        await call.hears("I heard [5 digits]. Is that right?")
        await call.say("yes please")
        await call.hears("Rotterdam")


@pytest.mark.parametrize("words", ["talk to a human", "agent please"])
async def test_a_human_is_asked_for_and_confirmed(speech, words):
    async with Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        await call.say(words)
        await call.hears("Shall I connect you")
        assert call.host.ended is None
        await call.say("yes")
        await call.hears("I could not connect you")  # the host of this test has nobody
        [asked] = [event for event in call.host.events if isinstance(event, ToolCall)]
        assert asked.name == "transfer_to_human"
        assert asked.arguments["target"] == "human" and asked.arguments["reason"] == "asked_for_human"
        await call.say("goodbye")
        assert (await call.end()).reason == "goodbye"


async def test_three_times_something_else_goes_to_a_human(speech):
    async with Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        for failures in (1, 2):
            await call.say("can i have a pizza with mushrooms")
            await call.host.until(lambda n=failures: len(call.host.said()) == 2 + 2 * n)
            assert call.host.said()[-2:] == [
                "Sorry, I did not understand that.",
                "You can ask where your order is, ask for our opening hours, or talk to a human.",
            ]
        await call.say("how much does it cost")
        ended = await call.end()
        assert (ended.outcome, ended.reason, ended.target) == (TransferType.AGENT, "no_match", "human")
        assert call.host.said("caller") == []


async def test_silence_is_asked_about_twice_and_then_ends_the_call(speech):
    dialogue = small(("name: small", "name: small\nlisten: {no_input_ms: 100}"))
    async with Call(speech, EmbeddedAgent(dialogue, speech)) as call:
        await call.start()
        ended = await call.end()
        assert (ended.outcome, ended.reason) == (TransferType.SYSTEM, "no_input")
        assert call.host.said().count("Are you still there?") == 2


async def test_silence_is_counted_only_after_the_prompt(speech):
    dialogue = small(("name: small", "name: small\nlisten: {no_input_ms: 100}"))
    async with Call(speech, EmbeddedAgent(dialogue, speech)) as call:
        call.host.hold = True
        await call.start()
        await call.hears("Welcome")
        await asyncio.sleep(0.25)
        assert call.host.said() == ["Welcome to Delft."]
        call.host.hold = False
        call.host.play()
        await call.hears("Are you still there?")


async def test_a_prompt_that_must_be_heard_is_not_interrupted(speech):
    dialogue = small(("again: Say opening hours.", "barge_in: never"))
    async with Call(speech, EmbeddedAgent(dialogue, speech)) as call:
        call.host.hold = True
        await call.start()
        await call.hears("Welcome")
        await call.say("opening hours")
        call.keys("7")
        assert call.host.flushes == 0
        assert not [event for event in call.host.events if isinstance(event, SpeechStarted)]
        call.host.hold = False
        call.host.play()
        await call.say("opening hours")
        await call.hears("Nine to five.")


async def test_keys_interrupt_a_prompt(speech):
    async with Call(speech) as call:
        call.host.hold = True
        await call.start()
        await call.hears("How can I help you?")
        await call.host.until(lambda: len(call.host.held) == 2)
        call.keys("2")
        assert call.host.flushes == 1
        await call.hears("from Monday to Friday")


async def test_a_prompt_still_waiting_is_dropped_by_an_interruption(speech):
    async with Call(speech) as call:
        await call.start()
        call.keys("0")  # before the greeting's task has run at all
        await call.hears("Shall I connect you")
        assert call.host.said() == ["Shall I connect you to a human?"]


async def test_a_prompt_still_waiting_is_dropped_by_speech(speech):
    async with Call(speech) as call:
        words = await speech.synthesiser.say("talk to a human", call.voice, call.codec.sample_rate)
        await call.start()
        call.feed(call.silence(300) + words + call.silence(1400))  # before the greeting's task has run at all
        await call.hears("Shall I connect you")
        assert call.host.said() == ["Shall I connect you to a human?"]


async def test_a_resumed_call(speech):
    async with Call(speech) as call:
        await call.start(resumed=True)
        await call.hears("How can I help you?")
        assert call.host.said() == ["Sorry, the line was interrupted.", "How can I help you?"]


async def test_without_recognition_the_call_works_by_keys():
    speech = Speech()
    speech.recogniser = None
    async with speech, Call(speech) as call:
        await call.start()
        await call.hears("I have no speech recognition here")
        await call.hears("Press 1 for the status of an order")
        await call.say("where is my order")  # is not even looked at
        call.keys("1")
        await call.hears("key in your five digit order number")
        call.keys("42719#")
        await call.hears("Rotterdam")
        call.keys("9")
        assert (await call.end()).reason == "goodbye"


async def test_a_recogniser_that_dies_in_mid_call_is_replaced(speech):
    async with Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        restarts = speech.recogniser.child.restarts
        os.kill(speech.recogniser.child.pid, signal.SIGKILL)
        await call.say("where is my order")
        await call.host.until(lambda: len(call.host.turns) > 2)
        if not any("key in" in text for text in call.host.said()):  # it was lost with the child: asked again
            await call.say("where is my order")
        await call.hears("key in")
        assert speech.recogniser.child.restarts == restarts + 1


async def test_twenty_calls_share_the_children(speech):
    calls = [await Call(speech).start() for _ in range(20)]
    try:
        pids = (speech.synthesiser.child.pid, speech.recogniser.child.pid)
        for call in calls:
            await call.hears("How can I help you?")
        words = ["where is my order", "what are your opening hours"]
        answers = ["key in", "from Monday"]
        for group in batched(
            enumerate(calls), 4, strict=True
        ):  # all at once would measure this machine, not the sharing
            for number, call in group:
                await call.say(words[number % 2])
            for number, call in group:
                await call.hears(answers[number % 2])
        for number, call in enumerate(calls):
            assert not any(answers[1 - number % 2] in text for text in call.host.said())
        assert pids == (speech.synthesiser.child.pid, speech.recogniser.child.pid)
    finally:
        for call in calls:
            await call.agent.close()


async def test_prompts_come_in_whole_frames_in_turns_of_their_own(speech):
    async with Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        await call.host.until(lambda: len([e for e in call.host.events if isinstance(e, TurnEnded)]) == 2)
        assert all(size % 960 == 0 for size in call.host.audio_bytes.values())
        assert all(len(piece) % 1280 == 0 for piece in call.host.pieces)
        order = [event for event in call.host.events if isinstance(event, TurnStarted | TurnEnded)]
        assert order == [TurnStarted("t1"), TurnEnded("t1"), TurnStarted("t2"), TurnEnded("t2")]


@pytest.mark.parametrize("codec", [Codec.PCM16_24K, Codec.PCM16_16K])
@pytest.mark.parametrize("samples", [1, 479, 480, 24_000, 99_999])
async def test_frames_lose_nothing(codec, samples):
    pcm = bytes(range(256)) * (samples * 2 // 256) + bytes(samples * 2 % 256)
    pieces = frames(pcm, codec)
    joined = b"".join(base64.b64decode(piece) for piece in pieces)
    assert joined[: len(pcm)] == pcm
    assert len(joined) == math.ceil(len(pcm) / (codec.bytes_per_ms * 20)) * codec.bytes_per_ms * 20
    assert all(b"=" not in piece for piece in pieces[:-1])


async def test_the_hosts_own_words_are_spoken_and_not_interrupted(speech):
    async with Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        call.host.hold = True
        await call.agent.say("This line closes in one minute.")
        await call.hears("one minute")
        await call.say("where is my order")
        assert call.host.flushes == 0


@pytest.mark.parametrize("codec", [Codec.ULAW_8K, Codec.PCM16_8K])
async def test_a_codec_it_does_not_speak(speech, codec):
    with pytest.raises(AgentUnavailable):
        await Call(speech, codec=codec).start()


async def test_an_agent_serves_one_call(speech):
    async with Call(speech) as call:
        await call.start()
        with pytest.raises(AgentUnavailable):
            await call.start()


async def test_no_synthesiser_no_agent():
    with pytest.raises(AgentUnavailable):
        await Call(Speech()).start()


async def test_a_synthesiser_that_goes_for_good_is_a_fatal_fault():
    async with Speech() as speech, Call(speech) as call:
        await call.start()
        await call.hears("How can I help you?")
        await speech.synthesiser.close()
        call.keys("2")
        await call.host.until(lambda: any(isinstance(e, Fault) and e.fatal for e in call.host.events))


async def test_closing_in_every_moment_is_quick_and_quiet(speech):
    for moment in range(4):
        call = Call(speech)
        if moment:
            await call.start()
        if moment > 1:
            await call.hears("How can I help you?")
        if moment > 2:
            await call.say("where is my order")  # being decoded now
        before = time.monotonic()
        await call.agent.close()
        await call.agent.close()
        assert time.monotonic() - before < 2
        events = len(call.host.events)
        call.keys("1")
        await call.say("goodbye")
        call.agent.flushed([Heard("t1", 0, 0)])
        call.agent.played("t2")
        await call.agent.tool_result("tool-1", {})
        await asyncio.sleep(0)
        assert len(call.host.events) == events
        assert not [event for event in call.host.events if isinstance(event, Ended)]
