"""A call that a telephone makes: it rings at an app (or at another telephone), is answered, and moves on when it is transferred."""

from typing import TYPE_CHECKING, Any

from emulator.acs.identifiers import Identifier
from emulator.acs.legs import Leg, PhoneLeg
from emulator.acs.offers import Offer, Parties, Refusal

if TYPE_CHECKING:
    from emulator.acs.exchange import Exchange

type Json = dict[str, Any]


class InboundCall:
    """Made by `Exchange.place`.

    Args:
        exchange: where it rings.
        leg: the telephone that calls.
        callee: whom it calls.
        display_name: `callerDisplayName`.
        custom_context: as in the event.
    """

    def __init__(
        self,
        exchange: "Exchange",
        leg: PhoneLeg,
        callee: Identifier,
        display_name: str,
        custom_context: Json | None,
    ) -> None:
        self.leg = leg
        self._exchange = exchange
        self._conversation = exchange.new_conversation()
        parties = Parties(
            leg.identifier, callee, self._conversation.server_call_id, self._conversation.correlation_id
        )
        handset = leg.handset
        self.offer = Offer(
            parties,
            leg.faults,
            self._accepted,
            self._refused,
            exchange.ring_timeout_s,
            rings=handset.ringing,
            delivered=handset.delivered,
            redirected=handset.redirected,
            display_name=display_name,
            custom_context=custom_context,
        )

    def ring(self) -> None:
        """Offer the call."""
        self._exchange.ring(self.offer, dialled=True)

    def deliver_again(self, copies: int = 1) -> None:
        """Deliver the call's IncomingCall event again."""
        if self.offer.event:
            self._exchange.deliver(self.offer, copies)

    def hang_up(self, reason: str, by: str = "caller") -> None:
        """The person hangs up, ringing or talking."""
        if self._exchange.withdraw(self.offer):
            self.leg.gone(reason, by)
        else:
            self.leg.hang_up(reason, by)

    def _accepted(self, answering: Leg | None) -> None:
        other = answering or self._exchange.stranger(self.offer.parties.callee)
        self._conversation.rate = other.rate_wanted
        self._conversation.join(self.leg, other)

    def _refused(self, refusal: Refusal) -> None:
        self.leg.gone(refusal.reason, refusal.by)
