"""When a session is renewed, and how often a lost one is sought again (realtime.md section 11). No I/O and no clock."""

from collections import deque

MARGIN_S = 300.0
"""A session is renewed this long before it expires (s); a short one after five sixths of its life."""
PATIENCE_S = 60.0
"""How long a quiet moment is waited for (s)."""
TRIES = 3
WITHIN_S = 5.0
"""A lost session is sought `TRIES` times within `WITHIN_S` seconds."""
PAUSES_S = (0.0, 0.3, 1.0)
LOSSES = 3
LOSSES_S = 60.0
"""A model that is lost more often than `LOSSES` times in `LOSSES_S` seconds is given up."""


class Renewal:
    """The plan for one session; times are Unix seconds.

    Args:
        opened: when it was opened.
        expires: when the service ends it, if it says so.
        longest_s: it lasts no longer than this (s).

    Attributes:
        due: from then on, in a quiet moment.
        latest: then, quiet or not.
    """

    def __init__(self, opened: float, expires: float | None, longest_s: float) -> None:
        self.due = opened + longest_s
        end = None
        if expires is not None and expires > opened:  # a clock that is behind ours tells us nothing
            life = expires - opened
            self.due = min(self.due, expires - min(MARGIN_S, life / 6))
            end = expires - min(MARGIN_S, life / 6) / 5
        self.latest = self.due + PATIENCE_S if end is None else min(self.due + PATIENCE_S, end)


class Losses:
    """Counts the sessions that a call has lost."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=LOSSES + 1)

    def too_many(self, now: float) -> bool:
        """One more is lost; whether to give up."""
        self._at.append(now)
        return len(self._at) > LOSSES and now - self._at[0] < LOSSES_S
