"""A caller who waits for an answer: told so after a while, and not for ever."""

import asyncio
from collections.abc import Callable

FIRST_AUDIO_S = 3.0
"""How long the model may take to begin to speak in a call (s): until then the caller has heard nothing."""
LATE_S = 3.0
"""How long an answer may take until the caller is told that there will be one (s)."""
GIVE_UP_S = 9.0
"""How much longer until the model is given up (s)."""


class Waiting:
    """One call's.

    Args:
        late: called once for each wait that takes long.
        give_up: called when it has taken too long.
    """

    def __init__(self, late: Callable[[], None], give_up: Callable[[], None]) -> None:
        self._late = late
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None

    @property
    def on(self) -> bool:
        """Whether somebody waits."""
        return self._timer is not None

    def begin(self, *, first: bool = False) -> None:
        """The caller waits from now on, if not already; for the call's `first` audio nobody waits long."""
        if self._timer is None:
            if first:
                self._start(FIRST_AUDIO_S, self._fail)
            else:
                self._start(LATE_S, self._tell)

    def over(self) -> None:
        """The answer is there, or nobody wants it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _tell(self) -> None:
        self._start(GIVE_UP_S, self._fail)
        self._late()

    def _fail(self) -> None:
        self._timer = None
        self._give_up()
