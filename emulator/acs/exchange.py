"""The switchboard: whom an address belongs to, ringing offers by their one-shot context, connections by id (acs.md 5.1, 8)."""

import asyncio
import logging
import uuid
import weakref
from collections.abc import Collection
from typing import Any, Protocol

from emulator.acs.calls import Call
from emulator.acs.conversation import Conversation
from emulator.acs.errors import not_found
from emulator.acs.events import incoming_call, new_incoming_call_context, new_server_call_id
from emulator.acs.handset import Handset
from emulator.acs.identifiers import Identifier, address
from emulator.acs.inbound import InboundCall
from emulator.acs.legs import Leg, PhoneLeg
from emulator.acs.offers import (
    BY_REJECT_REASON,
    DECLINED,
    NOBODY,
    REDIRECTED_AWAY,
    UNANSWERED,
    WITHDRAWN,
    Offer,
    Parties,
    Refusal,
)
from emulator.acs.services import ConnectionRequest, Services
from emulator.event_grid.delivery import Delivery, EventGrid
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]

TARGET_RINGS_S = 0.1
"""Somebody outside the emulator, and a target that fails on demand, rings for so long (s)."""


NAMING_KEYS = ("data.to.rawid", "data.to.phonenumber.value")
"""A subscription with a filter on one of these names the numbers that are its resource's own."""


class Phones(Protocol):
    """The telephones that can be called."""

    def ring(self, offer: Offer) -> bool:
        """Let the telephone at `offer.parties.callee` ring; False when there is none."""


