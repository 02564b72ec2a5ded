"""One 20 ms heartbeat for all calls of the process, against an absolute schedule, so that nothing drifts."""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

TICK_S = 0.020
MAX_BEHIND_S = 2.0
"""A process that was stopped for longer than this goes on from now instead of catching up."""

type OnTick = Callable[[float], None]


class Ticker:
    """Calls everybody who is registered every 20 ms with the time for which the tick is due (loop time, s).

    A late tick is made up for at once, one per pass of the loop, so that sockets are read in between.

    Attributes:
        ticks: beats so far.
        late: beats that came more than 10 ms after they were due.
        skipped: beats left out after a stop of the process.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.late = 0
        self.skipped = 0
        self._listeners: dict[OnTick, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, listener: OnTick) -> None:
        """Register; the first one starts the beat."""
        self._listeners[listener] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + TICK_S
            self._timer = loop.call_at(self._due, self._beat, loop)

    def remove(self, listener: OnTick) -> None:
        """Take out; does nothing when it is not there. The last one stops the beat."""
        self._listeners.pop(listener, None)
        if not self._listeners and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._due
        behind = loop.time() - due
        if behind > MAX_BEHIND_S:
            missed = int(behind / TICK_S)
            self.skipped += missed
            due += missed * TICK_S
        elif behind > 0.010:
            self.late += 1
        self.ticks += 1
        self._due = due + TICK_S
        self._timer = loop.call_at(self._due, self._beat, loop)
        for listener in list(self._listeners):
            try:
                listener(due)
            except Exception:  # one call's mistake must not stop the others' audio
                log.exception("a call failed in its 20 ms tick")
                self.remove(listener)
