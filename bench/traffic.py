"""The frames of the benchmark: 20 ms of 24 kHz PCM16 (or of mu-law) in base64, with a stamp where the first samples would be.

The stamp says when, who and which; the rest of a frame is the speaker's own noise, so that a lost, doubled, swapped,
mixed-up or damaged frame is noticed. Both directions and both programs under test carry exactly these frames.
"""

import base64
import random
import struct
from array import array
from dataclasses import dataclass, field

FRAME_MS = 20
LATE_MS = 100.0
_STAMP = struct.Struct("<QIIQ")
_MAGIC = 0x5041544348434F52
STAMP_CHARS = 32
FRAME_CHARS = 1280
FRAME_BYTES = 960
ULAW_BYTES = 160


def noise(seed: int, size: int = FRAME_BYTES) -> bytes:
    """The base64 text behind a speaker's stamps in a frame of `size` bytes: 1248 characters of 1280, or 184 of Twilio's 216."""
    return base64.b64encode(random.Random(seed).randbytes(size - _STAMP.size))


def stamp(at_ns: int, speaker: int, number: int) -> bytes:
    """The first 32 base64 characters of a frame."""
    return base64.b64encode(_STAMP.pack(at_ns, speaker, number, _MAGIC))


@dataclass(slots=True)
class Ear:
    """What one side of one call has heard, checked frame by frame.

    Attributes:
        size: bytes of a frame.
        speaker: who is heard; -1 until the first frame.
        received: good frames.
        lost: numbers that were skipped.
        disordered: numbers that came twice or too late.
        damaged: frames that are not what was sent.
        crossed: frames of another speaker: somebody else's audio.
        gaps: where frames were skipped: the first number missing, and how many; the first ten.
    """

    size: int = FRAME_BYTES
    speaker: int = -1
    received: int = 0
    lost: int = 0
    disordered: int = 0
    damaged: int = 0
    crossed: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _next: int = 0
    _noise: bytes = field(default=b"", repr=False)

    def hear(self, audio: bytes, now_ns: int, window: "Window", latencies: "array[float]") -> None:
        """Check one frame's base64 text, and note its latency (ms) when it was sent within the window."""
        try:
            at_ns, speaker, number, magic = _STAMP.unpack(base64.b64decode(audio[:STAMP_CHARS]))
        except (ValueError, struct.error):
            self.damaged += 1
            return
        if self.speaker < 0 and magic == _MAGIC:
            self.speaker = speaker
            self._noise = noise(speaker, self.size)
        if magic != _MAGIC or len(audio) != STAMP_CHARS + len(self._noise):
            self.damaged += 1
            return
        if speaker != self.speaker:
            self.crossed += 1
            return
        if audio[STAMP_CHARS:] != self._noise:
            self.damaged += 1
            return
        self.received += 1
        if number == self._next:
            self._next += 1
        elif number > self._next:
            self.lost += number - self._next
            if len(self.gaps) < 10:
                self.gaps.append((self._next, number - self._next))
            self._next = number + 1
        else:
            self.disordered += 1
        if window.start_ns <= at_ns < window.end_ns:
            latencies.append((now_ns - at_ns) / 1e6)


@dataclass(slots=True)
class Window:
    """The measured time, in ns of the monotonic clock; empty until it is set."""

    start_ns: int = 1 << 62
    end_ns: int = 1 << 63


def summary(latencies: "array[float]") -> dict[str, float]:
    """Median, 99th percentile and maximum in ms, and how many were late by more than 100 ms."""
    if not latencies:
        return {"frames": 0, "p50": 0.0, "p99": 0.0, "max": 0.0, "late": 0}
    ordered = sorted(latencies)
    last = len(ordered) - 1
    return {
        "frames": len(ordered),
        "p50": round(ordered[last // 2], 3),
        "p99": round(ordered[last * 99 // 100], 3),
        "max": round(ordered[last], 3),
        "late": sum(latency > LATE_MS for latency in ordered),
    }
