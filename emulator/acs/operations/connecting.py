"""`createCall` and `connect`: an app's connection that no IncomingCall stands behind (acs.md 1.3, 8)."""

import dataclasses
from typing import Any

from emulator.acs.calls import Call
from emulator.acs.errors import invalid
from emulator.acs.events import result
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import Identifier, identifier
from emulator.acs.legs import Leg
from emulator.acs.offers import Offer, Parties, Refusal
from emulator.acs.services import ConnectionRequest

type Json = dict[str, Any]


def create(exchange: Exchange, request: ConnectionRequest, custom_context: Json | None) -> Call:
    """Call one or more targets; the connection is `connecting` until the first of them picks up.

    Raises:
        RestError: 400/8523: a phone number is called without `sourceCallerIdNumber` (the code is guessed).
    """
    if request.source_number is None and any(who["kind"] == "phoneNumber" for who in request.targets):
        raise invalid("SourceCallerIdNumber")
    return _Attempt(exchange, request).begin(custom_context)


class _Attempt:
    """One createCall on its way."""

    def __init__(self, exchange: Exchange, request: ConnectionRequest) -> None:
        self._exchange = exchange
        self._request = request
        self._conversation = exchange.new_conversation(0)
        self._ringing: list[Offer] = []
        self._call: Call | None = None

    def begin(self, custom_context: Json | None) -> Call:
        exchange, request, talk = self._exchange, self._request, self._conversation
        faults = exchange.faults.copy()
        ids = talk.server_call_id, talk.correlation_id
        first = request.targets[0]
        call = exchange.new_call(Parties(first, first, *ids), None, request, faults)
        call.parties = Parties(self._caller(call, first), first, *ids)
        call.known_as = call.parties.caller
        self._call = call
        talk.rate = call.rate_wanted
        call.when_gone.append(self._given_up)
        for target in request.targets:
            offer = Offer(
                Parties(self._caller(call, target), target, *ids),
                faults,
                accepted=lambda leg, target=target: self._accepted(leg, target),  # type: ignore[misc]  # bound default
                refused=self._refused,
                timeout_s=exchange.ring_timeout_s,
                display_name=request.source_name,
                custom_context=custom_context,
            )
            self._ringing.append(offer)
        for offer in list(self._ringing):
            exchange.ring(offer)
        return call

    def _caller(self, call: Call, target: Identifier) -> Identifier:
        """Whom the target sees: the caller id at a telephone, the app's user at another user."""
        number = self._request.source_number
        return identifier(number) if number and target["kind"] == "phoneNumber" else call.identifier

    def _given_up(self) -> None:
        for offer in self._ringing:
            self._exchange.withdraw(offer)

    def _accepted(self, answering: Leg | None, target: Identifier) -> None:
        leg = answering or self._exchange.stranger(target)
        call = self._call
        if call is None or call.is_over:
            leg.gone("withdrawn", "other")
        elif self._conversation.legs:
            self._conversation.join(leg)
        else:
            self._conversation.join(call, leg)
            call.come_up()

    def _refused(self, refusal: Refusal) -> None:
        """The call fails when all targets have; one of several is told by no callback (guessed)."""
        call = self._call
        if call is not None and not self._conversation.legs and all(offer.over for offer in self._ringing):
            information = result(refusal.code, refusal.sub_code, refusal.message)
            call.fail("CreateCallFailed", information)


def connect(exchange: Exchange, locator: Json, request: ConnectionRequest) -> Call:
    """Join a running call by its server call id, as one who listens and speaks but does not keep the call alive.

    Raises:
        RestError: 404/8522: there is no such call (guessed; the service may send ConnectFailed instead). 400/8523: a locator of
            another kind: groups and rooms are missing here.
    """
    server_call_id = locator.get("serverCallId")
    kind = str(locator.get("kind", "serverCallLocator")).lower()
    if kind != "servercalllocator" or not isinstance(server_call_id, str):
        raise invalid("CallLocator")
    talk = exchange.conversation(server_call_id)
    talk.require_room()
    others = tuple(leg.identifier for leg in talk.legs)
    parties = Parties(others[0], others[-1], talk.server_call_id, talk.correlation_id)
    call = exchange.new_call(
        parties, None, dataclasses.replace(request, targets=others), exchange.faults.copy()
    )
    call.observer = True
    talk.join(call)
    return call