class Exchange:
    """All calls of the emulated ACS resource.

    Args:
        services: what calls share.
        grid: where IncomingCall events go.
        ring_timeout_s: an unanswered call is gone after this (s; the service: 115 s for phone numbers).
        faults: of calls that apps make.
        numbers: phone numbers of the resource; others are its own only when a subscription's filter names them (`NAMING_KEYS`).

    Attributes:
        phones: the telephones that can be called, or None.
    """

    def __init__(
        self,
        services: Services,
        grid: EventGrid,
        ring_timeout_s: float,
        faults: Faults | None = None,
        numbers: Collection[str] = (),
    ) -> None:
        self.services = services
        self.phones: Phones | None = None
        self.ring_timeout_s = ring_timeout_s
        self.faults = faults or Faults()
        self._grid = grid
        self._numbers = frozenset(numbers)
        self._offers: dict[str, Offer] = {}
        self._ringing: set[Offer] = set()
        self._calls: dict[str, Call] = {}
        self._finishing: set[Call] = set()
        self._conversations: weakref.WeakSet[Conversation] = weakref.WeakSet()

    # --- conversations ---

    def new_conversation(self, rate: int = 0) -> Conversation:
        """An empty one with ids of its own."""
        made = Conversation(new_server_call_id(), str(uuid.uuid4()), self.services.ticker, rate)
        self._conversations.add(made)
        return made

    def conversation(self, server_call_id: str) -> Conversation:
        """The running conversation.

        Raises:
            RestError: 404/8522.
        """
        for found in self._conversations:
            if found.server_call_id == server_call_id and found.legs:
                return found
        raise not_found()

    def place(
        self,
        handset: Handset,
        caller: Identifier,
        callee: Identifier,
        faults: Faults,
        *,
        display_name: str = "",
        custom_context: Json | None = None,
    ) -> InboundCall:
        """A telephone's call that does not ring yet; `InboundCall.ring` offers it."""
        leg = PhoneLeg(caller, handset, faults)
        return InboundCall(self, leg, callee, display_name, custom_context)

    # --- ringing ---

    def owns(self, target: Identifier) -> bool:
        """Whether calls to `target` come to apps of this resource: an ACS user, or a number of its own, that is subscribed to."""
        probe = incoming_call(target, target, context="", server_call_id="", correlation_id="")
        wanted = [subscription for subscription in self._grid.subscriptions if subscription.wants(probe)]
        if target["kind"] == "communicationUser" or address(target) in self._numbers:
            return bool(wanted)
        return any(
            condition.key.lower() in NAMING_KEYS
            for subscription in wanted
            for condition in subscription.filters
        )

    def _is_of_the_resource(self, target: Identifier) -> bool:
        """Whether it can be nowhere else: an ACS user of the resource, or one of its configured numbers."""
        return address(target) in self._numbers or str(target["rawId"]).startswith(
            f"8:acs:{self.services.resource_id}_"
        )

    def ring(self, offer: Offer, *, dialled: bool = False) -> None:
        """Let the callee ring, wherever it is: a telephone here, an app, or outside the emulator.

        A target that fails on demand declines. A user or number of the resource that nobody subscribed to is unreachable
        (guessed); any other address that is nobody's here lies outside, and picks up at once; unless a
        telephone here `dialled` it, which always calls an app.
        """
        callee = offer.parties.callee
        self._ringing.add(offer)
        loop = asyncio.get_running_loop()
        if not dialled and offer.faults.failing_targets & {address(callee), str(callee["rawId"])}:
            offer.timer = loop.call_later(TARGET_RINGS_S, self.refuse, offer, DECLINED)
            return
        offer.timer = loop.call_later(offer.timeout_s, self.refuse, offer, UNANSWERED)
        if self.phones is not None and self.phones.ring(offer):
            offer.rings()
        elif dialled or self.owns(callee):
            if not self._ring_apps(offer):
                self.refuse(offer, NOBODY)
        elif self._is_of_the_resource(callee):
            offer.timer.cancel()
            offer.timer = loop.call_later(TARGET_RINGS_S, self.refuse, offer, NOBODY)
        else:
            offer.timer.cancel()
            offer.timer = loop.call_later(TARGET_RINGS_S, self._outside, offer)

    def _ring_apps(self, offer: Offer) -> bool:
        """One event for each subscription that wants the call; False when none does."""
        offer.context = new_incoming_call_context()
        self._offers[offer.context] = offer
        parties = offer.parties
        offer.event = incoming_call(
            parties.caller,
            parties.callee,
            context=offer.context,
            server_call_id=parties.server_call_id,
            correlation_id=parties.correlation_id,
            display_name=offer.display_name,
            custom_context=offer.custom_context,
        )
        offer.rings()
        return bool(self.deliver(offer, faults=offer.faults))

    def deliver(self, offer: Offer, copies: int = 1, faults: Faults | None = None) -> list[Delivery]:
        """Deliver the offer's event (again, and then without faults)."""
        return self._grid.publish(
            offer.event,
            copies=copies,
            on_delivered=lambda delivery: offer.delivered(delivery.subscription.name),
            faults=faults,
        )

    def _outside(self, offer: Offer) -> None:
        """Somebody whom the emulator does not have picks up, and says nothing."""
        if self._finish(offer):
            offer.accepted(None)

    def stranger(self, who: Identifier) -> PhoneLeg:
        """Somebody outside the emulator, as a participant."""
        return PhoneLeg(who, Handset(), self.faults)

    def pick_up(self, offer: Offer, leg: Leg) -> bool:
        """A telephone answers; False when the offer is over."""
        if not self._finish(offer):
            return False
        offer.accepted(leg)
        return True

    def refuse(self, offer: Offer, refusal: Refusal) -> None:
        """Nobody comes; does nothing when the offer is over."""
        if self._finish(offer):
            offer.refused(refusal)

    def withdraw(self, offer: Offer) -> bool:
        """Whoever made the offer takes it back, and is told nothing; False when it is over."""
        return self._finish(offer)

    def _finish(self, offer: Offer) -> bool:
        """End an offer; True for the one who ended it."""
        if offer.over:
            return False
        offer.over = True
        self._stop_ringing(offer)
        self._ringing.discard(offer)
        return True

    def _stop_ringing(self, offer: Offer) -> None:
        self._offers.pop(offer.context, None)
        if offer.timer is not None:
            offer.timer.cancel()
        silenced, offer.withdrawn = offer.withdrawn, []
        for silence in silenced:
            silence()

    # --- the app's side ---

    def faults_for(self, connection_id: str | None, context: object) -> Faults | None:
        """The faults of the call that a request is about, by connection id or by context, or None when there is no such call.

        A request that names neither gets those of the emulator.
        """
        if connection_id is None and not isinstance(context, str):
            return self.faults
        about = self._offers.get(str(context)) if connection_id is None else self._calls.get(connection_id)
        return None if about is None else about.faults

    def _offer(self, context: str) -> Offer:
        offer = self._offers.get(context)
        if offer is None:
            raise not_found()
        return offer

    def answer(self, context: str, request: ConnectionRequest) -> Call:
        """Answer a ringing call, whose context is used up by it; the caller awaits `Call.connect`.

        Raises:
            RestError: 404/8522: the context is unknown or used up, or the call has ended.
        """
        offer = self._offer(context)
        self._finish(offer)
        call = self.new_call(offer.parties, offer.parties.callee, request, offer.faults)
        call.known_as = offer.parties.callee
        offer.accepted(call)
        return call

    def new_call(
        self, parties: Parties, identity: Identifier | None, request: ConnectionRequest, faults: Faults
    ) -> Call:
        """An app's connection that has no seat in a conversation yet; `identity` is kept when it is an ACS user."""
        call = Call(self.services, parties, identity, request, faults, self._forget)
        self._calls[call.id] = call
        for listener in self.services.on_made:
            listener(call)
        return call

    def reject(self, context: str, reason: str) -> None:
        """Reject a ringing call with `none`, `busy` or `forbidden`.

        Raises:
            RestError: 404/8522.
        """
        self.refuse(self._offer(context), BY_REJECT_REASON[reason])

    def redirect(self, context: str, target: Identifier) -> None:
        """Send a ringing call on: it rings at the target, or leaves the emulator when nobody has that.

        Raises:
            RestError: 404/8522.
        """
        offer = self._offer(context)
        self._stop_ringing(offer)
        offer.context = ""
        offer.redirected(address(target))
        old = offer.parties
        offer.parties = Parties(old.caller, target, old.server_call_id, old.correlation_id)
        loop = asyncio.get_running_loop()
        offer.timer = loop.call_later(offer.timeout_s, self.refuse, offer, UNANSWERED)
        if self.phones is not None and self.phones.ring(offer):
            offer.rings()
        elif not self._ring_apps(offer):
            self.refuse(offer, REDIRECTED_AWAY)

    def call(self, connection_id: str) -> Call:
        """The connection.

        Raises:
            RestError: 404/8522: unknown, or it has ended.
        """
        call = self._calls.get(connection_id)
        if call is None:
            raise not_found()
        return call

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        self._finishing = {known for known in self._finishing if not known.ended.is_set()} | {call}

    async def close(self) -> None:
        """End all calls; the app still gets its last callbacks, for at most 3 s."""
        stopped = Refusal(
            WITHDRAWN.code, WITHDRAWN.sub_code, WITHDRAWN.message, "emulator_stopped", "service"
        )
        for offer in list(self._ringing):
            self.refuse(offer, stopped)
        for conversation in list(self._conversations):
            conversation.end("emulator_stopped", "service")
        for call in list(self._calls.values()):
            call.stop("emulator_stopped", "service")
        finishing = list(self._finishing)
        try:
            async with asyncio.timeout(3):
                for call in finishing:
                    await call.ended.wait()
        except TimeoutError:
            log.info("not all callbacks were taken before the emulator stopped")
        for call in finishing:
            await call.close()
