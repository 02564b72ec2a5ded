"""A session as OpenAI and Azure OpenAI `/openai/v1` have it: what `session.update` may hold, and its defaults.

Written from realtime.md 2 and the types of the openai SDK. A field that is not here is refused, as the service does.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

type Json = dict[str, Any]


class Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An object of the session."""


class Format(Part, tag_field="type"):
    """Of audio."""


class Pcm(Format, tag="audio/pcm"):
    """PCM16LE; the only rate is 24000."""

    rate: Literal[24000] = 24000


class Pcmu(Format, tag="audio/pcmu"):
    """Mu-law at 8 kHz."""


class TurnDetection(Part, tag_field="type"):
    """When the caller's turn begins and ends."""

    create_response: bool = True
    interrupt_response: bool = True


class ServerVad(TurnDetection, tag="server_vad"):
    """By silence."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None


class SemanticVad(TurnDetection, tag="semantic_vad"):
    """By meaning; here it is silence all the same."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class Transcription(Part):
    """Of the caller's words."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(Part):
    """`strength` is of the newer models."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class Input(Part):
    """`audio.input`."""

    format: Pcm | Pcmu | UnsetType = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET


class Output(Part):
    """`audio.output`."""

    format: Pcm | Pcmu | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    speed: float | UnsetType = UNSET


class Audio(Part):
    """`audio`."""

    input: Input | UnsetType = UNSET
    output: Output | UnsetType = UNSET


class Tool(Part, tag_field="type"):
    """Of the session or a response."""


class Function(Tool, tag="function"):
    """A function of the client's."""

    name: str
    description: str | UnsetType = UNSET
    parameters: Json | UnsetType = UNSET


class Mcp(Tool, tag="mcp"):
    """Tools of a server that the service calls."""

    server_label: str
    server_url: str | UnsetType = UNSET
    authorization: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    allowed_tools: list[str] | UnsetType = UNSET
    require_approval: Literal["always", "never"] | dict[str, Any] = "always"
    server_description: str | UnsetType = UNSET


class ChosenTool(Part):
    """`tool_choice` as an object."""

    type: Literal["function", "mcp"]
    name: str | UnsetType = UNSET
    server_label: str | UnsetType = UNSET


type ToolChoice = Literal["auto", "none", "required"] | ChosenTool
type MaxTokens = int | Literal["inf"]


class Update(Part):
    """`session` of `session.update`."""

    type: Literal["realtime"]
    output_modalities: list[Literal["text", "audio"]] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    tools: list[Function | Mcp] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    truncation: str | Json | UnsetType = UNSET
    tracing: str | Json | UnsetType | None = UNSET
    prompt: Json | UnsetType | None = UNSET
    reasoning: Json | UnsetType = UNSET
    include: list[str] | UnsetType | None = UNSET


class ResponseAudio(Part):
    """`response.audio`."""

    output: Output | UnsetType = UNSET


class ResponseCreate(Part):
    """`response` of `response.create`."""

    conversation: Literal["auto", "none"] = "auto"
    output_modalities: list[Literal["text", "audio"]] | UnsetType = UNSET
    instructions: str = ""
    audio: ResponseAudio | UnsetType = UNSET
    tools: list[Function | Mcp] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    metadata: dict[str, str] | None = None
    input: list[Json] | UnsetType = UNSET
    prompt: Json | UnsetType = UNSET
    reasoning: Json | UnsetType = UNSET


def defaults(session_id: str, model: str, expires_at: int) -> Json:
    """The session before its first update."""
    pcm = {"type": "audio/pcm", "rate": 24000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        "output_modalities": ["audio"],
        "instructions": "You are a helpful assistant.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": msgspec.to_builtins(ServerVad()),
            },
            "output": {"format": pcm, "voice": "marin", "speed": 1.0},
        },
    }


def merged(session: Json, update: Update) -> Json:
    """The session after an update: `audio` is merged, all else replaced; what the update left out of an object has its default."""
    given = msgspec.to_builtins(update)
    audio = given.pop("audio", {})
    given.pop("parallel_tool_calls", None)  # taken, and not told back
    sides = {side: {**session["audio"][side], **audio.get(side, {})} for side in ("input", "output")}
    return {**session, **given, "audio": sides}
