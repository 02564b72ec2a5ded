"""Keys that the caller presses: counted for the record, and given to exactly one taker. No key is ever written down."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_host.event_log import EventLog
from shared.calls.events import EventKind

TOGETHER_S = 1.0
"""Keys pressed within this time are one entry of the record (s)."""

type Taker = Callable[[str], None]


class Keys:
    """One call's.

    Args:
        log: gets the number of keys, in bundles.
        otherwise: gets the keys that nobody has taken for now.
    """

    def __init__(self, log: EventLog, otherwise: Taker) -> None:
        self._log = log
        self._otherwise = otherwise
        self._taker: Taker | None = None
        self._counts = True
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        """One key: `0`-`9`, `*`, `#`, `A`-`D`."""
        self._count += self._counts
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_S, self.note)
        (self._taker or self._otherwise)(key)

    @contextmanager
    def taken_by(self, taker: Taker, *, callers: bool = True) -> Iterator[None]:
        """All keys go to `taker` and nowhere else; the one before gets them again afterwards.

        `callers`: they are the caller's, and are counted.
        """
        before = self._taker, self._counts
        self._taker, self._counts = taker, callers
        try:
            yield
        finally:
            self._taker, self._counts = before

    def note(self) -> None:
        """Record how many there have been since the last time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._count:
            self._log.note(EventKind.KEYS, count=self._count)
            self._count = 0
