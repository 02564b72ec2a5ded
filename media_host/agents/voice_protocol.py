"""The messages of `voice-agent.v1`, sans I/O: what the host sends, encoded, and what an agent sends, decoded and checked.

`docs/voice-agent.md` is the protocol's page, `docs/voice-agent.v1.schema.json` its JSON Schema; a test holds this file
against both.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from media_host.agents.base import AgentStart, Heard, Said
from shared.errors import InvalidInput

SUBPROTOCOL = "voice-agent.v1"
MAX_MESSAGE = 262_144
"""Bytes of one message, text or binary, either way."""
MAX_VARIABLES = 4096
"""Bytes of all variables of an `end`, as JSON."""
MAX_HISTORY = 50
"""Lines of the conversation that an agent is told which takes over, the newest ones."""

type Name = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}\Z")]
type Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}\Z")]
type Text = Annotated[str, msgspec.Meta(min_length=1, max_length=16_000)]
type Ms = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message of the agent's; fields that it does not know are ignored."""


class Ready(Message, frozen=True):
    """It can begin, in this audio format."""

    codec: str
    session_id: Annotated[str, msgspec.Meta(max_length=128)] = ""
    detects_speech: bool = True
    exact_say: bool = False
    minds_silence: bool = False


class Turn(Message, frozen=True):
    """It begins to speak; the audio that follows belongs to this turn."""

    turn: Name
    barge_in: Literal["never", "speech", "confirmed"] | msgspec.UnsetType = msgspec.UNSET


class TurnEnd(Message, frozen=True):
    """All audio of the turn has been sent."""

    turn: Name


class SpeechStarted(Message, frozen=True):
    """The caller began to speak."""

    ago_ms: Ms = 0


class SpeechStopped(Message, frozen=True):
    """The caller fell silent."""


class Interrupt(Message, frozen=True):
    """It wants to be silent at once."""


class Word(Message, frozen=True):
    """When a word of a turn is spoken."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    at_ms: Ms
    ms: Ms


class Transcript(Message, frozen=True):
    """What was said."""

    who: Literal["caller", "agent"]
    text: Text
    turn: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,64}\Z")] = ""
    words: Annotated[list[Word], msgspec.Meta(max_length=2000)] = []


class ToolCall(Message, frozen=True):
    """It wants a tool run."""

    call_id: Name
    name: Name
    arguments: dict[str, Any] = {}


class End(Message, frozen=True):
    """The conversation is over."""

    outcome: Literal["AGENT", "SYSTEM"]
    reason: Code = "completed"
    target: Annotated[str, msgspec.Meta(max_length=63)] = ""
    task: Annotated[str, msgspec.Meta(max_length=128)] = ""
    reference: dict[str, str] = {}
    variables: dict[str, str] = {}


class Error(Message, frozen=True):
    """Something went wrong."""

    code: Code
    message: Annotated[str, msgspec.Meta(max_length=500)] = ""
    fatal: bool = False


class _Typed(msgspec.Struct):
    type: str


_TYPE = msgspec.json.Decoder(_Typed)
_DECODERS: Mapping[str, msgspec.json.Decoder[Message]] = {
    name: msgspec.json.Decoder(type=kind)
    for name, kind in {
        "ready": Ready,
        "turn": Turn,
        "turnEnd": TurnEnd,
        "speechStarted": SpeechStarted,
        "speechStopped": SpeechStopped,
        "interrupt": Interrupt,
        "transcript": Transcript,
        "toolCall": ToolCall,
        "end": End,
        "error": Error,
    }.items()
}


def decode(frame: bytes) -> Message | None:
    """The agent's message in a text frame; None if its type is unknown, which later versions may use.

    Raises:
        InvalidInput: it is none, or a field of it is wrong; the field is named, what stands in it is not.
    """
    try:
        kind = _TYPE.decode(frame).type
    except (
        msgspec.DecodeError,
        RecursionError,
    ):  # from None, here and below: the parser's text may quote the frame
        raise InvalidInput("message", "a JSON object with a type") from None
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        message = decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(_place(kind, str(error)), "what the protocol says") from None
    if isinstance(message, End):
        if len(msgspec.json.encode((message.reference, message.variables))) > MAX_VARIABLES:
            raise InvalidInput("end.variables", f"at most {MAX_VARIABLES} bytes of variables in all")
    return message


def _place(kind: str, mistake: str) -> str:
    """Where it is, from msgspec's text: `Expected …, got … - at `$.words[0].atMs``."""
    at = re.search(r" - at `(?:key in )?\$\.?([A-Za-z0-9_.\[\]]*)", mistake)
    missing = re.match(r"Object missing required field `(\w+)`", mistake)
    return ".".join(part for part in (kind, at and at[1], missing and missing[1]) if part)


def start(
    start: AgentStart, history: Sequence[Said], *, instructions: str, greeting: str, barge_in: str
) -> bytes:
    """The first message: all that an agent is told before the call; without the history if that makes it too long."""
    said: list[dict[str, object]] = [
        {"who": line.who, "text": line.text, **({"earlier": True} if line.earlier else {})}
        for line in history[-MAX_HISTORY:]
    ]
    fields: dict[str, object] = {
        "callId": start.call_id,
        "codec": start.codec,
        "task": start.task,
        "instructions": instructions,
        "greeting": greeting,
        "bargeIn": barge_in,
        "variables": start.variables,
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "whileRunning": tool.while_running,
            }
            for tool in start.tools
        ],
        "resumed": start.resumed,
    }
    frame = _encode("start", **fields, history=said)
    return frame if len(frame) <= MAX_MESSAGE else _encode("start", **fields, history=[])


def dtmf(digits: str) -> bytes:
    """Keys that the caller has pressed."""
    return _encode("dtmf", digits=digits)


def text(text: str) -> bytes:
    """Something that nobody said."""
    return _encode("text", text=text)


def say(text: str) -> bytes:
    """What the agent is to say."""
    return _encode("say", text=text)


def interrupted(heard: Heard) -> bytes:
    """A turn was cut off."""
    return _encode("interrupted", turn=heard.turn, playedMs=heard.heard_ms, madeMs=heard.made_ms)


def played(turn: str) -> bytes:
    """A turn was heard to its end."""
    return _encode("played", turn=turn)


def tool_result(call_id: str, output: Mapping[str, object]) -> bytes:
    """What a tool found; one that is too long for a message is replaced by an error."""
    frame = _encode("toolResult", callId=call_id, output=output)
    if len(frame) > MAX_MESSAGE:
        frame = _encode("toolResult", callId=call_id, output={"error": "the result is too long"})
    return frame


def listen_only() -> bytes:
    """Be silent from now on."""
    return _encode("listenOnly")


def stop(reason: str) -> bytes:
    """The host's last message."""
    return _encode("stop", reason=reason)


def _encode(type: str, **fields: object) -> bytes:
    return msgspec.json.encode({"type": type, **fields})
