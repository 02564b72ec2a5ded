"""One `response.create` in flight, ever (realtime.md section 7)."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

RESPONSE_S = 10.0
"""How long a request may stay without a response (s)."""
WAITING_RESPONSES = 8


class Responses:
    """One response at a time: what is asked for in the meantime waits, and what asks for the same waits once.

    Args:
        send: sends a client event.
        late: called when a request was not taken up within RESPONSE_S seconds.
    """

    def __init__(self, send: Callable[[Mapping[str, object]], None], late: Callable[[], None]) -> None:
        self.active = ""
        self._send = send
        self._late = late
        self._requested: tuple[str, Mapping[str, object]] | None = None
        self._waiting: deque[Mapping[str, object]] = deque(maxlen=WAITING_RESPONSES)
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0

    def ask(self, parameters: Mapping[str, object]) -> None:
        """Want a response, now or when the present one is done."""
        if parameters not in self._waiting:
            self._waiting.append(parameters)
        self._next()

    def created(self, response_id: str) -> None:
        """The model has begun a response, of its own accord or because we asked."""
        self.active = response_id
        self._settle()

    def done(self) -> None:
        """The response is over, one way or another."""
        self.active = ""
        self._next()

    def refused(self, event_id: str, code: str) -> None:
        """The model answered one of our events with an error."""
        if self._requested is None or self._requested[0] != event_id:
            return
        parameters = self._requested[1]
        self._settle()
        if code == "conversation_already_has_active_response":
            self._waiting.appendleft(parameters)  # until that one's response.done
        else:
            self._next()

    def close(self) -> None:
        """Ask for nothing more."""
        self._settle()
        self._waiting.clear()

    def _next(self) -> None:
        if self.active or self._requested is not None or not self._waiting:
            return
        parameters = self._waiting.popleft()
        self._count += 1
        event_id = f"rc_{self._count}"
        self._requested = (event_id, parameters)
        self._timer = asyncio.get_running_loop().call_later(RESPONSE_S, self._timeout)
        event: dict[str, object] = {"type": "response.create", "event_id": event_id}
        self._send(event | {"response": parameters} if parameters else event)

    def _timeout(self) -> None:
        self._settle()
        self._late()
        self._next()

    def _settle(self) -> None:
        self._requested = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
