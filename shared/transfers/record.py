"""One call transfer: a pure state machine.

    ACTIVE ──claimed by a call──▶ ONGOING ──outcome──▶ COMPLETED
       └────time is up────▶ EXPIRED

No other edge exists; one of kind TWILIO begins as ONGOING, and may begin anew after COMPLETED: the same Twilio call comes
back to the agent. A transfer is stored as one row and changed by replace-if-match, so of two that want different edges
one loses and looks again. Expiry and outcome are computed on reading: nothing waits for a timer (requirements 115-137,
twilio-and-transfers.md 2A and 2F).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

GRACE_S = 2.0
"""How much later than `expires_at` a call may have begun, by ACS's clock, and still be taken (race R3, R10)."""


class TransferKind(StrEnum):
    """How the caller comes: by a temporary number, as an ACS call to the agent's own identity, or on the Twilio line."""

    PHONE_NUMBER = "PHONE_NUMBER"
    ACS_USER = "ACS_USER"
    TWILIO = "TWILIO"
    """Its call's audio is streamed to us; there is no number, and the transfer begins with the call itself."""


class Status(StrEnum):
    """Where a transfer stands; the four public statuses."""

    ACTIVE = "ACTIVE"
    ONGOING = "ONGOING"
    COMPLETED = "COMPLETED"
    EXPIRED = "EXPIRED"


class OutputContext(msgspec.Struct, frozen=True):
    """What the agent hands back; no variables when the caller hung up (requirement 127)."""

    transfer_type: Literal["AGENT", "SYSTEM", "CALLER_DISCONNECT"]
    current_task_name: str = ""
    reference_variables: dict[str, str] = {}
    transfer_variables: dict[str, str] = {}


class CallTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer. Times are Unix seconds; None until they are reached.

    Attributes:
        id: chosen by the client, unique within the tenant.
        tenant: whose it is.
        conversation_id: the client's `externalConversationId`; joins transfers and calls.
        kind: how the caller comes.
        country: PHONE_NUMBER: of the wanted number (ISO 3166, two letters).
        number: PHONE_NUMBER: the temporary number; "" until one is assigned.
        task_name, input_variables: what the agent is told.
        fingerprint: SHA-256 of the request, by which a repeated one is known.
        created_at: when the number was assigned; None while the request is being carried out.
        expires_at: until when a call may come.
        call_received_at: when the call came that took it.
        call_key: of that call's claim, by which its redelivery is known.
        call_id: our id of it.
        completed_at: when the agent was done, or the caller gone.
        output: what came of it.
        expired: the time was up before any call came, and somebody has seen that.
    """

    id: str
    tenant: str
    conversation_id: str
    kind: TransferKind
    fingerprint: str
    country: str = ""
    number: str = ""
    task_name: str = ""
    input_variables: dict[str, str] = {}
    created_at: float | None = None
    expires_at: float | None = None
    call_received_at: float | None = None
    call_key: str = ""
    call_id: str = ""
    completed_at: float | None = None
    output: OutputContext | None = None
    expired: bool = False

    def status(self, now: float) -> Status:
        """Where it stands at `now`."""
        if self.completed_at is not None:
            return Status.COMPLETED
        if self.call_received_at is not None:
            return Status.ONGOING
        if self.expired or (self.expires_at is not None and now >= self.expires_at):
            return Status.EXPIRED
        return Status.ACTIVE


class Refusal(StrEnum):
    """Why a call cannot have a transfer."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    TOO_EARLY = "too_early"
    TAKEN = "taken"


def activated(transfer: CallTransfer, number: str, now: float, lifetime_s: float) -> CallTransfer:
    """The transfer with its number, if it needs one, and its time running from `now`."""
    return msgspec.structs.replace(transfer, number=number, created_at=now, expires_at=now + lifetime_s)


def claimed(
    transfer: CallTransfer, *, call_key: str, call_id: str, event_at: float, now: float
) -> CallTransfer | Refusal:
    """The transfer in the hands of a call, or why the call cannot have it.

    Args:
        transfer: as it was read.
        call_key: the claim key of the call; the same call gets the same answer again (race R7).
        call_id: our id of the call.
        event_at: when the call began, by ACS's clock.
        now: by ours.
    """
    if transfer.call_received_at is not None:
        return transfer if transfer.call_key == call_key and transfer.completed_at is None else Refusal.TAKEN
    if transfer.created_at is None or transfer.expires_at is None:
        return Refusal.UNKNOWN
    if transfer.expired or event_at > transfer.expires_at + GRACE_S:
        return Refusal.EXPIRED
    if event_at < transfer.created_at - GRACE_S:
        return Refusal.TOO_EARLY  # a call of the number's former owner, delivered late (race R9)
    return msgspec.structs.replace(
        transfer, call_key=call_key, call_id=call_id, call_received_at=max(now, transfer.created_at)
    )


def expired(transfer: CallTransfer, now: float) -> CallTransfer:
    """The transfer, marked as expired if its time is up and nobody came; then no call can take it any more."""
    if transfer.expired or transfer.status(now) is not Status.EXPIRED:
        return transfer
    return msgspec.structs.replace(transfer, expired=True)


def begun(transfer: CallTransfer, call_key: str, call_id: str, now: float) -> CallTransfer:
    """A transfer of kind TWILIO in the hands of its call, from its first moment."""
    return msgspec.structs.replace(
        transfer, created_at=now, expires_at=now, call_received_at=now, call_key=call_key, call_id=call_id
    )


def may_begin_anew(transfer: CallTransfer, call_key: str) -> bool:
    """Whether the Twilio call `call_key` may begin this transfer again: it is its own, and over."""
    is_own = transfer.kind is TransferKind.TWILIO and transfer.call_key == call_key
    return is_own and transfer.completed_at is not None


def completed(transfer: CallTransfer, output: OutputContext, at: float) -> CallTransfer:
    """The transfer with its outcome; the first outcome stays (race R12), and only an ONGOING transfer can have one."""
    if transfer.call_received_at is None or transfer.completed_at is not None:
        return transfer
    return msgspec.structs.replace(transfer, output=output, completed_at=max(at, transfer.call_received_at))


def strings(values: Mapping[str, object]) -> dict[str, str]:
    """Variables as a map of strings: other JSON values as their JSON text (requirement 133)."""
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in values.items()
    }
