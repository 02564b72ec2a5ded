"""`POST /api/v1/calls` as JSON: what a client may send, and what it sees."""

import hashlib
from dataclasses import dataclass, field

import msgspec

from shared.calls.record import CallRecord
from shared.errors import InvalidInput
from shared.transfers.api import BODY_LIMIT, variables
from shared.wire.identifiers import parse_e164
from shared.wire.json_input import as_object, client_id, decode, line, text

_FIELDS = frozenset(
    {"id", "number", "agent", "taskName", "inputVariables", "externalConversationId", "callerId"}
)


@dataclass(frozen=True, slots=True)
class NewCall:
    """What a client asks for.

    Attributes:
        id: the client's; the same request with the same id is the same call.
        number: whom to call, E.164.
        agent: who talks to them.
        task: the job the agent starts with, or "".
        input_variables: what the agent knows.
        conversation_id: the client's id of the conversation that the call goes on with, or "".
        caller_id: the number that the person sees, or "" for the tenant's first one.
    """

    id: str
    number: str
    agent: str
    task: str = ""
    input_variables: dict[str, str] = field(default_factory=dict)
    conversation_id: str = ""
    caller_id: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same request."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def parse_new_call(body: bytes) -> NewCall:
    """What a client asks for.

    Raises:
        InvalidInput: names the first wrong field.
    """
    value = as_object(decode(body, field="body", limit=BODY_LIMIT), field="body")
    if unknown := sorted(set(value) - _FIELDS):
        raise InvalidInput(unknown[0][:64], "nothing: this field is not known")
    caller_id = text(value.get("callerId"), field="callerId", limit=32, default="")
    return NewCall(
        client_id(value.get("id"), field="id"),
        parse_e164(text(value.get("number"), field="number", limit=32), field="number"),
        text(value.get("agent"), field="agent", limit=64),
        line(value.get("taskName"), field="taskName", limit=128, default=""),
        variables(value.get("inputVariables"), "inputVariables"),
        line(value.get("externalConversationId"), field="externalConversationId", limit=256, default=""),
        parse_e164(caller_id, field="callerId") if caller_id else "",
    )


def to_json(new: NewCall, record: CallRecord) -> dict[str, object]:
    """What a client sees of its call; `GET /api/calls/{callId}` has the rest."""
    return {"id": new.id, "callId": record.call_id, "state": record.state.value}
