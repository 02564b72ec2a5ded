import asyncio
import math
import os
import signal
import sys
from pathlib import Path

import numpy
import pytest
import pytest_asyncio

from media_host.speech.synthesiser import Synthesiser
from shared.errors import AgentUnavailable, InvalidInput

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def synthesiser():
    async with Synthesiser() as synthesiser:
        yield synthesiser


def peak_dbfs(pcm):
    return 20 * math.log10(numpy.abs(numpy.frombuffer(pcm, numpy.int16).astype(float)).max() / 32768)


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-us+m3"])
@pytest.mark.parametrize("sample_rate", [8000, 16000, 24000])
async def test_speech_has_the_asked_length_and_level(synthesiser, voice, sample_rate):
    pcm = await synthesiser.say("where is my order", voice, sample_rate)
    assert 0.6 < len(pcm) / 2 / sample_rate < 2.0
    assert -10 < peak_dbfs(pcm) <= -8.9


async def test_voices_and_rates_differ(synthesiser):
    plain = await synthesiser.say("one two three")
    assert await synthesiser.say("one two three", "en-us+f3") != plain
    assert len(await synthesiser.say("one two three", rate=300)) < len(plain)


async def test_the_same_prompt_is_made_once(synthesiser):
    first = await synthesiser.say("a prompt to keep")
    assert await synthesiser.say("a prompt to keep") is first


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_nothing_to_say_is_no_audio(synthesiser, text):
    assert await synthesiser.say(text) == b""


async def test_markup_and_odd_characters_are_only_text(synthesiser):
    assert await synthesiser.say("<speak>a & b</speak> [[k]] é 😀 ; rm -rf")


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("text", {"text": "x" * 2001}),
        ("text", {"text": "a\0b"}),
        ("voice", {"text": "a", "voice": "../../etc/passwd"}),
        ("voice", {"text": "a", "voice": ""}),
        ("sample_rate", {"text": "a", "sample_rate": 44100}),
        ("rate", {"text": "a", "rate": 10}),
    ],
)
async def test_wrong_arguments_are_named(synthesiser, field, arguments):
    with pytest.raises(InvalidInput) as caught:
        await synthesiser.say(**arguments)
    assert caught.value.field == field


async def test_an_unknown_voice_is_said_so(synthesiser):
    with pytest.raises(AgentUnavailable, match="no voice 'xx'"):
        await synthesiser.say("a", "xx")


async def test_a_prompt_survives_the_death_of_the_child(synthesiser):
    os.kill(synthesiser.child.pid, signal.SIGKILL)
    assert await synthesiser.say("still here")


async def test_the_cache_is_bounded_and_forgets_the_oldest():
    async with Synthesiser(cache_bytes=100_000) as synthesiser:
        first = await synthesiser.say("one two three")  # some 50 000 bytes each
        second = await synthesiser.say("four five six")
        assert await synthesiser.say("one two three") is first
        await synthesiser.say("seven eight nine")
        assert await synthesiser.say("one two three") is first
        assert await synthesiser.say("four five six") is not second
        assert synthesiser._cached == sum(map(len, synthesiser._cache.values())) <= 100_000


async def test_the_gpl_library_is_not_in_this_process(synthesiser):
    assert Synthesiser.installed()
    await synthesiser.say("hello")
    assert "espeakng_loader" not in sys.modules
    maps = Path("/proc/self/maps")  # Linux only
    if await asyncio.to_thread(maps.exists):
        assert "espeak" not in await asyncio.to_thread(maps.read_text)
