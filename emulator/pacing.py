"""One 20 ms heartbeat for all calls of the process, against an absolute schedule, so that nothing drifts."""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from emulator.lateness import Lateness

log = logging.getLogger(__name__)

TICK_S = 0.020
SLOTS = 10
"""The calls are spread over the 20 ms, 2 ms apart: a hundred at one instant would make the last one wait for all others."""
MAX_BEHIND_S = 2.0
"""A process that was stopped for longer than this goes on from now instead of catching up."""

type OnTick = Callable[[float], None]


class _Slot:
    """Those who are called at the same instant."""

    __slots__ = ("due", "listeners", "offset_s", "timer")

    def __init__(self, offset_s: float) -> None:
        self.offset_s = offset_s
        self.due = 0.0
        self.listeners: dict[OnTick, None] = {}
        self.timer: asyncio.TimerHandle | None = None


class Ticker:
    """Calls everybody who is registered every 20 ms with the time for which the tick is due (loop time, s).

    A late tick is made up for at once, one per pass of the loop, so that sockets are read in between.

    Attributes:
        ticks: beats so far, of all slots.
        late: beats that came more than 10 ms after they were due.
        skipped: beats left out after a stop of the process.
        begun: how late beats began.
        done: how late each listener was done: the frames of these 20 ms have been handed to the sockets.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.late = 0
        self.skipped = 0
        self.begun = Lateness()
        self.done = Lateness()
        self._slots = [_Slot(index * TICK_S / SLOTS) for index in range(SLOTS)]
        self._where: dict[OnTick, _Slot] = {}

    def add(self, listener: OnTick) -> None:
        """Register, where the fewest are; the first one of a slot starts its beat."""
        if listener in self._where:
            return
        slot = min(self._slots, key=lambda item: len(item.listeners))
        self._where[listener] = slot
        slot.listeners[listener] = None
        if slot.timer is None:
            loop = asyncio.get_running_loop()
            now = time.monotonic() - slot.offset_s
            slot.due = math.floor(now / TICK_S + 1) * TICK_S + slot.offset_s
            slot.timer = loop.call_at(slot.due, self._beat, loop, slot)

    def remove(self, listener: OnTick) -> None:
        """Take out; does nothing when it is not there. The last one of a slot stops its beat."""
        slot = self._where.pop(listener, None)
        if slot is not None:
            del slot.listeners[listener]
            if not slot.listeners and slot.timer is not None:
                slot.timer.cancel()
                slot.timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop, slot: _Slot) -> None:
        clock = time.monotonic  # `loop.time()` of uvloop stands still within a pass of the loop
        due = slot.due
        behind = clock() - due
        if behind > MAX_BEHIND_S:
            missed = int(behind / TICK_S)
            self.skipped += missed
            due += missed * TICK_S
        elif behind > 0.010:
            self.late += 1
        self.ticks += 1
        self.begun.note(behind)
        slot.due = due + TICK_S
        slot.timer = loop.call_at(slot.due, self._beat, loop, slot)
        for listener in list(slot.listeners):
            try:
                listener(due)
            except Exception:  # one call's mistake must not stop the others' audio
                log.exception("a call failed in its 20 ms tick")
                self.remove(listener)
            self.done.note(clock() - due)
