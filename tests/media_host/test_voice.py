import asyncio
import base64

import numpy
import pytest

from media_host import listening
from media_host.handover import HandoverVoice
from media_host.voice import HostVoice
from tests.support.session_world import BEEP, open_session, virtual


def test_it_is_what_a_handover_needs():
    voice: type[HandoverVoice] = HostVoice
    assert voice


class Voice:
    """A synthesiser."""

    async def say(self, text, voice, sample_rate):
        return b"\x20\x20" * (sample_rate // 2)


@virtual
async def test_the_agent_announces_and_it_is_heard_to_its_end():
    async with open_session(says_ms=1500) as world:
        began = world.ms()
        await world.session._voice.announce("A caller for you.")
        assert world.agent.said == ["A caller for you."]
        assert 1600 < world.ms() - began < 1800
        assert world.wire.heard == b"\x09" * 48 * 1500


@pytest.mark.parametrize("how", ["cannot", "hangs", "says nothing"])
def test_what_the_agent_does_not_say_the_host_says(how):
    @virtual
    async def run():
        async with open_session() as world:

            async def hangs(text):
                await asyncio.Event().wait()

            async def nothing(text):
                pass

            world.notices._synthesiser = Voice()
            if how != "cannot":
                world.agent.say = hangs if how == "hangs" else nothing
            began = world.ms()
            await world.session._voice.announce("A caller for you.")
            assert world.wire.heard == b"\x20\x20" * 12_000
            assert world.ms() - began < 4000

    run()


@virtual
async def test_a_cancelled_announcement_is_cut():
    async with open_session(says_ms=5000) as world:
        task = asyncio.create_task(world.session._voice.announce("A long story."))
        await world.run(1)
        task.cancel()
        await asyncio.wait({task})
        heard = len(world.wire.heard)
        assert len(world.wire.stops) == 1
        await world.run(2)
        assert len(world.wire.heard) == heard < 48 * 1500


@virtual
async def test_nobody_waits_for_ever_for_an_agent_that_never_ends_its_turn():
    async with open_session() as world:
        world.agent.speak(1000, end=False)
        began = world.ms()
        await world.session._voice.play_out()
        assert 1000 < world.ms() - began < 2500


@virtual
async def test_nobody_waits_for_a_caller_who_is_gone():
    async with open_session() as world:
        world.agent.speak(20_000)
        waiting = asyncio.create_task(world.session._voice.play_out())
        await world.run(1)
        world.session.on_close(1000, "")
        await world.run(0)
        await waiting
        assert await world.session._voice.gone_within(5)


@virtual
async def test_a_deaf_agent_hears_neither_speech_nor_is_its_own_end_undone():
    async with open_session() as world:
        voice = world.session._voice
        voice.deafen()
        world.caller()
        voice.undeafen()
        world.caller()
        assert len(world.agent.heard) == 1
        world.agent.finish()
        voice.undeafen()
        world.caller()
        assert len(world.agent.heard) == 1


@virtual
async def test_a_beep_only_when_nobody_speaks():
    async with open_session() as world:
        world.session._voice.beep()
        world.session._voice.beep()
        await world.run(1)
        assert world.wire.heard.count(BEEP) == 1


@virtual
async def test_any_key_confirms_and_goes_nowhere_else():
    async with open_session() as world:
        task = asyncio.create_task(world.session._voice.confirmation("key", 10))
        await world.run(1)
        assert not task.done()
        world.key("1")
        assert await task and world.agent.keys == []
        assert world.session._keys._count == 0  # it was not the caller's
        assert not await world.session._voice.confirmation("key", 2)
        world.key("2")
        assert world.agent.keys == ["2"]


class Loud:
    """A detector that takes everything over the gate for speech."""

    def is_speech(self, frame):
        return True


SPEECH = (numpy.sin(numpy.arange(480) / 12.0) * 6000).astype("<i2").tobytes()


async def talk(world, ms, speech=True):
    for _ in range(ms // 20):
        world.caller(base64.b64encode(SPEECH if speech else bytes(960)))
        await world.run(0.02)


@pytest.mark.parametrize(
    ("lengths", "confirmed"),
    [
        ([-500, 800, -1000], True),  # "hello?"
        ([-500, 4000, -2000, 800, -1000], False),  # a voicemail talks on, whatever it says afterwards
        ([800, -1000], False),  # somebody was speaking already
        ([800, -1000, 600, -1000], True),  # and then answers
        ([-5000], False),
    ],
)
def test_a_person_answers_shortly_and_waits(lengths, confirmed, monkeypatch):
    monkeypatch.setattr(listening, "pocketsphinx_detector", Loud)

    @virtual
    async def run():
        async with open_session() as world:
            task = asyncio.create_task(world.session._voice.confirmation("voice", 60))
            await world.run(0)
            for ms in lengths:
                await talk(world, abs(ms), ms > 0)
            assert task.done() is confirmed
            world.key("1")
            assert await task  # a key does it too

    run()


def test_nothing_counts_while_we_speak(monkeypatch):
    monkeypatch.setattr(listening, "pocketsphinx_detector", Loud)

    @virtual
    async def run():
        async with open_session() as world:
            task = asyncio.create_task(world.session._voice.confirmation("voice", 60))
            world.agent.speak(4000)
            await talk(world, 500, False)
            await talk(world, 800)
            await talk(world, 3500, False)
            assert not task.done()
            await talk(world, 800)
            await talk(world, 1000, False)
            assert task.done()

    run()


def test_without_a_detector_a_key_confirms(monkeypatch):
    def missing():
        raise ImportError

    monkeypatch.setattr(listening, "pocketsphinx_detector", missing)

    @virtual
    async def run():
        async with open_session() as world:
            task = asyncio.create_task(world.session._voice.confirmation("voice", 60))
            await world.run(0)
            world.key("1")
            assert await task

    run()
