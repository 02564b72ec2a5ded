"""Ringing: somebody is asked into a conversation, and answers, refuses or lets it ring."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.acs.identifiers import Identifier
from emulator.acs.legs import Leg
from emulator.faults import Faults

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody came.

    Attributes:
        code: of `resultInformation`.
        sub_code: likewise; the pairs are acs.md 4.3, the SIP-like codes of declined, busy and unreachable are guessed.
        message: likewise.
        reason: in the words of a call's story.
        by: who ended it: `agent`, `caller`, `service`.
    """

    code: int
    sub_code: int
    message: str
    reason: str
    by: str


DECLINED = Refusal(603, 8538, "Action failed, the call was declined.", "rejected: none", "agent")
FORBIDDEN = Refusal(403, 8538, "Action failed, the call was declined.", "rejected: forbidden", "agent")
BUSY = Refusal(486, 8539, "Action failed, the participant is busy.", "rejected: busy", "agent")
UNANSWERED = Refusal(408, 8587, "Incoming call not answered within time.", "unanswered", "service")
UNREACHABLE = Refusal(
    480, 8544, "Action failed, the participant cannot be reached.", "unreachable", "service"
)
NOBODY = Refusal(
    480, 8544, "Action failed, the participant cannot be reached.", "nobody_subscribed", "service"
)
WITHDRAWN = Refusal(487, 8542, "Action failed, the call was cancelled.", "caller_hung_up", "caller")
REDIRECTED_AWAY = Refusal(480, 8544, "The call was redirected out of the emulator.", "redirected", "agent")
BY_REJECT_REASON = {"none": DECLINED, "busy": BUSY, "forbidden": FORBIDDEN}


@dataclass(frozen=True, slots=True)
class Parties:
    """Who talks to whom, and by which ids."""

    caller: Identifier
    callee: Identifier
    server_call_id: str
    correlation_id: str


def _nothing(_: str) -> None:
    return None


@dataclass(slots=True, eq=False)
class Offer:
    """Somebody is being rung. Exactly one of `accepted` and `refused` is called, at most once.

    Attributes:
        parties: who calls whom, and by which ids.
        faults: of the call.
        accepted: takes the leg that answers, and gives it its seat; None when the call leaves the emulator.
        refused: takes the reason for which nobody came.
        rings: called when it begins to ring at an app or a telephone.
        delivered: takes the name of each subscription that took the event.
        redirected: takes the address to which an app sent the call on.
        timeout_s: it rings so long (s).
        context: the `incomingCallContext` that answers it now; empty when no app is asked.
        event: the last IncomingCall event, for delivering it again.
    """

    parties: Parties
    faults: Faults
    accepted: Callable[[Leg | None], None]
    refused: Callable[[Refusal], None]
    timeout_s: float
    rings: Callable[[], None] = lambda: None
    delivered: Callable[[str], None] = _nothing
    redirected: Callable[[str], None] = _nothing
    display_name: str = ""
    custom_context: Json | None = None
    context: str = field(default="", repr=False)
    event: Json = field(default_factory=dict, repr=False)
    over: bool = False
    timer: asyncio.TimerHandle | None = None
    withdrawn: list[Callable[[], None]] = field(default_factory=list)
    """Called when the offer is over in any way: a telephone stops ringing."""
