"""The frames of a realtime model, read into `server_events` (realtime.md section 4).

Two steps: the type alone, then the fields that we need of that type. Most frames are of types that nobody needs, and a
field of theirs that looks like one of ours must not spoil them. The model's bytes are a stranger's bytes: whatever they
are, the result is an event, None or `InvalidInput`.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from media_host.agents.realtime import server_events as events
from media_host.agents.realtime.server_events import ServerEvent
from shared.errors import InvalidInput

type Reader = Callable[[bytes], ServerEvent | None]
type Id = Annotated[str, Meta(min_length=1, max_length=512)]
type Milliseconds = Annotated[float, Meta(ge=0, le=2**31)]


class _Created(Struct):
    session: dict[str, Any]

    def event(self) -> ServerEvent:
        session = self.session
        return events.SessionCreated(_text(session, "id"), _expiry(session), _conversation(session))


class _Updated(Struct):
    session: dict[str, Any]

    def event(self) -> ServerEvent:
        return events.SessionUpdated(self.session, _expiry(self.session), _conversation(self.session))


class _Response(Struct):
    """Only the id is insisted on: whoever waits for the end of a response must not miss it for its decoration."""

    id: Id
    status: Any = None
    status_details: Any = None
    metadata: Any = None


class _ResponseCreated(Struct):
    response: _Response

    def event(self) -> ServerEvent:
        given = self.response.metadata if isinstance(self.response.metadata, dict) else {}
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        return events.ResponseCreated(self.response.id, texts)


class _ResponseDone(Struct):
    response: _Response

    def event(self) -> ServerEvent:
        response = self.response
        status = _name(response.status) or "completed"
        error = response.status_details.get("error") if isinstance(response.status_details, dict) else None
        code = _code_of(error) or ("response_failed" if status == "failed" else "")
        return events.ResponseDone(response.id, status, _name(_text(response.status_details, "reason")), code)


class _AudioDelta(Struct):
    response_id: Id
    item_id: Id
    delta: bytes  # msgspec decodes base64, and refuses what is none
    content_index: Annotated[int, Meta(ge=0, le=2**31)] = 0

    def event(self) -> ServerEvent:
        audio = base64.b64encode(self.delta)
        return events.AudioDelta(self.response_id, self.item_id, self.content_index, audio)


class _AudioDone(Struct):
    response_id: Id
    item_id: Id

    def event(self) -> ServerEvent:
        return events.AudioDone(self.response_id, self.item_id)


class _WordsDelta(Struct):
    response_id: Id
    item_id: Id
    delta: str

    def event(self) -> ServerEvent:
        return events.AgentWordsDelta(self.response_id, self.item_id, self.delta)


class _Words(Struct):
    response_id: Id
    item_id: Id
    transcript: str

    def event(self) -> ServerEvent:
        return events.AgentWords(self.response_id, self.item_id, self.transcript)


class _Text(Struct):
    response_id: Id
    item_id: Id
    text: str

    def event(self) -> ServerEvent:
        return events.AgentText(self.response_id, self.item_id, self.text)


class _WordTime(Struct):
    response_id: Id
    item_id: Id
    text: str
    audio_offset_ms: Milliseconds
    audio_duration_ms: Milliseconds

    def event(self) -> ServerEvent:
        at, length = round(self.audio_offset_ms), round(self.audio_duration_ms)
        return events.WordTime(self.response_id, self.item_id, self.text, at, length)


class _Item(Struct):
    id: Id
    type: str
    role: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    server_label: str | None = None

    def approval(self) -> ServerEvent | None:
        """What asks for an approval, if this does."""
        if self.type != "mcp_approval_request":
            return None
        return events.McpApproval(self.id, self.server_label or "", self.name or "", self.arguments or "")


class _ItemAdded(Struct):
    item: _Item
    previous_item_id: str | None = None

    def event(self) -> ServerEvent:
        item = self.item
        return item.approval() or events.ItemAdded(
            item.id, self.previous_item_id or "", item.role or "", item.type, item.server_label or ""
        )


class _OutputItemDone(Struct):
    item: _Item
    response_id: str | None = None

    def event(self) -> ServerEvent | None:
        item = self.item
        # "incomplete": the caller interrupted it, and its arguments may end anywhere (realtime.md section 8).
        if item.type != "function_call" or item.status != "completed":
            return item.approval()
        if not item.call_id or not item.name:
            raise InvalidInput("item", "a function call with a name and a call_id")
        return events.FunctionCall(
            self.response_id or "", item.id, item.call_id, item.name, item.arguments or "{}"
        )


class _Committed(Struct):
    item_id: Id
    previous_item_id: str | None = None

    def event(self) -> ServerEvent:
        return events.CallerCommitted(self.item_id, self.previous_item_id or "")


class _CallerWords(Struct):
    item_id: Id
    transcript: str

    def event(self) -> ServerEvent:
        return events.CallerWords(self.item_id, self.transcript)


class _CallerWordsFailed(Struct):
    item_id: Id
    error: Any = None

    def event(self) -> ServerEvent:
        return events.CallerWordsFailed(self.item_id, _code_of(self.error) or "failed")


class _SpeechStarted(Struct):
    audio_start_ms: Milliseconds

    def event(self) -> ServerEvent:
        return events.CallerSpeechStarted(round(self.audio_start_ms))


class _SpeechStopped(Struct):
    audio_end_ms: Milliseconds

    def event(self) -> ServerEvent:
        return events.CallerSpeechStopped(round(self.audio_end_ms))


class _McpListed(Struct):
    item_id: Id

    def event(self) -> ServerEvent:
        return events.McpTools(self.item_id, "completed")


class _McpFailed(Struct):
    item_id: Id

    def event(self) -> ServerEvent:
        return events.McpTools(self.item_id, "failed")


class _McpCalled(Struct):
    item_id: Id

    def event(self) -> ServerEvent:
        return events.McpCalled(self.item_id, "completed")


class _McpCallFailed(Struct):
    item_id: Id

    def event(self) -> ServerEvent:
        return events.McpCalled(self.item_id, "failed")


class _Failure(Struct):
    error: Any = None

    def event(self) -> ServerEvent:
        error = self.error
        return events.ModelError(
            code=_code_of(error) or "error",
            type=_name(_text(error, "type")),
            event_id=_text(error, "event_id"),
            param=_name(_text(error, "param")),
        )


class _Limit(Struct):
    name: str | None = None
    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None


class _Limits(Struct):
    rate_limits: list[_Limit]

    def event(self) -> ServerEvent | None:
        told = [limit for limit in self.rate_limits if limit.limit and limit.remaining is not None]
        if not told:
            return None
        least = min(told, key=lambda limit: (limit.remaining or 0) / (limit.limit or 1))
        return events.RateLimited(
            _name(least.name), least.remaining or 0.0, least.limit or 0.0, least.reset_seconds or 0.0
        )


class _Warning(Struct):
    warning: Any = None

    def event(self) -> ServerEvent:
        return events.Warned(_code_of(self.warning) or "warning")


class _Type(Struct):
    type: str


_TYPE = msgspec.json.Decoder(_Type)
_UNSAFE = re.compile(r"[^\w.\[\]-]", re.ASCII)


def _text(value: Any, name: str) -> str:
    """A string field of what may be an object, or ""."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _expiry(session: Mapping[str, Any]) -> float | None:
    """When a session ends, if it says so in the way that both services document (Unix time)."""
    at = session.get("expires_at")
    known = isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < 2**40
    return float(at) if at is not None and known else None


