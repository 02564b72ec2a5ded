"""The switchboard: ringing calls by their one-shot context, answered calls by their connection id (acs.md 5.1, 8)."""

import asyncio
import logging
import uuid
from dataclasses import dataclass, field
from typing import Any

from emulator.acs.calls import AnswerRequest, Call, Parties, Services
from emulator.acs.errors import RestError, not_found
from emulator.acs.events import incoming_call, new_incoming_call_context, new_server_call_id
from emulator.acs.handset import Handset
from emulator.acs.identifiers import Identifier, address
from emulator.event_grid.delivery import Delivery, EventGrid
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Ringing:
    """A call that nobody has answered yet, or did answer: `call` is set then.

    Attributes:
        parties: who and by which ids.
        handset: the phone.
        context: the `incomingCallContext` that answers it now.
        event: the last IncomingCall event, for delivering it again.
        faults: of this call.
        statuses: what is left of `Faults.rest_status`.
        delays: what is left of `Faults.rest_delay_s`.
    """

    parties: Parties
    handset: Handset
    faults: Faults
    display_name: str = ""
    custom_context: Json | None = None
    context: str = field(default="", repr=False)
    event: Json = field(default_factory=dict, repr=False)
    call: Call | None = None
    over: bool = False
    statuses: dict[str, list[int]] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None


class Exchange:
    """All calls of the emulated ACS resource.

    Args:
        services: what calls share.
        grid: where IncomingCall events go.
        ring_timeout_s: an unanswered call is gone after this (s; the service: 115 s for phone numbers).
    """

    def __init__(self, services: Services, grid: EventGrid, ring_timeout_s: float) -> None:
        self._services = services
        self._grid = grid
        self._ring_timeout_s = ring_timeout_s
        self._contexts: dict[str, Ringing] = {}
        self._calls: dict[str, Ringing] = {}
        self._finishing: set[Call] = set()

    # --- the phone's side ---

    def place(
        self,
        handset: Handset,
        caller: Identifier,
        callee: Identifier,
        faults: Faults,
        *,
        display_name: str = "",
        custom_context: Json | None = None,
    ) -> Ringing:
        """Make a call that does not ring yet; `ring` offers it to the app."""
        parties = Parties(caller, callee, new_server_call_id(), str(uuid.uuid4()))
        statuses = {operation: list(codes) for operation, codes in faults.rest_status.items()}
        return Ringing(
            parties,
            handset,
            faults,
            display_name,
            custom_context,
            statuses=statuses,
            delays=dict(faults.rest_delay_s),
        )

    def ring(self, ringing: Ringing) -> bool:
        """Offer the call to the app: a new context and one event for each subscription that wants it.

        Returns:
            Whether any subscription wants it; otherwise nobody will ever answer.
        """
        ringing.context = new_incoming_call_context()
        self._contexts[ringing.context] = ringing
        parties = ringing.parties
        ringing.event = incoming_call(
            parties.caller,
            parties.callee,
            context=ringing.context,
            server_call_id=parties.server_call_id,
            correlation_id=parties.correlation_id,
            display_name=ringing.display_name,
            custom_context=ringing.custom_context,
        )
        loop = asyncio.get_running_loop()
        ringing.timer = loop.call_later(self._ring_timeout_s, self._unanswered, ringing)
        ringing.handset.ringing()
        return bool(self.deliver(ringing, 1 + ringing.faults.duplicate_events))

    def deliver(self, ringing: Ringing, copies: int = 1) -> list[Delivery]:
        """Deliver the call's event (again)."""
        return self._grid.publish(
            ringing.event,
            copies=copies,
            on_delivered=lambda delivery: ringing.handset.delivered(delivery.subscription.name),
        )

    def hang_up(self, ringing: Ringing, reason: str = "caller_hung_up", by: str = "caller") -> None:
        """The caller hangs up, ringing or talking."""
        if ringing.call is not None:
            ringing.call.hang_up(by, reason)
        else:
            self._stop_ringing(ringing)
            self._end_unanswered(ringing, reason, by)

    def _unanswered(self, ringing: Ringing) -> None:
        self._stop_ringing(ringing)
        self._end_unanswered(ringing, "unanswered", "service")

    def _stop_ringing(self, ringing: Ringing) -> None:
        self._contexts.pop(ringing.context, None)
        if ringing.timer is not None:
            ringing.timer.cancel()

    @staticmethod
    def _end_unanswered(ringing: Ringing, reason: str, by: str) -> None:
        if not ringing.over:
            ringing.over = True
            ringing.handset.over(reason, by)

    # --- the app's side ---

    def peek(self, context: str) -> Ringing | None:
        """The ringing call behind a context, without using the context up."""
        return self._contexts.get(context)

    def find(self, connection_id: str) -> Ringing | None:
        """The answered call, or None."""
        return self._calls.get(connection_id)

    def _take(self, context: str) -> Ringing:
        """The ringing call behind a context, which is used up now.

        Raises:
            RestError: 404/8522: unknown, used before, or the call has ended.
        """
        ringing = self._contexts.get(context)
        if ringing is None:
            raise not_found()
        self._stop_ringing(ringing)
        return ringing

    def answer(self, context: str, request: AnswerRequest) -> Call:
        """Answer a ringing call; the caller awaits `Call.connect`.

        Raises:
            RestError: 404/8522.
        """
        ringing = self._take(context)
        call = Call(self._services, ringing.parties, ringing.handset, request, ringing.faults, self._forget)
        ringing.call = call
        self._calls[call.id] = ringing
        return call

    def reject(self, context: str, reason: str) -> None:
        """Reject a ringing call with `none`, `busy` or `forbidden`.

        Raises:
            RestError: 404/8522.
        """
        self._end_unanswered(self._take(context), f"rejected: {reason}", "agent")

    def redirect(self, context: str, target: Identifier) -> None:
        """Send a ringing call on: it rings at the target, or leaves the emulator when nobody subscribed to that.

        Raises:
            RestError: 404/8522.
        """
        ringing = self._take(context)
        ringing.handset.redirected(address(target))
        old = ringing.parties
        ringing.parties = Parties(old.caller, target, old.server_call_id, old.correlation_id)
        if not self.ring(ringing):
            self._stop_ringing(ringing)
            self._end_unanswered(ringing, "redirected", "agent")

    def call(self, connection_id: str) -> Call:
        """The answered call.

        Raises:
            RestError: 404/8522: unknown, or it has ended.
        """
        ringing = self._calls.get(connection_id)
        if ringing is None or ringing.call is None:
            raise not_found()
        return ringing.call

    def fault(self, operation: str, ringing: Ringing | None) -> None:
        """Fail this request when the call's faults say so.

        Raises:
            RestError: the next status of `Faults.rest_status`.
        """
        left = ringing.statuses.get(operation) if ringing is not None else None
        if left:
            status = left.pop(0)
            raise RestError(status, "8516" if status == 429 else str(status), "Failed on demand.")

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        self._finishing = {known for known in self._finishing if not known.ended.is_set()} | {call}

    async def close(self) -> None:
        """End all calls; the app still gets its last callbacks, for at most 3 s."""
        for ringing in [*self._contexts.values(), *self._calls.values()]:
            self.hang_up(ringing, "emulator_stopped", "service")
        finishing = list(self._finishing)
        try:
            async with asyncio.timeout(3):
                for call in finishing:
                    await call.ended.wait()
        except TimeoutError:
            log.info("not all callbacks were taken before the emulator stopped")
        for call in finishing:
            await call.close()
