"""Handovers of a call to a person, as its events tell them: which is the newest, how far it came, and what that means.

Each begins with a `transfer` event; `handover` events tell its phases, and ACS's callbacks carry its id as their context.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.calls.events import CallEvent, EventKind, Json


class Phase(StrEnum):
    """How far a handover has come. `joined` and `left` are its success, those of `OVER` its failure."""

    RINGING = "ringing"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    JOINED = "joined"
    """The person and the caller talk to each other; the agent listens."""
    LEFT = "left"
    """They talk to each other; our part of the call ends."""
    REFUSED = "refused"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    NOT_CONFIRMED = "not_confirmed"
    FAILED = "failed"
    CALLER_GONE = "caller_gone"
    GIVEN_UP = "given_up"


TOGETHER = frozenset({Phase.JOINED, Phase.LEFT})
OVER = frozenset(
    {
        Phase.REFUSED,
        Phase.DECLINED,
        Phase.NO_ANSWER,
        Phase.NOT_CONFIRMED,
        Phase.FAILED,
        Phase.CALLER_GONE,
        Phase.GIVEN_UP,
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One handover.

    Attributes:
        id: its own; the operation context of what ACS is asked.
        target: the name under `transfers:`.
        warm: the person is called in; otherwise the call is transferred away.
        phases: what was reported of it.
        accepted: ACS has transferred the caller.
        failed: ACS could not, or a phase says so.
        invitation: ACS's id of the invitation, once somebody rings.
        outcome: of the call, if it succeeds.
    """

    id: str
    target: str
    warm: bool
    phases: frozenset[Phase]
    accepted: bool
    failed: bool
    invitation: str
    outcome: Mapping[str, Json]

    @property
    def together(self) -> bool:
        """Caller and person talk to each other in this very call."""
        return not self.phases.isdisjoint(TOGETHER)

    @property
    def succeeded(self) -> bool:
        """The caller has got a person."""
        return self.accepted or self.together

    @property
    def pending(self) -> bool:
        """It is neither done nor over."""
        return not self.succeeded and not self.failed

    @property
    def leaving(self) -> bool:
        """The caller is on the way out of our call, or has left it."""
        return self.accepted or Phase.LEFT in self.phases or (self.pending and not self.warm)


def newest_attempt(events: Iterable[CallEvent]) -> Attempt | None:
    """The handover that began last; `events` in the order of time."""
    known = list(events)
    begun = [event for event in known if event.kind is EventKind.TRANSFER]
    if not begun:
        return None
    first = begun[-1].data
    ident = _text(first, "attempt")
    steps = [
        event.data
        for event in known
        if event.kind is EventKind.HANDOVER and _text(event.data, "attempt") == ident
    ]
    reports = {event.kind for event in known if _text(event.data, "context") == ident}
    phases = frozenset(Phase(name) for step in steps if (name := _text(step, "phase")) in Phase)
    outcome = first.get("outcome")
    return Attempt(
        ident,
        _text(first, "target"),
        _text(first, "mode") == "warm",
        phases,
        EventKind.TRANSFER_ACCEPTED in reports,
        EventKind.TRANSFER_FAILED in reports or not phases.isdisjoint(OVER),
        next((found for step in steps if (found := _text(step, "invitation"))), ""),
        outcome if isinstance(outcome, dict) else {},
    )


def _text(data: Mapping[str, Json], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
