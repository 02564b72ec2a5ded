"""A caller must not wait in silence: "one moment", then a beep every 2 s, until the agent speaks."""

import asyncio
from collections.abc import Callable

from media_host.notices import ONE_MOMENT, WAITING

BEEP_S = 2.0
"""How often a caller who waits hears that it is not over (s)."""

AGAIN_S = 0.2
"""How soon to look again while somebody is speaking (s)."""


class Waiting:
    """One call's.

    Args:
        silent: whether nobody is speaking, neither side.
        say: plays a notice.
    """

    def __init__(self, silent: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._silent = silent
        self._say = say
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def on(self) -> bool:
        """Whether the caller is waiting."""
        return self._timer is not None

    def start(self) -> None:
        """The caller waits from now on."""
        if not self.on:
            self._told = False
            self._step()

    def stop(self) -> None:
        """The waiting is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        pause = AGAIN_S
        if self._silent():
            self._say(WAITING if self._told else ONE_MOMENT)
            self._told = True
            pause = BEEP_S
        self._timer = asyncio.get_running_loop().call_later(pause, self._step)
