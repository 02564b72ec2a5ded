"""DTMF: the words that Call Automation writes, the keys that people press, and the sound of them (ITU-T Q.23)."""

import math
from collections.abc import Sequence

import numpy

from emulator.acs.errors import invalid

WORDS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "A": "a",
    "B": "b",
    "C": "c",
    "D": "d",
    "#": "pound",
    "*": "asterisk",
}
"""`DtmfTone` by key (acs.md 1.4)."""
KEYS = {word: key for key, word in WORDS.items()}

ROWS = (697, 770, 852, 941)
COLUMNS = (1209, 1336, 1477, 1633)
PAD = ("123A", "456B", "789C", "*0#D")
FREQUENCIES = {
    key: (ROWS[row], COLUMNS[column]) for row, line in enumerate(PAD) for column, key in enumerate(line)
}
TONE_MS = 100
GAP_MS = 100
AMPLITUDE = 6000
"""Of each of the two tones (of 32767)."""


def key_of(word: object, field: str) -> str:
    """The key of a `DtmfTone`, in any case.

    Raises:
        RestError: 400/8523 there is no such tone.
    """
    key = KEYS.get(word.lower()) if isinstance(word, str) else None
    if key is None:
        raise invalid(field)
    return key


def keys_of(value: object, field: str) -> tuple[str, ...]:
    """The keys of a list of `DtmfTone`.

    Raises:
        RestError: 400/8523.
    """
    if not isinstance(value, list):
        raise invalid(field)
    return tuple(key_of(word, field) for word in value)


def sound(keys: Sequence[str], sample_rate: int) -> bytes:
    """What pressing `keys` sounds like: PCM16LE mono, each 100 ms long with 100 ms of silence behind it."""
    time = numpy.arange(sample_rate * TONE_MS // 1000) / sample_rate
    gap = bytes(sample_rate * GAP_MS // 1000 * 2)
    parts: list[bytes] = []
    for key in keys:
        low, high = FREQUENCIES[key]
        both = numpy.sin(2 * math.pi * low * time) + numpy.sin(2 * math.pi * high * time)
        parts += [(both * AMPLITUDE).astype("<i2").tobytes(), gap]
    return b"".join(parts)
