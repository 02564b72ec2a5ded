"""`transferToParticipant`: the target rings; accepted and then disconnected, or failed and still connected (acs.md 6)."""

import asyncio
from dataclasses import dataclass
from typing import Any

from emulator.acs.calls import CALLBACK_WITHIN_S, Call
from emulator.acs.conversation import Conversation
from emulator.acs.errors import invalid
from emulator.acs.events import result
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import Identifier, address
from emulator.acs.legs import Leg
from emulator.acs.offers import Offer, Parties, Refusal
from emulator.acs.services import CallState, Operation

type Json = dict[str, Any]

TRANSFER_TIMEOUT_S = 60.0
"""The documented time-out (acs.md 7)."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A checked TransferToParticipantRequest."""

    target: Identifier
    transferee: Identifier | None
    operation: Operation
    custom_context: Json | None


def transfer(exchange: Exchange, call: Call, wanted: Transfer) -> None:
    """Ring the target; its new call has ids of its own and comes from the transferee (both guessed: acs.md 6, step 3).

    Raises:
        RestError: 400/8501 and 400/8585 as for all operations; 404/8522: the transferee is not in the call; 400/8523: it is
            missing in a call of more than two, or is the transferor itself.
    """
    conversation = call.require_connected()
    _Attempt(exchange, call, conversation, _transferee(call, conversation, wanted.transferee), wanted).begin()


def _transferee(call: Call, conversation: Conversation, who: Identifier | None) -> Leg:
    if who is not None:
        leg = call.participant(who)
        if leg is call:
            raise invalid("Transferee")
        return leg
    others = [leg for leg in conversation.others(call) if not leg.observer]
    if len(others) != 1:
        raise invalid("Transferee")
    return others[0]


class _Attempt:
    """One transfer on its way."""

    def __init__(
        self, exchange: Exchange, call: Call, conversation: Conversation, leg: Leg, wanted: Transfer
    ) -> None:
        self._exchange = exchange
        self._call = call
        self._old = conversation
        self._leg = leg
        self._wanted = wanted
        self._one_to_one = sum(not leg.observer for leg in conversation.legs) == 2
        self._new = exchange.new_conversation(conversation.rate)
        self._offer = Offer(
            Parties(leg.known_as, wanted.target, self._new.server_call_id, self._new.correlation_id),
            call.faults,
            self._accepted,
            self._refused,
            min(TRANSFER_TIMEOUT_S, exchange.ring_timeout_s),
            custom_context=wanted.custom_context,
        )

    def begin(self) -> None:
        if self._one_to_one:
            self._call.state = CallState.TRANSFERRING
        for leg in (self._leg, self._call):
            leg.when_gone.append(self._given_up)
        self._exchange.ring(self._offer)

    def _given_up(self) -> None:
        """Somebody hung up while the target was ringing."""
        self._exchange.withdraw(self._offer)

    def _refused(self, refusal: Refusal) -> None:
        if self._one_to_one:
            self._call.state = CallState.CONNECTED
        information = result(refusal.code, refusal.sub_code, refusal.message)
        self._call.post("CallTransferFailed", {"resultInformation": information}, self._wanted.operation)

    def _accepted(self, answering: Leg | None) -> None:
        """The transferee talks to the target from now on; a target outside takes it out of the emulator."""
        if self._one_to_one:
            self._call.state = CallState.TRANSFER_ACCEPTED
        if answering is not None:
            self._old.release(self._leg)
            self._new.join(self._leg, answering)
            self._leg.transferred(address(self._wanted.target))
        self._call.spawn(self._tell(outside=answering is None))

    async def _tell(self, *, outside: bool) -> None:
        data = {"transferTarget": self._wanted.target, "transferee": self._leg.known_as}
        told = self._call.post("CallTransferAccepted", data, self._wanted.operation)
        if told is not None:
            await asyncio.wait({told}, timeout=CALLBACK_WITHIN_S)
        if not outside:
            self._old.settle("transferred", "agent")
        elif not self._leg.is_gone:
            self._leg.transferred(address(self._wanted.target))
            self._old.leave(self._leg, "transferred", "agent")
