"""The delay of the path to the caller's ear, learned from a line that says when audio has been played.

Such a line (Twilio) sends each mark back when everything before it has been played. After a clear it sends all of them back at
once: those have the name of an older generation and count for nothing (realtime.md section 6). Marks correct the clock that
the ledger has; they do not replace it: between two marks only the clock knows.
"""

from collections import deque
from statistics import median

EVERY_MS = 200.0
"""Of audio, from one mark to the next."""

LOST_MS = 1500.0
"""No path is this long: a mark that is not back by then will not come."""

_REMEMBERED = 5
_ON_THE_WAY = 64


class Marks:
    """One call's. Times are milliseconds of the ledger's clock.

    Args:
        guess_ms: the delay as long as nothing is known.
    """

    def __init__(self, guess_ms: float) -> None:
        self._guess = guess_ms
        self._generation = 0
        self._count = 0
        self._pending: deque[tuple[str, float]] = deque(maxlen=_ON_THE_WAY)
        self._seen: deque[float] = deque(maxlen=_REMEMBERED)
        self._since = EVERY_MS  # the first audio is marked at once: its echo ends the guessing

    def sent(self, ms: float, end_ms: float) -> str:
        """`ms` of audio are handed over that would end at `end_ms` if there were no path; the mark to send behind it, or ""."""
        self._since += ms
        if self._since < EVERY_MS:
            return ""
        self._since = 0.0
        self._count += 1
        name = f"g{self._generation}.{self._count}"
        self._pending.append((name, end_ms))
        return name

    def echoed(self, name: str, now_ms: float) -> None:
        """The line has played what stood before `name`; marks older than the last flush, and unknown ones, mean nothing."""
        if not any(name == pending for pending, _ in self._pending):
            return
        while True:
            mark, end_ms = (
                self._pending.popleft()
            )  # the line keeps the order: what stood before it is played, or lost
            if mark == name:
                self._seen.append(max(0.0, now_ms - end_ms))
                return

    def flushed(self) -> None:
        """What is on its way was thrown away."""
        self._generation += 1
        self._pending.clear()
        self._since = EVERY_MS

    def delay_ms(self, now_ms: float) -> float:
        """The delay as it looks now: the median of the last echoes, or longer while an echo that should be back is not."""
        pending = self._pending
        while pending and now_ms - pending[0][1] > LOST_MS:
            pending.popleft()
        usual = median(self._seen) if self._seen else self._guess
        return max(usual, now_ms - pending[0][1]) if pending else usual
