"""Keys that the caller presses one after the other, put together: a model understands `[keypad] 4821#`, not four events."""

import asyncio
from collections.abc import Callable

PAUSE_S = 1.5
"""A pause this long ends a group (s); so does `#`."""
MAX_KEYS = 64


class Keys:
    """One call's. `tell` is called with each group."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """Whether a group has begun."""
        return bool(self._keys)

    def add(self, key: str) -> None:
        """One key."""
        self._stop_timer()
        self._keys += key
        if key == "#" or len(self._keys) >= MAX_KEYS:
            self._complete()
        else:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._complete)

    def close(self) -> None:
        """Forget them."""
        self._stop_timer()
        self._keys = ""

    def _complete(self) -> None:
        self._stop_timer()
        keys, self._keys = self._keys, ""
        self._tell(keys)

    def _stop_timer(self) -> None:

        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
