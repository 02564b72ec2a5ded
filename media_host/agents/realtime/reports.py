"""What the host is told, until there is nothing more to say."""

from collections import Counter
from collections.abc import Callable

from media_host.agents.base import AgentEvent, AgentHost, Delayed, Fault

SAME_FAULT = 3
"""A fault is reported this often in one call."""


class Reports:
    """One call's.

    Args:
        host: the media host.
        last: called before the last word, a fatal fault, is said.

    Attributes:
        over: nothing more is said.
    """

    def __init__(self, host: AgentHost, last: Callable[[], None]) -> None:
        self.over = False
        self._host = host
        self._last = last
        self._faults: Counter[str] = Counter()

    def event(self, event: AgentEvent) -> None:
        """Any event but a fault."""
        if not self.over:
            self._host.event(event)

    def delayed(self, code: str) -> None:
        """The caller waits."""
        self.event(Delayed(code))

    def fault(self, code: str, message: str, fatal: bool = False) -> None:
        """Something is wrong."""
        self._faults[code] += 1
        if self.over or (not fatal and self._faults[code] > SAME_FAULT):
            return
        if fatal:
            self._last()
            self.over = True
        self._host.event(Fault(code, message, fatal))
