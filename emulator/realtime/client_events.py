"""Client events: what each may hold. Both dialects have the same ones, but for sessions, responses and content of messages."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from emulator.realtime.errors import ClientError, refusal

type Json = dict[str, Any]

MAX_APPEND = 15 * 1024 * 1024
"""Bytes of audio in one `input_audio_buffer.append` (realtime.md 3)."""


class Event(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What all have."""

    event_id: str | None = None


class SessionUpdate(Event, tag="session.update"):
    """`session` is looked at by the dialect."""

    session: Json


class Append(Event, tag="input_audio_buffer.append"):
    """Audio in base64."""

    audio: bytes


class Commit(Event, tag="input_audio_buffer.commit"):
    """End the caller's turn by hand."""


class Clear(Event, tag="input_audio_buffer.clear"):
    """Forget what the caller said."""


class ItemCreate(Event, tag="conversation.item.create"):
    """`item` is looked at by its type."""

    item: Json
    previous_item_id: str | None = None


class Truncate(Event, tag="conversation.item.truncate"):
    """The caller heard so much of it."""

    item_id: str
    content_index: int
    audio_end_ms: int


class Delete(Event, tag="conversation.item.delete"):
    """Take it out of the conversation."""

    item_id: str


class Retrieve(Event, tag="conversation.item.retrieve"):
    """Tell what the service knows of it."""

    item_id: str


class ResponseCreate(Event, tag="response.create"):
    """`response` is looked at by the dialect."""

    response: Json = {}
    additional_instructions: str | UnsetType = UNSET


class ResponseCancel(Event, tag="response.cancel"):
    """Stop speaking."""

    response_id: str | None = None


type ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | Truncate
    | Delete
    | Retrieve
    | ResponseCreate
    | ResponseCancel
)

_DECODER: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)


def parse(frame: str | bytes) -> ClientEvent:
    """One client event.

    Raises:
        ClientError: it is none, or has a wrong field.
    """
    try:
        return _DECODER.decode(frame)
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    except msgspec.DecodeError:
        raise ClientError("invalid_json", "We could not parse the JSON body of your request.") from None


class _Item(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    id: str | UnsetType = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET


class _Content(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: str
    text: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    audio: str | UnsetType = UNSET


class Message(_Item, tag="message"):
    """Words of somebody."""

    role: Literal["user", "assistant", "system"]
    content: list[_Content]
    status: Literal["completed", "incomplete", "in_progress"] = "completed"


class FunctionOutput(_Item, tag="function_call_output"):
    """What a function of the client has answered."""

    call_id: str
    output: str


class Approval(_Item, tag="mcp_approval_response"):
    """Whether a tool of an MCP server may be used."""

    approval_request_id: str
    approve: bool
    reason: str | None = None


type NewItem = Message | FunctionOutput | Approval


def parse_item(value: Json, assistant_text: str) -> NewItem:
    """An item that the client adds; `assistant_text` is the dialect's type of an assistant's text.

    Raises:
        ClientError: it has a wrong field.
    """
    try:
        item: NewItem = msgspec.convert(value, NewItem)
    except msgspec.ValidationError as error:
        raise refusal(error, "item") from None
    if isinstance(item, Message):
        right = {
            "user": ("input_text", "input_audio"),
            "system": ("input_text",),
            "assistant": (assistant_text,),
        }
        for index, part in enumerate(item.content):
            if part.type not in right[item.role]:
                names = " and ".join(f"'{name}'" for name in right[item.role])
                text = f"Invalid value: '{part.type}'. Supported values are: {names}."
                raise ClientError("invalid_value", text, f"item.content[{index}].type")
    return item
