"""Play sources: shapes, files over real HTTP, text and SSML."""

import contextlib

import aiohttp
import pytest

from emulator.acs.errors import RestError
from emulator.acs.operations import sources
from emulator.acs.operations.sources import (
    SoundFailed,
    Sounds,
    check_source,
    check_sources,
    espeak_voice,
    split_text,
)
from emulator.phone.audio import tone
from emulator.phone.audio import wav as wav_of
from shared.errors import AgentUnavailable
from tests.support.files import files


def file(uri: str, **more: object) -> dict:
    return {"kind": "file", "file": {"uri": uri}, **more}


def text(words: str, **more: object) -> dict:
    return {"kind": "text", "text": {"text": words, **more}}


def ssml(words: str) -> dict:
    return {"kind": "ssml", "ssml": {"ssmlText": words}}


class Voice:
    """Says a tone of 100 ms for everything; knows only English."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, int]] = []

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        self.said.append((text, voice, sample_rate))
        if not voice.startswith("en"):
            raise AgentUnavailable("no such voice")
        return tone(500, 0.1, sample_rate)


@contextlib.asynccontextmanager
async def sounds(voice: Voice | None = None):
    async def speaker() -> Voice:
        if voice is None:
            raise AgentUnavailable("espeak-ng is not installed")
        return voice

    async with aiohttp.ClientSession() as session:
        yield Sounds(session, speaker)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, "8523"),
        ({}, "8523"),
        ({"kind": "file"}, "8523"),
        ({"kind": "smoke", "smoke": {}}, "8523"),
        (file("ftp://x/a.wav"), "8523"),
        (file("a.wav"), "8523"),
        ({"kind": "file", "file": {"uri": 3}}, "8523"),
        (text(" "), "8582"),
        (text("x" * 4001), "8523"),
        ({"kind": "text", "text": {}}, "8523"),
        (ssml(""), "8582"),
    ],
)
def test_what_is_no_source(source: object, code: str) -> None:
    with pytest.raises(RestError) as caught:
        check_source(source, "PlaySources")
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize("source", [file("https://x/a.wav"), text("hi"), ssml("<speak>hi</speak>")])
def test_sources(source: dict) -> None:
    assert check_sources([source], "PlaySources") == [source]
    assert check_source({**source, "kind": source["kind"].upper()}, "PlaySources")


@pytest.mark.parametrize("value", [None, [], {}, [text("a")] * 11])
def test_too_few_and_too_many(value: object) -> None:
    with pytest.raises(RestError):
        check_sources(value, "PlaySources")


@pytest.mark.parametrize(
    ("arguments", "voice"),
    [
        (("en-US-NancyNeural",), "en-us+f3"),
        (("en-GB-SoniaNeural",), "en-gb+f3"),
        (("en-AU-NatashaNeural",), "en-us+f3"),
        (("de-DE-KatjaNeural",), "de+f3"),
        (("", "fr-FR", "male"), "fr-fr+m3"),
        (("", "", "Female"), "en-us+f3"),
        (("MyCustomVoice",), "en-us+f3"),
    ],
)
def test_voices(arguments: tuple, voice: str) -> None:
    assert espeak_voice(*arguments) == voice


def test_long_texts_are_cut_between_words() -> None:
    parts = split_text("one two three four five", 9)
    assert parts == ["one two", "three", "four five"]
    assert "".join(split_text("x" * 25, 10)) == "x" * 25
    assert split_text("short") == ["short"]


async def test_a_file_is_fetched_and_resampled() -> None:
    async with files(a=(200, wav_of(tone(440, 0.5, 8000), 8000))) as (base, _), sounds() as made:
        pcm = await made.pcm(file(f"{base}/a"), 16000)
    assert len(pcm) == 16000


@pytest.mark.parametrize(
    ("name", "sub_code"), [("missing", 8536), ("page", 8535), ("huge", 8535), ("denied", 8536)]
)
async def test_files_that_cannot_be_played(name: str, sub_code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE", 100_000)
    contents = {
        "missing": (404, b""),
        "page": (200, b"<html>"),
        "huge": (200, bytes(200_000)),
        "denied": (403, b""),
    }
    async with files(**contents) as (base, _), sounds() as made:
        with pytest.raises(SoundFailed) as caught:
            await made.pcm(file(f"{base}/{name}"), 16000)
    assert (caught.value.code, caught.value.sub_code) == (400, sub_code)


async def test_no_server() -> None:
    async with sounds() as made:
        with pytest.raises(SoundFailed) as caught:
            await made.pcm(file("http://127.0.0.1:1/a.wav"), 16000)
    assert caught.value.sub_code == 8536


async def test_a_cached_file_is_fetched_once_for_each_rate() -> None:
    async with files(a=(200, wav_of(tone(440, 0.1, 16000), 16000))) as (base, fetched), sounds() as made:
        for rate in (16000, 16000, 24000, 24000):
            await made.pcm(file(f"{base}/a", playSourceCacheId="menu"), rate)
        assert fetched == {"a": 2}
        await made.pcm(file(f"{base}/gone", playSourceCacheId="menu"), 16000)
        await made.pcm(file(f"{base}/a"), 16000)
        assert fetched == {"a": 3}


async def test_text_and_ssml_are_spoken() -> None:
    voice = Voice()
    async with sounds(voice) as made:
        assert len(await made.pcm(text("hello", voiceName="en-GB-RyanNeural"), 16000)) == 3200
        talk = '<speak>One<break time="100ms"/><voice name="de-DE-KatjaNeural">zwei</voice></speak>'
        assert len(await made.pcm(ssml(talk), 16000)) == 3200 * 3
        long = await made.pcm(text("word " * 700), 16000)
    assert voice.said[:4] == [
        ("hello", "en-gb+f3", 16000),
        ("One", "en-us+f3", 16000),
        ("zwei", "de+f3", 16000),
        ("zwei", "en-us+f3", 16000),
    ]
    assert len(long) == 6400


@pytest.mark.parametrize("source", [text("hello"), ssml("<speak>")])
async def test_what_cannot_be_spoken(source: dict) -> None:
    async with sounds() as made:
        with pytest.raises(SoundFailed) as caught:
            await made.pcm(source, 16000)
    assert (caught.value.code, caught.value.sub_code) == (400, 8565)


async def test_the_first_of_several_that_fails_is_named() -> None:
    voice = Voice()
    async with sounds(voice) as made:
        assert len(await made.all([text("a"), text("b")], 16000)) == 6400
        assert await made.all([], 16000) == b""
        with pytest.raises(SoundFailed) as caught:
            await made.all([text("a"), file("http://127.0.0.1:1/x"), ssml("<speak>")], 16000)
    assert caught.value.index == 1
