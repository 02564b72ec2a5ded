"""One `response.create` in flight, ever (realtime.md section 7)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

REQUEST_S = 5.0
"""How long a request may stay without a response (s); then it is sent once more."""
ACTIVE_S = 30.0
"""How long we wait for a response to be done when another is wanted (s): a `response.done` that was lost must not mute us."""
WAITING_RESPONSES = 8
ALREADY_ACTIVE = "conversation_already_has_active_response"


@dataclass(frozen=True, slots=True)
class Ask:
    """A response that is wanted.

    Attributes:
        purpose: `greeting` once in a call; `go_on` after a session was lost in the middle of a response.
        exact: words to be spoken; "" leaves them to the model.
    """

    purpose: Literal["greeting", "go_on", "answer"] = "answer"
    exact: str = ""


ANSWER = Ask()
"""Whatever the model has to say now."""


class Responses:
    """One response at a time: what is asked for in the meantime waits, and what asks for the same waits once.

    Args:
        send: asks the model; the first argument is the event's id.
        late: called when a request was not taken up, twice.

    Attributes:
        active: id of the response that is being made, or "".
        asked_for: what the active response answers, if it was we who asked.
    """

    def __init__(self, send: Callable[[str, Ask], None], late: Callable[[], None]) -> None:
        self.active = ""
        self.asked_for: Ask | None = None
        self._send = send
        self._late = late
        self._requested: tuple[str, Ask] | None = None
        self._taken_up = ""  # event id of the request that `active` seems to answer
        self._repeated = False
        self._paused = False
        self._last = ""
        self._waiting: deque[Ask] = deque(maxlen=WAITING_RESPONSES)
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is being made and nothing is wanted."""
        return not (self.active or self._requested or self._waiting)

    def ask(self, ask: Ask) -> None:
        """Want a response, now or when the present one is done."""
        if ask not in self._waiting:
            self._waiting.append(ask)
        self.next()

    def created(self, response_id: str) -> Ask | None:
        """The model has begun a response, of its own accord or because we asked; what it answers then."""
        request = self._requested
        self._settle()
        self.active = response_id
        self._taken_up, self.asked_for = request or ("", None)
        self.next()
        return self.asked_for

    def done(self, response_id: str) -> None:
        """A response is over, one way or another; it may never have been `created`. `next` goes on."""
        if response_id == self._last or (self.active and response_id != self.active):
            return
        self._last = response_id
        if not self.active:
            self._settle()
        self._finish()

    def next(self) -> None:
        """Ask for what waits, if it is time."""
        if self._paused or self._requested is not None or not self._waiting:
            return
        if self.active:
            self._guard()
            return
        self._repeated = False
        self._request(self._waiting.popleft())

    def refused(self, event_id: str, code: str) -> None:
        """The model answered one of our events with an error."""
        if event_id and event_id == self._taken_up and code == ALREADY_ACTIVE:
            # The response that came first was the model's own: ours is still wanted, after it.
            assert self.asked_for is not None  # noqa: S101  # set together
            self._again(self.asked_for)
            self.asked_for = None
            self._taken_up = ""
        if self._requested is None or self._requested[0] != event_id:
            return
        ask = self._requested[1]
        self._settle()
        if code == ALREADY_ACTIVE:
            self._again(ask)  # until that one's response.done
            self._guard()
        else:
            self.next()

    def lost(self) -> Ask | None:
        """The connection is gone: keep what is wanted until `resume`; what the active response answered."""
        ask = self.asked_for
        if self._requested is not None:
            self._again(self._requested[1])
        self._settle()
        self._paused = True
        self.active, self.asked_for, self._taken_up = "", None, ""
        return ask

    def resume(self, first: Ask | None = None) -> None:
        """There is a new connection: go on, with `first` before all else."""
        self._paused = False
        if first is not None:
            self._again(first)
        self.next()

    def forget(self) -> None:
        """Nothing that was asked for is wanted any more."""
        self._waiting.clear()

    def close(self) -> None:
        """Ask for nothing more."""
        self._settle()
        self._waiting.clear()
        self._paused = True

    def _again(self, ask: Ask) -> None:
        if ask not in self._waiting:
            self._waiting.appendleft(ask)

    def _finish(self) -> None:
        self.active, self.asked_for, self._taken_up = "", None, ""
        if self._requested is None:
            self._stop_timer()

    def _done_unnoticed(self) -> None:
        self._finish()
        self.next()

    def _request(self, ask: Ask) -> None:
        self._count += 1
        event_id = f"rc_{self._count}"
        self._requested = (event_id, ask)
        self._start_timer(REQUEST_S, self._unanswered)
        self._send(event_id, ask)

    def _unanswered(self) -> None:
        ask = self._requested[1] if self._requested is not None else ANSWER
        self._settle()
        if self._repeated:
            self._late()
            self.next()
        else:
            log.info("realtime model: a request for a response was not taken up")
            self._repeated = True
            self._request(ask)

    def _guard(self) -> None:
        """Another response is wanted while one is being made, or seems to be."""
        if self._timer is None:
            self._start_timer(ACTIVE_S, self._done_unnoticed)

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()

        def fire() -> None:
            self._timer = None
            then()

        self._timer = asyncio.get_running_loop().call_later(seconds, fire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        self._requested = None
        self._stop_timer()
