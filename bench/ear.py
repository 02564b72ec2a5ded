"""What a caller has really heard: the far ends of two kinds of line, with audio in which every sample says whose it is.

The ACS line is the emulator's own: its reader of messages, and its queue that is played 20 ms per tick. The line with marks
plays on at once and sends marks back when what stood before them has been played (as Twilio does).
"""

import base64
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy

from emulator.acs.media import FRAME_MS, Playout, read_message
from media_host.agents.base import Codec

MS_SAMPLES = 24
"""Samples per ms of the ACS line."""


def speech(codec: Codec, voice: int, ms: float) -> bytes:
    """Base64 of `ms` in which every sample is the number `voice` (1 to 250)."""
    sample = bytes([voice]) if codec is Codec.ULAW_8K else voice.to_bytes(2, "little")
    return base64.b64encode(sample * round(ms * codec.sample_rate / 1000))


@dataclass(slots=True)
class Played:
    """A stretch of one voice that has been played, or is: when it began and how long it is (ms)."""

    at_ms: float
    voice: int
    ms: float


class Ear:
    """Hears each stretch `delay_ms` after it was played.

    Args:
        delay_ms: from the line's playout to the ear.
    """

    def __init__(self, delay_ms: float = 0.0) -> None:
        self._delay = delay_ms
        self.played: deque[Played] = deque()
        self._before: defaultdict[int, float] = defaultdict(float)

    def hear(self, at_ms: float, voice: int, ms: float) -> None:
        """`ms` of `voice` begin to be played at `at_ms`, later than all that came before."""
        self.played.append(Played(at_ms, voice, ms))

    def heard(self, at_ms: float) -> dict[int, float]:
        """Milliseconds of each voice heard by `at_ms`, from the first call on; times must not go back."""
        horizon = at_ms - self._delay
        while self.played and self.played[0].at_ms + self.played[0].ms <= horizon:
            done = self.played.popleft()
            self._before[done.voice] += done.ms
        found: dict[int, float] = dict(self._before)
        for part in self.played:
            if part.at_ms >= horizon:
                break
            found[part.voice] = found.get(part.voice, 0.0) + min(part.ms, horizon - part.at_ms)
        return found

    def stopped(self, at_ms: float) -> None:
        """What would begin later than `at_ms` is not played; what is being played ends."""
        while self.played and self.played[-1].at_ms >= at_ms:
            self.played.pop()
        if self.played:
            last = self.played[-1]
            last.ms = min(last.ms, at_ms - last.at_ms)


class AcsEnd:
    """The service's end of an ACS line: the emulator's queue.

    Args:
        delay_ms: from the service to the ear.

    Attributes:
        ear: what the caller hears.
        stale: frames of forbidden voices that were played after all.
    """

    def __init__(self, delay_ms: float) -> None:
        self.ear = Ear(delay_ms)
        self.stale = 0
        self.forbidden: set[int] = set()
        self._queue = Playout(Codec.PCM16_24K.sample_rate)

    def take_in(self, message: bytes, now_ms: float) -> str:
        """A message of the app: returns "audio", "stop" or "other"."""
        kind, pcm = read_message(message)
        if kind == "audio":
            self._queue.push(pcm)
            if not self.forbidden.isdisjoint(voices(pcm)):
                self.stale += 1
        elif kind == "stop":
            self._queue.stop()
        return kind

    def tick(self, now_ms: float) -> None:
        """20 ms are played."""
        pcm = self._queue.take()
        if pcm is not None:
            at = now_ms
            for voice, ms in voices(pcm).items():
                self.ear.hear(at, voice, ms)
                at += ms
                self.stale += voice in self.forbidden


class MarkEnd:
    """The far end of a line that echoes marks: it plays without ticks, as soon as something comes.

    Args:
        echo: called with (when it leaves, name) for each mark that is played, or cleared.
    """

    def __init__(self, echo: Callable[[float, str], None]) -> None:
        self.ear = Ear()
        self.stale = 0
        self.forbidden: set[int] = set()
        self._echo = echo
        self._free_at = 0.0
        self._marks: deque[tuple[float, str]] = deque()

    def take_in(self, audio: bytes, now_ms: float) -> None:
        """Base64 audio, mu-law at 8 kHz."""
        for voice, count in Counter(base64.b64decode(audio)).items():
            start = max(self._free_at, now_ms)
            self.ear.hear(start, voice, count / 8)
            self._free_at = start + count / 8
            self.stale += voice in self.forbidden

    def mark(self, name: str, now_ms: float) -> None:
        """Send `name` back when all that has come is played."""
        self._marks.append((max(self._free_at, now_ms), name))

    def tick(self, now_ms: float) -> None:
        """Send back what is due."""
        while self._marks and self._marks[0][0] <= now_ms:
            at, name = self._marks.popleft()
            self._echo(at, name)

    def clear(self, now_ms: float) -> None:
        """Play no more of what has come; its marks come back at once."""
        self.tick(now_ms)
        self.ear.stopped(now_ms)
        self._free_at = now_ms
        self._marks = deque((now_ms, name) for _, name in self._marks)


def voices(pcm: bytes) -> dict[int, float]:
    """Milliseconds of each voice in PCM16 at 24 kHz, in their order; silence and real speech (a notice) are nobody's."""
    samples = numpy.frombuffer(pcm, "<i2")
    blocks = samples[: len(samples) // MS_SAMPLES * MS_SAMPLES].reshape(-1, MS_SAMPLES)
    found: dict[int, float] = {}
    for voice in blocks[(blocks == blocks[:, :1]).all(axis=1), 0].tolist():
        if voice:
            found[voice] = found.get(voice, 0.0) + 1.0
    return found


TICK_WAIT_MS = FRAME_MS / 2
"""What audio waits for the service's next tick, on the average: a part of the path."""
