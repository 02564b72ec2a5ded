"""Participants of a call: invite, cancel the invitation, remove, mute, move here (acs.md 1.3)."""

import uuid
from dataclasses import dataclass
from typing import Any

from emulator.acs.calls import Call
from emulator.acs.errors import RestError, invalid, not_found, wrong_state
from emulator.acs.events import result
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import Identifier, identifier
from emulator.acs.legs import Leg
from emulator.acs.offers import Offer, Parties, Refusal
from emulator.acs.services import Operation

type Json = dict[str, Any]

KEY = "invitations"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A checked AddParticipantRequest; `timeout_s` None is the emulator's ring time-out."""

    target: Identifier
    operation: Operation
    timeout_s: float | None
    custom_context: Json | None
    source_number: str | None
    source_name: str


def _offers(call: Call) -> dict[str, Offer]:
    offers: dict[str, Offer] = call.extras.setdefault(KEY, {})
    return offers


def _failed(error: RestError) -> Json:
    return result(error.status, int(error.code), error.message)


def add(exchange: Exchange, call: Call, invitation: Invitation) -> str:
    """Invite somebody into the call; returns the invitation's id.

    Who is invited sees the caller id if one was given, otherwise the app's user (guessed).

    Raises:
        RestError: 400/8501, 400/8585; 400/8523: it is in the call already, or there is no room for it (guessed).
    """
    conversation = call.require_connected()
    conversation.require_room()
    target, operation = invitation.target, invitation.operation
    if conversation.find(str(target["rawId"])) is not None:
        raise invalid("ParticipantToAdd")

    def accepted(answering: Leg | None) -> None:
        call.report("AddParticipantSucceeded", {"participant": target}, operation)
        conversation.join(answering or exchange.stranger(target))

    def refused(refusal: Refusal) -> None:
        information = result(refusal.code, refusal.sub_code, refusal.message)
        call.report(
            "AddParticipantFailed", {"participant": target, "resultInformation": information}, operation
        )

    def withdraw() -> None:
        exchange.withdraw(offer)

    number = invitation.source_number
    caller = identifier(number) if number else call.identifier
    offer = Offer(
        Parties(caller, target, conversation.server_call_id, conversation.correlation_id),
        call.faults,
        accepted,
        refused,
        invitation.timeout_s or exchange.ring_timeout_s,
        display_name=invitation.source_name,
        custom_context=invitation.custom_context,
    )
    invitation_id = str(uuid.uuid4())
    _offers(call)[invitation_id] = offer
    conversation.when_over.append(withdraw)
    exchange.ring(offer)
    return invitation_id


def cancel(exchange: Exchange, call: Call, invitation_id: str, operation: Operation) -> None:
    """Take an invitation back; one that is unknown or over gives CancelAddParticipantFailed (its codes are guessed).

    Raises:
        RestError: 400/8501, 400/8585.
    """
    call.require_connected()
    offer = _offers(call).get(invitation_id)
    if offer is not None and exchange.withdraw(offer):
        call.report("CancelAddParticipantSucceeded", {"invitationId": invitation_id}, operation)
        return
    error = not_found("Invitation") if offer is None else wrong_state("The invitation is over.")
    data = {"invitationId": invitation_id, "resultInformation": _failed(error)}
    call.report("CancelAddParticipantFailed", data, operation)


def remove(call: Call, who: Identifier, operation: Operation) -> None:
    """Put somebody out of the call, which ends when fewer than two are left.

    Raises:
        RestError: 400/8501, 400/8585.
    """
    conversation = call.require_connected()
    leg = conversation.find(str(who["rawId"]))
    if leg is None:
        data = {"participant": who, "resultInformation": _failed(not_found("Participant"))}
        call.report("RemoveParticipantFailed", data, operation)
        return
    call.report("RemoveParticipantSucceeded", {"participant": who}, operation)
    conversation.leave(leg, "removed", "agent")


def mute(call: Call, who: Identifier) -> None:
    """Mute an ACS user; nothing but the user itself can undo it.

    Raises:
        RestError: 400/8501, 400/8585; 404/8522: it is not in the call; 400/8523: it is no ACS user (acs.md 7, net#55527).
    """
    conversation = call.require_connected()
    leg = call.participant(who)
    if leg.identifier["kind"] != "communicationUser":
        raise invalid("TargetParticipants")
    leg.mute()
    conversation.changed()


def move(source: Call, call: Call, targets: tuple[Identifier, ...], operation: Operation) -> None:
    """Bring participants of another of the resource's calls into this one; the other call ends when fewer than two are left.

    Raises:
        RestError: 400/8501, 400/8585; 400/8523: both are the same call.
    """
    there, here = source.require_connected(), call.require_connected()
    if there is here:
        raise invalid("FromCall")
    moved = False
    for who in targets:
        leg = there.find(str(who["rawId"]))
        if leg is None or leg is source:
            error = not_found("Participant") if leg is None else invalid("TargetParticipants")
            data = {"participant": who, "fromCall": source.id, "resultInformation": _failed(error)}
            call.report("MoveParticipantFailed", data, operation)
            continue
        there.release(leg)
        here.join(leg)
        moved = True
        call.report("MoveParticipantSucceeded", {"participant": who, "fromCall": source.id}, operation)
    if moved:
        there.settle("moved", "agent")