def _conversation(session: Mapping[str, Any]) -> str:
    """`AgentConfig.thread_id` of Voice Live's SDK."""
    return _text(session.get("agent"), "thread_id")


def _name(text: Any) -> str:
    """A machine name that is safe to log, whatever it was."""
    return _UNSAFE.sub("_", text[:64]) if isinstance(text, str) else ""


def _code_of(error: Any) -> str:
    """The code of an error object, failing that its type."""
    return _name(_text(error, "code")) or _name(_text(error, "type"))


def _reader(struct: type[Any]) -> Reader:
    decoder = msgspec.json.Decoder(struct)

    def read_one(frame: bytes) -> ServerEvent | None:
        found: ServerEvent | None = decoder.decode(frame).event()
        return found

    return read_one


_SHARED: Mapping[str, type[Any]] = {
    "session.created": _Created,
    "session.updated": _Updated,
    "response.created": _ResponseCreated,
    "response.done": _ResponseDone,
    "response.output_item.done": _OutputItemDone,
    "conversation.item.created": _ItemAdded,
    "conversation.item.input_audio_transcription.completed": _CallerWords,
    "conversation.item.input_audio_transcription.failed": _CallerWordsFailed,
    "input_audio_buffer.committed": _Committed,
    "input_audio_buffer.speech_started": _SpeechStarted,
    "input_audio_buffer.speech_stopped": _SpeechStopped,
    "mcp_list_tools.completed": _McpListed,
    "mcp_list_tools.failed": _McpFailed,
    "response.mcp_call.completed": _McpCalled,
    "response.mcp_call.failed": _McpCallFailed,
    "error": _Failure,
}
_GA: Mapping[str, type[Any]] = {
    "response.output_audio.delta": _AudioDelta,
    "response.output_audio.done": _AudioDone,
    "response.output_audio_transcript.delta": _WordsDelta,
    "response.output_audio_transcript.done": _Words,
    "response.output_text.done": _Text,
    "conversation.item.added": _ItemAdded,
    "rate_limits.updated": _Limits,
}
_FLAT: Mapping[str, type[Any]] = {
    "response.audio.delta": _AudioDelta,
    "response.audio.done": _AudioDone,
    "response.audio_transcript.delta": _WordsDelta,
    "response.audio_transcript.done": _Words,
    "response.text.done": _Text,
    "response.audio_timestamp.delta": _WordTime,
    "warning": _Warning,
}
GA_TYPES: Mapping[str, Reader] = {name: _reader(struct) for name, struct in {**_SHARED, **_GA}.items()}
FLAT_TYPES: Mapping[str, Reader] = {name: _reader(struct) for name, struct in {**_SHARED, **_FLAT}.items()}


def read(frame: bytes, readers: Mapping[str, Reader]) -> ServerEvent | None:
    """The event in a frame; None if nobody needs it.

    Raises:
        InvalidInput: no JSON object with a type, or a field that we need is missing or of a wrong type.
    """
    try:
        reader = readers.get(_TYPE.decode(frame).type)
        return None if reader is None else reader(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # from None: the text may quote the frame
        raise InvalidInput("frame", "an event of a realtime model, as JSON") from None
