import base64
import math
import struct

import pytest

from media_host.agents.base import SpeechStarted, SpeechStopped, TurnEnded, TurnStarted
from media_host.barge_in import KEPT_TURNS, BargeIn
from shared.calls.events import EventKind
from tests.support.session_world import open_session, virtual

RATE = 24_000
WAVE = [
    round(sum(9000 / n * math.sin(math.tau * 130 * n * at / RATE) for n in range(1, 12)))
    for at in range(RATE // 50)
]
VOWEL = base64.b64encode(struct.pack(f"<{len(WAVE)}h", *WAVE))
QUIET = base64.b64encode(bytes(960))
PIECE = base64.b64encode(b"\5" * 960)


@virtual
async def test_a_turn_that_may_not_be_interrupted_is_heard_to_its_end():
    async with open_session() as world:
        pcm = world.agent.speak(1000, barge_in="never")
        await world.run(0.3)
        world.agent.host.event(SpeechStarted(100))
        await world.run(2)
        assert world.wire.heard == pcm and world.wire.stops == [] and world.agent.turns == ["t1"]
        world.agent.speak(1000, "t2")  # what comes after it may be
        await world.run(0.3)
        world.agent.host.event(SpeechStarted(0))
        assert len(world.wire.stops) == 1


@virtual
async def test_one_turn_that_must_be_heard_protects_what_is_queued_with_it():
    async with open_session() as world:
        world.agent.speak(500, "t1", barge_in="never")
        world.agent.speak(500, "t2")
        world.agent.host.event(SpeechStarted(0))
        assert world.wire.stops == []
        await world.run(0.8)  # t1 is heard: 500 ms and the way to the ear
        world.agent.host.event(SpeechStarted(0))
        assert len(world.wire.stops) == 1


@virtual
async def test_a_turn_without_audio_protects_nothing():
    async with open_session() as world:
        world.agent.host.event(TurnStarted("empty", "never"))
        world.agent.host.event(TurnEnded("empty"))
        world.agent.host.event(TurnStarted("late", "never"))
        world.agent.speak(500)
        world.agent.host.event(SpeechStarted(0))
        assert len(world.wire.stops) == 1


@virtual
async def test_a_turn_that_was_broken_off_protects_nothing_once_it_was_heard():
    async with open_session() as world:
        world.agent.speak(200, "t1", barge_in="never", end=False)
        await world.run(1)
        world.agent.speak(500, "t2")
        world.agent.host.event(SpeechStarted(0))
        assert len(world.wire.stops) == 1


@pytest.mark.parametrize(("ago", "stops_at"), [(0, 250), (100, 150), (400, 0)])
def test_confirmed_speech_lasts_250_ms(ago, stops_at):
    @virtual
    async def run():
        async with open_session() as world:
            world.agent.speak(3000, barge_in="confirmed")
            await world.run(0.5)
            began = world.ms()
            world.agent.host.event(SpeechStarted(ago))
            world.agent.host.event(SpeechStarted(ago))  # told twice
            await world.run(0.6)
            assert world.wire.stops == [pytest.approx(began + stops_at, abs=1)]
            [event] = world.events(EventKind.BARGE_IN)
            assert event["silenceMs"] == pytest.approx(max(250, ago), abs=1)
            assert len(world.agent.flushes) == 1

    run()


@virtual
async def test_a_cough_is_not_confirmed():
    async with open_session() as world:
        pcm = world.agent.speak(1000, barge_in="confirmed")
        await world.run(0.3)
        world.agent.host.event(SpeechStarted(0))
        await world.run(0.2)
        world.agent.host.event(SpeechStopped())
        await world.run(1)
        assert world.wire.stops == [] and world.wire.heard == pcm


async def say(world, ms, *, loud=True):
    """The caller's audio, frame by frame: a vowel, or silence."""
    frame = VOWEL if loud else QUIET
    for _ in range(ms // 20):
        world.session.line.on_audio(frame)
        await world.run(0.02)


@virtual
async def test_a_models_report_needs_the_hosts_own_ear():
    """A model tells of the end of speech only half a second later: its report alone would confirm every cough."""
    async with open_session("barge_in: confirmed") as world:
        world.agent.speak(5000, barge_in="confirmed")
        await say(world, 300, loud=False)
        world.agent.host.event(SpeechStarted(0))
        await say(world, 120)
        await say(world, 500, loud=False)
        world.agent.host.event(SpeechStopped())
        assert world.wire.stops == []
        world.agent.host.event(SpeechStarted(0))  # and now a word
        began = world.ms()
        await say(world, 500)
        [stopped] = world.wire.stops
        assert 300 <= stopped - began <= 440


@virtual
async def test_an_ear_without_a_report_interrupts_nobody():
    async with open_session("greeting_barge_in: confirmed") as world:
        world.agent.speak(3000, barge_in="confirmed")
        await say(world, 300, loud=False)
        await say(world, 600)
        assert world.wire.stops == []
        world.agent.host.event(SpeechStarted(200))  # the model is late, the ear has known for long
        assert len(world.wire.stops) == 1


@virtual
async def test_what_must_be_heard_by_the_time_of_confirmation_is_heard():
    async with open_session() as world:
        world.agent.speak(300, "t1", barge_in="confirmed")
        await world.run(0.3)
        world.agent.host.event(SpeechStarted(0))
        world.agent.speak(1000, "t2", barge_in="never")
        await world.run(2)
        assert world.wire.stops == []


@virtual
async def test_the_wire_hears_of_silence_before_anybody_else():
    async with open_session() as world:
        order = world.wire.order
        world.agent.flushed = lambda heard: order.append("agent")
        world.agent.speak(1000)
        await world.run(0.3)
        order.clear()
        world.agent.host.event(SpeechStarted(0))
        assert order[:2] == ["StopAudio", "agent"]


@virtual
async def test_of_a_flushed_turn_not_a_frame_more_is_heard():
    async with open_session() as world:
        host = world.agent.host
        world.agent.speak(1000, "t1", end=False)
        await world.run(0.3)
        host.event(SpeechStarted(0))
        heard = len(world.wire.audio)
        for _ in range(50):  # still on their way when the agent was interrupted
            host.audio("t1", PIECE)
            await world.run(0.02)
        assert len(world.wire.audio) == heard
        pcm = world.agent.speak(100, "t2", fill=3)
        host.audio("t1", PIECE)
        await world.run(1)
        assert b"".join(samples for _, samples in world.wire.audio[heard:]) == pcm
        host.event(TurnStarted("t1"))  # the same name, begun anew
        host.audio("t1", PIECE)
        await world.run(0.1)
        assert world.wire.heard.endswith(b"\5" * 960)


@virtual
async def test_what_the_agent_flushes_itself_is_stale_too():
    async with open_session() as world:
        world.agent.speak(1000, "t1", end=False)
        await world.run(0.3)
        [heard] = world.agent.host.interrupt()
        assert heard.turn == "t1"
        before = len(world.wire.audio)
        world.agent.host.audio("t1", PIECE)
        await world.run(0.1)
        assert len(world.wire.audio) == before


def test_memory_is_bounded():
    barge_in = BargeIn(lambda: 0.0, lambda ms: None)
    for number in range(1000):
        barge_in.turn_started(f"a{number}", "never")
        barge_in.audio_came(f"t{number}", drained=False)
        barge_in.over([f"t{number}"], flushed=True)
    assert len(barge_in._stale) == len(barge_in._announced) == KEPT_TURNS
    assert barge_in.is_stale("t999") and not barge_in.is_stale("t0")


def test_nobody_speaks_for_ever_without_news():
    now = 0.0
    barge_in = BargeIn(lambda: now, lambda ms: None)
    barge_in.speech_started(50)
    assert barge_in.speaking
    now = 10_000.0
    assert not barge_in.speaking
