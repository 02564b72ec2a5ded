"""An event loop whose clock jumps to the next timer as soon as no socket has anything to say: an hour passes in seconds.

Sockets are real. What one end sends on 127.0.0.1 is readable at the other before `send` returns, so looking once, without
waiting, is enough to know that nothing is on its way. What another thread or process does takes no time on this clock.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

_IDLE_S = 30.0
"""With no timer at all, this long for a socket (s, real): a test that waits for nothing must end."""


class _Selector(selectors.DefaultSelector):
    """Advances the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            if not (ready := super().select(_IDLE_S)):
                raise RuntimeError("nothing will ever happen in this test")
            return ready
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was made, on its own clock."""
        return self._virtual.now


def run_virtually[T](main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
