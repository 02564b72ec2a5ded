import asyncio
import base64
import subprocess
import sys

import numpy
import pytest

from media_host import listening
from media_host.agents.base import ToolCall, Transcript
from media_host.agents.fallback import FallbackAgent, Link
from media_host.tool_runs import ANSWER_S
from shared.calls.events import CallEvent, EventKind
from shared.errors import AgentUnavailable
from tests.support.agents import PuppetAgent
from tests.support.session_world import FRAME, STARTED, open_session, virtual

SPEECH = base64.b64encode((numpy.sin(numpy.arange(480) / 12.0) * 6000).astype("<i2").tobytes())
SILENT = base64.b64encode(bytes(960))


class Loud:
    """A detector that takes everything over the gate for speech."""

    def is_speech(self, frame):
        return True


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setattr(listening, "pocketsphinx_detector", Loud)


def test_the_host_listens_for_an_agent_that_does_not(detector):
    @virtual
    async def run():
        async with open_session(detects_speech=False) as world:
            pcm = world.agent.speak(5000)
            for _ in range(20):
                world.caller(SILENT)
                await world.run(0.02)
            assert world.wire.stops == []
            for _ in range(20):
                world.caller(SPEECH)
                await world.run(0.02)
            assert len(world.wire.stops) == 1 and len(world.agent.flushes) == 1
            assert len(world.agent.heard) == 40  # and it hears everything itself
            assert len(world.wire.heard) < len(pcm)
            assert world.session._floor.barge_in.speaking
            for _ in range(40):
                world.caller(SILENT)
                await world.run(0.02)
            assert not world.session._floor.barge_in.speaking

    run()


def test_a_keys_tone_is_no_speech(detector):
    @virtual
    async def run():
        async with open_session(detects_speech=False) as world:
            world.agent.speak(5000)
            for _ in range(4):
                world.caller(SPEECH)
                await world.run(0.02)
            world.key("5")
            for _ in range(12):  # 240 ms of its tone
                world.caller(SPEECH)
                await world.run(0.02)
            assert world.wire.stops == []

    run()


def test_a_deaf_agents_caller_does_not_interrupt(detector):
    @virtual
    async def run():
        async with open_session(detects_speech=False) as world:
            world.agent.speak(5000)
            world.session._voice.deafen()
            for _ in range(40):
                world.caller(SPEECH)
                await world.run(0.02)
            assert world.wire.stops == []

    run()


def test_another_agent_may_listen_itself(detector):
    @virtual
    async def run():
        async with open_session(detects_speech=False) as world:
            world.agent.capabilities = PuppetAgent().capabilities  # a fallback has taken over
            world.agent.speak(5000)
            for _ in range(40):
                world.caller(SPEECH)
                await world.run(0.02)
            assert world.wire.stops == [] and len(world.agent.heard) == 40

    run()


def test_without_a_detector_the_record_says_so(monkeypatch):
    def missing():
        raise ImportError

    monkeypatch.setattr(listening, "pocketsphinx_detector", missing)

    @virtual
    async def run():
        async with open_session(detects_speech=False) as world:
            world.agent.speak(100, "t1")
            await world.run(1)
            world.agent.speak(100, "t2")
            world.caller()
            await world.run(1)
            assert world.faults == ["no_speech_detector"] and world.agent.heard == [FRAME]

    run()


def test_nothing_of_it_is_loaded_for_agents_that_listen_themselves():
    code = "import sys, media_host.session; print('media_host.speech.vad' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("busy", ["idle", "speaking", "tool", "starting"])
def test_a_models_connection_is_closed_within_a_second_of_the_hang_up(busy):
    puppet = {"hang": True, "slow_cancel_s": 0.5} if busy == "starting" else {}

    @virtual
    async def run():
        async with open_session(**puppet) as world:
            if busy == "speaking":
                world.agent.speak(20_000)
            if busy == "tool":

                async def never(id, output):
                    await asyncio.Event().wait()

                world.agent.tool_result = never
                world.agent.host.event(ToolCall("1", "unknown", {}))
                await world.run(0.1)
            at = world.ms()
            world.session.on_close(1000, "")
            await world.task
            assert world.agent.closed_at - at < 1000

    run()


