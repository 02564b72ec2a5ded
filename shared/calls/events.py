"""Everything that ever happened to a call is one event, inserted once by its id.

The function app and the media host both write events; neither changes one. The record (`record.fold`) is computed from
them, so that order and doubling do not matter.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from shared.store.entities import Entity, Value

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
"""A JSON value; keys of an event's data are camelCase."""

CHUNK = 15_000
"""Characters per property: a store takes 32,000 UTF-16 units, and a character has up to two."""

_SAFE_ROW = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class EventKind(StrEnum):
    """What happened. First block: written by the function app, second: by the media host."""

    RECEIVED = "received"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    ANSWERING = "answering"
    ANSWERED = "answered"
    ANSWER_FAILED = "answer_failed"
    CONNECTED = "connected"
    PARTICIPANTS = "participants"
    MEDIA_STARTED = "media_started"
    MEDIA_FAILED = "media_failed"
    MEDIA_STOPPED = "media_stopped"
    DISCONNECTED = "disconnected"
    TRANSFER_ACCEPTED = "transfer_accepted"
    TRANSFER_FAILED = "transfer_failed"
    PARTICIPANT_ADDED = "participant_added"
    PARTICIPANT_ADD_FAILED = "participant_add_failed"
    CALLBACK = "callback"
    CALLING = "calling"
    RINGING = "ringing"
    CREATE_FAILED = "create_failed"
    MEDIA_LOST = "media_lost"
    RECOVERY = "recovery"
    QUEUED = "queued"
    IVR_STEP = "ivr_step"

    MEDIA_CONNECTED = "media_connected"
    ANSWERED_BY = "answered_by"
    AGENT_READY = "agent_ready"
    FIRST_AUDIO = "first_audio"
    CALLER_SAID = "caller_said"
    AGENT_SAID = "agent_said"
    KEYS = "keys"
    BARGE_IN = "barge_in"
    TOOL = "tool"
    OUTCOME = "outcome"
    HANG_UP = "hang_up"
    TRANSFER = "transfer"
    HANDOVER = "handover"
    RECORDING = "recording"
    FAULT = "fault"
    MEDIA_CLOSED = "media_closed"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One thing that happened.

    Attributes:
        id: unique within the call; the key by which a doubled event is noticed.
        kind: what happened.
        at: when, in Unix seconds, by the clock of whoever saw it first.
        data: the details; never a token, a context or a pressed digit.
    """

    id: str
    kind: EventKind
    at: float
    data: Mapping[str, Json] = field(default_factory=dict)


def row_key(text: str) -> str:
    """`text` as a row key that every store takes: unchanged if harmless, else its SHA-256 in hex."""
    if _SAFE_ROW.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pack(value: object) -> dict[str, Value]:
    """`value` as JSON text in properties `json0`, `json1`, … short enough for every store."""
    text = msgspec.json.encode(value).decode()
    return {f"json{i // CHUNK}": text[i : i + CHUNK] for i in range(0, len(text), CHUNK)}


def unpack[T](values: Mapping[str, Value], into: type[T]) -> T:
    """The value that `pack` made, checked against the type `into`."""
    pieces: list[str] = []
    while (key := f"json{len(pieces)}") in values:
        pieces.append(str(values[key]))
    return msgspec.json.decode("".join(pieces), type=into)


def to_entity(call_id: str, event: CallEvent) -> Entity:
    """The row of table `events` that holds `event`."""
    return Entity(call_id, row_key(event.id), pack(event))


def from_entity(entity: Entity) -> CallEvent:
    """The event in a row of table `events`. A kind of a later version counts as `callback`: it changes no state."""
    raw = unpack(entity.values, dict)
    kind = raw["kind"]
    known = EventKind(kind) if kind in EventKind else EventKind.CALLBACK
    return CallEvent(raw["id"], known, raw["at"], raw["data"])


def rfc3339(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds: `2026-11-20T23:50:38.925Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
