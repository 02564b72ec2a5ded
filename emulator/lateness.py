"""How late things were: a histogram that costs one addition per entry, however long the process runs."""

STEP_MS = 0.1
REACH_MS = 100.0
LATE_MS = 10.0
"""Beyond this a tick counts as late."""


class Lateness:
    """Counts by tenths of a millisecond up to 100 ms; what is later is counted in the last field, and `max_ms` knows it.

    Attributes:
        max_ms: the latest of all (ms).
    """

    __slots__ = ("_counts", "_last", "max_ms")

    def __init__(self) -> None:
        self._last = round(REACH_MS / STEP_MS)
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.max_ms = 0.0
        self._counts = [0] * (self._last + 1)

    def note(self, seconds: float) -> None:
        """Something was late by `seconds`; a timer that fired early counts as on time."""
        ms = seconds * 1000
        if ms > self.max_ms:
            self.max_ms = ms
        field = int(ms / STEP_MS) if ms > 0 else 0
        self._counts[field if field < self._last else self._last] += 1

    @property
    def count(self) -> int:
        """Entries."""
        return sum(self._counts)

    @property
    def late(self) -> int:
        """Entries of 10 ms and more."""
        return sum(self._counts[round(LATE_MS / STEP_MS) :])

    def quantile_ms(self, share: float) -> float:
        """The upper edge of the field in which the entry at `share` (0 to 1) lies (ms); 0 when there is none."""
        left = share * self.count
        if not left:
            return 0.0
        for field, number in enumerate(self._counts[:-1]):
            left -= number
            if left <= 0:
                return round((field + 1) * STEP_MS, 1)
        return self.max_ms

    def summary(self) -> dict[str, float]:
        """`count`, `p50`, `p99`, `max` (ms), and `late`, the share of entries beyond 10 ms."""
        count = self.count
        return {
            "count": count,
            "p50": self.quantile_ms(0.5),
            "p99": self.quantile_ms(0.99),
            "max": round(self.max_ms, 2),
            "late": round(self.late / count, 6) if count else 0.0,
        }
