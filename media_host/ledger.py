"""What the caller has really heard, by the only clock there is: when audio was handed to the line (realtime.md section 6)."""

from collections import deque

from media_host.agents.base import Heard

PATH_DELAY_MS = 150.0
"""From our socket to the caller's ear, about; ACS gives no acknowledgement of playout (acs.md 3.3), so this is believed."""

_LONG = 128


class Ledger:
    """Counts, per turn, the milliseconds made and heard. Times are milliseconds of one clock that never goes back.

    Attributes:
        delay_ms: how much later than handed over a sample is heard; it may be corrected at any time (`marks.Marks`).
    """

    __slots__ = ("_due", "_ended", "_heard", "_made", "_next", "delay_ms")

    def __init__(self, delay_ms: float = PATH_DELAY_MS) -> None:
        self.delay_ms = delay_ms
        self._made: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._ended: set[str] = set()
        self._due: deque[tuple[float, str, float]] = deque()  # start, turn, length
        self._next = 0.0

    def made(self, turn: str, ms: float) -> None:
        """`ms` of `turn` have come from the agent."""
        self._made[turn] = self._made.get(turn, 0.0) + ms

    def sent(self, now_ms: float, turn: str, ms: float) -> float:
        """`ms` of `turn` are handed to the line; returns when they begin to play there."""
        start = self._next if self._next > now_ms else now_ms
        self._due.append((start, turn, ms))
        self._next = start + ms
        if len(self._due) > _LONG:
            self._settle(now_ms)
        return start

    def lead(self, now_ms: float) -> float:
        """Milliseconds handed over that the line has not begun to play."""
        return self._next - now_ms if self._next > now_ms else 0.0

    def end(self, turn: str) -> None:
        """Nothing more of `turn` will come."""
        if turn in self._made:
            self._ended.add(turn)

    @property
    def open(self) -> bool:
        """Whether any turn is not yet ended and heard."""
        return bool(self._made)

    @property
    def ending(self) -> bool:
        """Whether a turn has ended that is not heard yet."""
        return bool(self._ended)

    def finished(self, now_ms: float) -> list[Heard]:
        """Turns that have ended and are heard to their end, once each."""
        if not self._ended:
            return []
        self._settle(now_ms)
        done = [turn for turn in self._made if turn in self._ended and self._left(turn) < 0.5]
        found = [self._take(turn) for turn in done]
        return found

    def cut(self, now_ms: float) -> list[Heard]:
        """Everything not heard by now is flushed: how much of each turn was heard; then the ledger is empty."""
        self._settle(now_ms)
        horizon = now_ms - self.delay_ms
        if self._due:  # the one that is playing
            start, turn, ms = self._due[0]
            if start < horizon:
                self._heard[turn] = self._heard.get(turn, 0.0) + min(ms, horizon - start)
        found = [self._take(turn) for turn in list(self._made)]
        self._due.clear()
        self._next = 0.0
        return found

    def _left(self, turn: str) -> float:
        return self._made[turn] - self._heard.get(turn, 0.0)

    def _take(self, turn: str) -> Heard:
        made = self._made.pop(turn)
        self._ended.discard(turn)
        return Heard(turn, round(min(self._heard.pop(turn, 0.0), made)), round(made))

    def _settle(self, now_ms: float) -> None:
        """Book what has been heard to its end."""
        due, horizon = self._due, now_ms - self.delay_ms
        while due and due[0][0] + due[0][2] <= horizon:
            _, turn, ms = due.popleft()
            if turn in self._made:
                self._heard[turn] = self._heard.get(turn, 0.0) + ms
