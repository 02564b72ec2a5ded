"""Audio that an operation plays into a conversation: prompts, hold music, beeps."""

import math
from collections.abc import Callable, Collection

FRAME_MS = 20


class Sound:
    """PCM16LE mono that is played once or in a loop, 20 ms at a time.

    Args:
        pcm: at the conversation's rate.
        rate: that rate (Hz).
        to: raw ids of those who hear it; None is everybody but the one who plays it.
        loop: play it again and again.
        on_end: called once: True when all of it was heard, False when it was cancelled or the call ended.
    """

    def __init__(
        self,
        pcm: bytes,
        rate: int,
        to: Collection[str] | None,
        *,
        loop: bool = False,
        on_end: Callable[[bool], None] | None = None,
    ) -> None:
        self.to = None if to is None else frozenset(to)
        self._pcm = pcm
        self._frame = rate * 2 * FRAME_MS // 1000
        self._at = 0
        self._loop = loop and bool(pcm)
        self._on_end = on_end
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether it is over, for whichever reason."""
        return self._ended

    @property
    def remaining_ms(self) -> float:
        """What is still to be heard (ms); infinite for a loop, 0 after the end."""
        if self._ended:
            return 0.0
        return math.inf if self._loop else (len(self._pcm) - self._at) * FRAME_MS / self._frame

    def next_frame(self) -> bytes | None:
        """The next 20 ms, filled up with silence at the end; None after the end, which is told in the tick after the last frame."""
        if self._ended:
            return None
        if self._at >= len(self._pcm):
            if not self._loop:
                self._end(completed=True)
                return None
            self._at = 0
        frame = self._pcm[self._at : self._at + self._frame]
        self._at += self._frame
        return frame if len(frame) == self._frame else frame.ljust(self._frame, b"\0")

    def cancel(self) -> None:
        """Fall silent at the next tick; does nothing after the end."""
        if not self._ended:
            self._end(completed=False)

    def _end(self, *, completed: bool) -> None:
        self._ended = True
        if self._on_end is not None:
            self._on_end(completed)
