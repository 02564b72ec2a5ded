"""What a realtime model tells us, the same for both dialects (realtime.md sections 4, 8, 10, 11).

Times are milliseconds. Ids are the model's. What the model says about errors is reduced to machine names, which are safe
to log: its messages may quote what we sent, keys too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The model is there, with its own defaults.

    Attributes:
        session_id: its name for the session.
        expires_at: Unix time in seconds, if it says.
        conversation_id: of a Foundry agent: the thread by which another session can go on with the conversation.
    """

    session_id: str
    expires_at: float | None
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The configuration is taken; `session` is what the model made of it, the rest as in `SessionCreated`."""

    session: Mapping[str, Any]
    expires_at: float | None
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    """A response begins, asked for or not; `metadata` is what the request gave."""

    response_id: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A response is over; it may come without a `ResponseCreated` (realtime.md section 4).

    Attributes:
        response_id: which.
        status: `completed`, `cancelled`, `incomplete` or `failed`.
        reason: `turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`, or "".
        error_code: of a failed one.
    """

    response_id: str
    status: str
    reason: str
    error_code: str


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Audio of the agent as base64 text, for frames that are not in the usual shape; well-formed, but maybe half samples."""

    response_id: str
    item_id: str
    content_index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class AudioDone:
    """All audio of an item's part has come; also when it was cut short."""

    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class AgentWordsDelta:
    """The next words of what the audio says."""

    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentWords:
    """All that the audio says, heard or not."""

    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentText:
    """A text that has no audio: of a response that was asked for as text, or of a model that forgot to speak."""

    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class WordTime:
    """When a word is spoken: `at_ms` from the item's beginning, for `ms` (Voice Live)."""

    response_id: str
    item_id: str
    text: str
    at_ms: int
    ms: int


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """The conversation has an item more. `server` is the MCP server of an `mcp_list_tools` or `mcp_call` item, else ""."""

    item_id: str
    previous_item_id: str
    role: str
    type: str
    server: str = ""


@dataclass(frozen=True, slots=True)
class CallerCommitted:
    """What the caller said has become an item; by `previous_item_id` its words find their place."""

    item_id: str
    previous_item_id: str


@dataclass(frozen=True, slots=True)
class CallerWords:
    """What the caller said; may come after the answer to it, and on Voice Live again without words (section 10)."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CallerWordsFailed:
    """The caller's words could not be written down; the conversation goes on."""

    item_id: str
    code: str


@dataclass(frozen=True, slots=True)
class CallerSpeechStarted:
    """The caller speaks, since `at_ms` of audio that was sent, padding included (section 4)."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class CallerSpeechStopped:
    """The caller fell silent, at `at_ms` of audio that was sent."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A whole function call, never one that an interruption cut off; `arguments` as the model wrote them."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class McpTools:
    """The model's service has asked an MCP server for its tools: `completed` or `failed`. Its name: see `ItemAdded`."""

    item_id: str
    state: str


@dataclass(frozen=True, slots=True)
class McpCalled:
    """The model's service has called a tool of an MCP server: `completed` or `failed`. Voice Live then waits to be asked."""

    item_id: str
    state: str


@dataclass(frozen=True, slots=True)
class McpApproval:
    """A tool of an MCP server waits to be allowed; the conversation stands still until it is answered.

    It may be told twice.
    """

    approval_id: str
    server: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelError:
    """The model did not like something; `event_id` is the client event's, if it was one.

    `code` is never empty: without one it is the type.
    """

    code: str
    type: str
    event_id: str
    param: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The quota that is nearest its end: `remaining` of `limit`, anew in `reset_s` seconds."""

    name: str
    remaining: float
    limit: float
    reset_s: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Voice Live has taken something and does not like it."""

    code: str


type ServerEvent = (
    SessionCreated
    | SessionUpdated
    | ResponseCreated
    | ResponseDone
    | AudioDelta
    | AudioDone
    | AgentWordsDelta
    | AgentWords
    | AgentText
    | WordTime
    | ItemAdded
    | CallerCommitted
    | CallerWords
    | CallerWordsFailed
    | CallerSpeechStarted
    | CallerSpeechStopped
    | FunctionCall
    | McpTools
    | McpCalled
    | McpApproval
    | ModelError
    | RateLimited
    | Warned
)
