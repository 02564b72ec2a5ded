"""The call-transfer resource as JSON: what a client may send, and what it sees (twilio-and-transfers.md 2A)."""

import re
from collections.abc import Mapping

from shared.calls.events import rfc3339
from shared.errors import InvalidInput
from shared.transfers.record import CallTransfer, OutputContext, Status, TransferKind
from shared.transfers.transfers import NewTransfer
from shared.wire.custom_context import TRANSFER_ID
from shared.wire.json_input import LINE, as_object, client_id, decode, line, text

BODY_LIMIT = 64 * 1024
"""Bytes of a request."""
MAX_VARIABLES, MAX_NAME, MAX_VALUE = 100, 64, 4096
"""Input variables of one transfer, and the characters of each name and value."""

_FIELDS = frozenset({"id", "externalConversationId", "type", "phoneNumber", "inputContext"})


class NotEnabled(InvalidInput):
    """A type of transfer that the API names and this system does not offer."""

    status = 422
    code = "422-01"


class NoSuchCountry(InvalidInput):
    """There are no numbers of that country."""

    status = 422
    code = "422-02"

    def __init__(self, country: str) -> None:
        super().__init__("phoneNumber.country", f"a country with numbers in the pool ({country} has none)")


def parse_new(body: bytes) -> NewTransfer:
    """What a client asks for.

    Raises:
        InvalidInput: names the first wrong field.
        NotEnabled: type SIP.
    """
    value = as_object(decode(body, field="body", limit=BODY_LIMIT), field="body")
    if unknown := sorted(set(value) - _FIELDS):
        raise InvalidInput(unknown[0][:64], "nothing: this field is not known")
    kind = text(value.get("type"), field="type", limit=32)
    if kind == "SIP":
        raise NotEnabled("type", "PHONE_NUMBER or ACS_USER: SIP is not enabled here")
    if kind not in TransferKind or kind == TransferKind.TWILIO:  # those begin by themselves
        raise InvalidInput("type", "PHONE_NUMBER or ACS_USER")
    context = value.get("inputContext")
    context = {} if context is None else as_object(context, field="inputContext")
    return NewTransfer(
        client_id(value.get("id"), field="id"),
        line(value.get("externalConversationId"), field="externalConversationId", limit=256),
        TransferKind(kind),
        _country(value, TransferKind(kind)),
        line(context.get("taskName"), field="inputContext.taskName", limit=128, default=""),
        variables(context.get("inputVariables"), "inputContext.inputVariables"),
    )


def _country(value: Mapping[str, object], kind: TransferKind) -> str:
    if kind is not TransferKind.PHONE_NUMBER:
        return ""
    wanted = as_object(value.get("phoneNumber"), field="phoneNumber")
    country = text(wanted.get("country"), field="phoneNumber.country", limit=8)
    if not re.fullmatch(r"[A-Za-z]{2}", country):
        raise InvalidInput("phoneNumber.country", "two letters (ISO 3166) such as US")
    return country.upper()


def variables(value: object, place: str) -> dict[str, str]:
    """The input variables that a request holds at `place`; None are none.

    Raises:
        InvalidInput: too many, or one whose name or value is no text or too long.
    """
    if value is None:
        return {}
    given = as_object(value, field=place)
    if len(given) > MAX_VARIABLES:
        raise InvalidInput(place, f"at most {MAX_VARIABLES} variables")
    found: dict[str, str] = {}
    for name, item in given.items():
        if not re.fullmatch(f"{LINE}{{1,{MAX_NAME}}}", name):
            raise InvalidInput(place, f"names of 1 to {MAX_NAME} printable characters")
        if not isinstance(item, str) or len(item) > MAX_VALUE:
            raise InvalidInput(f"{place}.{name}", f"text of at most {MAX_VALUE} characters")
        found[name] = item
    return found


def to_json(transfer: CallTransfer, now: float, *, acs_user: str = "") -> dict[str, object]:
    """What a client sees of a transfer at `now`; a field is there as soon as it has a value.

    Args:
        transfer: which.
        now: Unix seconds.
        acs_user: the identity to call for a transfer of type ACS_USER.
    """
    shown: dict[str, object] = {
        "id": transfer.id,
        "externalConversationId": transfer.conversation_id,
        "type": transfer.kind.value,
        "status": transfer.status(now).value,
        "createdAt": _time(transfer.created_at),
    }
    if transfer.task_name or transfer.input_variables:
        shown["inputContext"] = {
            **({"taskName": transfer.task_name} if transfer.task_name else {}),
            "inputVariables": transfer.input_variables,
        }
    expires = _time(transfer.expires_at)
    if transfer.kind is TransferKind.PHONE_NUMBER:
        shown["phoneNumber"] = {
            "transferNumber": transfer.number,
            "country": transfer.country,
            "expiresAt": expires,
            "expireAt": expires,  # the documents of the system that Patchcord replaces use both names
        }
    elif transfer.kind is TransferKind.ACS_USER:
        shown["acsUser"] = {
            "communicationUserId": acs_user,
            "voipHeaders": {TRANSFER_ID: transfer.id},
            "expiresAt": expires,
        }
    if transfer.call_received_at is not None:
        shown["callReceivedAt"] = _time(transfer.call_received_at)
        shown["callId"] = transfer.call_id
    if transfer.status(now) is Status.COMPLETED and transfer.output is not None:
        shown["completedAt"] = _time(transfer.completed_at)
        shown["outputContext"] = _output(transfer.output)
    return shown


def _output(output: OutputContext) -> dict[str, object]:
    shown: dict[str, object] = {"transferType": output.transfer_type}
    if output.current_task_name:
        shown["currentTaskName"] = output.current_task_name
    if output.transfer_type != "CALLER_DISCONNECT":
        shown["referenceVariables"] = output.reference_variables
        shown["transferVariables"] = output.transfer_variables
    return shown


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
