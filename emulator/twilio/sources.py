"""What a caller on the Twilio line hears, 20 ms at a time: PCM16LE mono at 8 kHz. Times are loop time (s)."""

import asyncio
from typing import Protocol

from emulator.acs.handset import Handset

SAMPLE_RATE = 8000
FRAME_SIZE = SAMPLE_RATE // 50 * 2


class Source(Protocol):
    """Whatever is at the other end of the line for the moment."""

    def exchange(self, said: bytes | None, now: float) -> tuple[bytes | None, float]:
        """Take 20 ms of what the caller says (None: nothing); returns what the caller hears, and how much more waits (ms)."""

    def press(self, key: str) -> None:
        """The caller presses a key."""


class Announcement:
    """Something that is played or spoken; `done` is set at its end.

    Args:
        pcm: PCM16LE mono at 8 kHz.
    """

    def __init__(self, pcm: bytes) -> None:
        self.done = asyncio.Event()
        self._pcm = pcm
        self._next = 0

    def exchange(self, said: bytes | None, now: float) -> tuple[bytes | None, float]:
        """See `Source`."""
        frame = self._pcm[self._next : self._next + FRAME_SIZE]
        self._next += FRAME_SIZE
        if not frame:
            self.done.set()
            return None, 0.0
        return frame.ljust(FRAME_SIZE, b"\0"), max(0, len(self._pcm) - self._next) / (SAMPLE_RATE / 500)

    def press(self, key: str) -> None:
        """See `Source`: nobody listens."""


class Bridge:
    """Another telephone at the other end.

    Args:
        other: its handset, which has picked up at 8 kHz.
    """

    def __init__(self, other: Handset) -> None:
        self._other = other

    def exchange(self, said: bytes | None, now: float) -> tuple[bytes | None, float]:
        """See `Source`."""
        self._other.hear(said, 0.0, now)
        return self._other.next_frame(now), 0.0

    def press(self, key: str) -> None:
        """See `Source`."""
        self._other.heard_key(key)