@virtual
async def test_words_of_a_turn_that_was_cut_off_by_the_hang_up_are_kept():
    async with open_session() as world:
        world.agent.speak(2000)
        await world.run(1)
        close = world.agent.close

        async def tells():
            world.agent.host.event(Transcript("agent", "one two three four five six", "t1"))
            await close()

        world.agent.close = tells
        record = await world.hang_up()
        assert [line["text"] for line in record.transcript] == ["one two"]


@virtual
async def test_a_chain_of_agents_has_the_time_of_all_of_them():
    text = "fallback: [second]\n"
    async with open_session(
        text, more="  second: {kind: websocket, url: 'ws://127.0.0.1:1/'}\n", hang=True
    ) as world:
        await world.run(5.2)
        assert not world.session._end.done()
        await world.run(0.5)
        assert world.session._end.result().reason == "agent_timeout"


@virtual
async def test_a_caller_whose_first_agent_does_not_start_hears_something_within_three_seconds():
    second = PuppetAgent(starts_after_s=2.0)
    chain = FallbackAgent(
        [Link("first", lambda: PuppetAgent(hang=True)), Link("second", lambda: second)], attempt_s=2.5
    )
    more = "  second: {kind: websocket, url: 'ws://127.0.0.1:1/'}\n"
    async with open_session("fallback: [second]\n", more=more, agent=chain) as world:
        await world.run(4)
        assert world.times("one_moment") == [pytest.approx(2500, abs=50)]
        assert world.events(EventKind.AGENT_READY) == []
        await world.run(1)
        assert [event["agent"] for event in world.events(EventKind.AGENT_READY)] == ["puppet"]
        pcm = second.speak(300)
        await world.run(5)
        assert world.wire.heard.endswith(pcm) and world.times("waiting") == [pytest.approx(4500, abs=100)]
        await world.hang_up()
        assert second.closed.is_set()


@virtual
async def test_an_agent_that_was_not_told():
    async with open_session() as world:
        world.session._agent.agent = None
        with pytest.raises(AgentUnavailable):
            await world.session._agent.tell("x")
        world.session._agent.agent = world.agent


@virtual
async def test_an_agent_that_does_not_close_is_left():
    async with open_session() as world:

        async def hangs():
            await asyncio.Event().wait()

        world.agent.close = hangs
        began = world.ms()
        await world.hang_up()
        assert world.ms() - began < 2000 + ANSWER_S * 1000 + 100


def test_who_goes_on_with_a_call_knows_what_was_said():
    said = [
        CallEvent(
            "a", EventKind.AGENT_SAID, STARTED + 1, {"text": "Hello.", "heardMs": 400, "interrupted": False}
        ),
        CallEvent("b", EventKind.CALLER_SAID, STARTED + 2, {"text": "My order, please."}),
        CallEvent("c", EventKind.AGENT_SAID, STARTED + 3, {"text": "", "heardMs": 0, "interrupted": True}),
    ]

    @virtual
    async def run():
        for resumed in (True, False):
            async with open_session(record=said, resumed=resumed) as world:
                assert world.agent.start_args.resumed is resumed
                heard = [(line.who, line.text) for line in world.agent.host.history()]
                assert heard == ([("agent", "Hello."), ("caller", "My order, please.")] if resumed else [])
                record = await world.hang_up()
                assert len(record.transcript) == 3  # nothing is recorded twice

    run()


@virtual
async def test_a_call_that_is_over_before_it_begins_needs_no_agent():
    async with open_session() as world:
        await world.hang_up()
    async with open_session(early_end=True) as world:
        await world.task
        assert world.agent.start_args is None


@virtual
async def test_afterwards_the_hook_gets_the_call_once():
    async with open_session() as world:
        await world.run(1)
        assert world.hook.begun == []
        await world.hang_up()
        assert world.hook.begun == [("default", "call-1", "puppet")]
        assert world.events(EventKind.MEDIA_CLOSED)
