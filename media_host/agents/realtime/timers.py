"""Timers of one call, by name."""

import asyncio
from collections.abc import Callable


class Timers:
    """At most one of each name runs; none after `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def start(self, name: str, seconds: float, then: Callable[[], None], *, anew: bool = True) -> None:
        """Call `then` in `seconds`; one of that name that runs begins `anew`, or is left alone."""
        if self._closed or (name in self._running and not anew):
            return
        self.stop(name)

        def fire() -> None:
            del self._running[name]
            then()

        self._running[name] = self._loop.call_later(seconds, fire)

    def stop(self, name: str) -> None:
        """Do not call it."""
        timer = self._running.pop(name, None)
        if timer is not None:
            timer.cancel()

    def running(self, name: str) -> bool:
        """Whether it will be called."""
        return name in self._running

    def close(self) -> None:
        """Call nothing any more."""
        self._closed = True
        for name in list(self._running):
            self.stop(name)
