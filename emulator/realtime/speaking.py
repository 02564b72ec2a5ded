"""What is spoken, cut into the pieces in which the service sends it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy

from emulator.realtime.faults import ModelFaults
from emulator.realtime.formats import Format

TONE_HZ = 330
TONE_MS_A_CHARACTER = 60


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text and when it is spoken, `at_ms` from the beginning for `ms`: by its share of the text's letters."""

    text: str
    at_ms: int
    ms: int


@dataclass(frozen=True, slots=True)
class Piece:
    """The words that begin in it, and audio in the session's format."""

    words: Sequence[Word]
    audio: bytes


def hum(text: str, sample_rate: int) -> bytes:
    """PCM16LE in place of speech, as long as the text would take: where there is no synthesiser."""
    count = max(1, len(text)) * TONE_MS_A_CHARACTER * sample_rate // 1000
    wave = numpy.sin(2 * numpy.pi * TONE_HZ / sample_rate * numpy.arange(count)) * 6000
    return bytes(wave.astype("<i2").tobytes())


def words_of(text: str, ms: float) -> list[Word]:
    """The words of a text that takes `ms` to speak."""
    words = text.split()
    letters = sum(len(word) + 1 for word in words) or 1
    found: list[Word] = []
    before = 0
    for word in words:
        share = len(word) + 1
        found.append(Word(word, round(ms * before / letters), max(1, round(ms * share / letters))))
        before += share
    return found


def pieces(
    text: str, audio: bytes, format: Format, faults: ModelFaults, rng: random.Random
) -> Iterator[Piece]:
    """The audio of a text in uneven pieces; words come with the piece in which they begin."""
    words = words_of(text, format.ms(len(audio)))
    whole = 1 if format.ulaw or faults.odd_bytes else 2
    at, spoken = 0, 0
    while at < len(audio) or spoken < len(words):
        size = round(rng.uniform(*faults.chunk_ms) * format.bytes_per_ms) // whole * whole
        if faults.odd_bytes:
            size |= 1
        end = min(len(audio), at + max(size, whole))
        last = spoken
        while last < len(words) and (words[last].at_ms <= format.ms(end) or end == len(audio)):
            last += 1
        yield Piece(words[spoken:last], audio[at:end])
        at, spoken = end, last
