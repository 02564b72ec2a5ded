"""What Twilio has still to play to the caller: a FIFO of mu-law with marks in it (reference/twilio-and-transfers.md 2C)."""

from collections import deque

from emulator.twilio.messages import FRAME_BYTES

BYTES_PER_MS = 8
MAX_QUEUED_MS = 5 * 60 * 1000
"""More than this does not fit (guessed; the documentation names no limit)."""
GAP_TICKS = 10
"""Audio that comes within 200 ms after the queue ran dry was late: the caller heard a hole. Later audio is new speech."""


class Playout:
    """Loses 20 ms per tick; a mark is done when all that came before it has been played, or thrown away.

    Attributes:
        received_ms: audio taken in (ms).
        played_ms: audio that the caller heard (ms).
        flushed_ms: audio thrown away by `clear` (ms).
        overflow_ms: audio that did not fit (ms).
        clears: `clear` messages.
        marks: marks that came.
        underruns: holes: the queue ran dry and was filled again within 200 ms.
        longest_queue_ms: the most that ever waited (ms).
    """

    def __init__(self) -> None:
        self.received_ms = 0.0
        self.played_ms = 0.0
        self.flushed_ms = 0.0
        self.overflow_ms = 0.0
        self.clears = 0
        self.marks = 0
        self.underruns = 0
        self.longest_queue_ms = 0.0
        self._queue = bytearray()
        self._taken = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._dry_ticks = 0

    @property
    def queued_ms(self) -> float:
        """What waits (ms)."""
        return len(self._queue) / BYTES_PER_MS

    def push(self, audio: bytes) -> None:
        """Take audio of any length."""
        if self.queued_ms > MAX_QUEUED_MS:
            self.overflow_ms += len(audio) / BYTES_PER_MS
            return
        if 0 < self._dry_ticks <= GAP_TICKS:
            self.underruns += 1
        self._dry_ticks = 0
        self._queue += audio
        self.received_ms += len(audio) / BYTES_PER_MS
        self.longest_queue_ms = max(self.longest_queue_ms, self.queued_ms)

    def mark(self, name: str) -> list[str]:
        """Take a mark; returns it at once when nothing waits before it."""
        self.marks += 1
        self._marks.append((self._taken + len(self._queue), name))
        return self._done()

    def clear(self) -> list[str]:
        """Throw away what waits; returns all marks that were in it."""
        self.clears += 1
        self.flushed_ms += self.queued_ms
        self._taken += len(self._queue)
        self._queue.clear()
        self._dry_ticks = GAP_TICKS + 1
        return self._done()

    def take(self) -> tuple[bytes | None, list[str]]:
        """The next 20 ms (less at the end of what waits; None when nothing does) and the marks that are done with it."""
        queue = self._queue
        if not queue:
            if self.received_ms:
                self._dry_ticks += 1
            return None, []
        audio = bytes(queue[:FRAME_BYTES])
        del queue[:FRAME_BYTES]
        self._taken += len(audio)
        self.played_ms += len(audio) / BYTES_PER_MS
        return audio, self._done()

    def _done(self) -> list[str]:
        done = []
        while self._marks and self._marks[0][0] <= self._taken:
            done.append(self._marks.popleft()[1])
        return done
