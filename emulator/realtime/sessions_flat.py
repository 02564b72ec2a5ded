"""A session as Voice Live has it: what `session.update` may hold, and its defaults.

Written from realtime.md 2 and the models of azure-ai-voicelive 1.3.1. Avatar and animation are not emulated: they are refused
as unknown, and so is `model`, which the service refuses.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from emulator.realtime.sessions_ga import ChosenTool, Function, Mcp, Part

type Json = dict[str, Any]

FROM_FOUNDRY = ("instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature")
"""What a session of a Foundry agent does not take: it is the agent's own (realtime.md 2)."""


class TurnDetection(Part, tag_field="type"):
    """When the caller's turn begins and ends."""

    threshold: float = 0.5
    prefix_padding_ms: int = 420
    silence_duration_ms: int = 500
    create_response: bool = True
    interrupt_response: bool = True
    auto_truncate: bool = False
    end_of_utterance_detection: Json | UnsetType = UNSET


class ServerVad(TurnDetection, tag="server_vad"):
    """By silence."""

    prefix_padding_ms: int = 400


class SemanticVad(TurnDetection, tag="azure_semantic_vad"):
    """By meaning; here it is silence all the same."""

    speech_duration_ms: int = 80
    remove_filler_words: bool = False
    languages: list[str] | UnsetType = UNSET


class SemanticVadEn(TurnDetection, tag="azure_semantic_vad_en"):
    """English only."""

    speech_duration_ms: int = 80
    remove_filler_words: bool = False


class SemanticVadMultilingual(SemanticVad, tag="azure_semantic_vad_multilingual"):
    """Several languages."""


class Voice(Part, tag_field="type"):
    """Who speaks."""

    name: str


class _Azure(Voice):
    temperature: float | UnsetType = UNSET
    custom_lexicon_url: str | UnsetType = UNSET
    custom_text_normalization_url: str | UnsetType = UNSET
    prefer_locales: list[str] | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    style: str | UnsetType = UNSET
    pitch: str | UnsetType = UNSET
    rate: str | UnsetType = UNSET
    volume: str | UnsetType = UNSET


class StandardVoice(_Azure, tag="azure-standard"):
    """Of Azure Speech."""


class CustomVoice(_Azure, tag="azure-custom", kw_only=True):
    """Trained by its owner."""

    endpoint_id: str


class PersonalVoice(_Azure, tag="azure-personal", kw_only=True):
    """Of a person."""

    model: str


class OpenAiVoice(Voice, tag="openai"):
    """The model's own."""


class NativeVoice(Voice, tag="azure-realtime-native"):
    """The model's own, of azure-realtime."""


type AnyVoice = str | StandardVoice | CustomVoice | PersonalVoice | OpenAiVoice | NativeVoice


class Transcription(Part):
    """Of the caller's words."""

    model: str
    language: str | UnsetType = UNSET
    custom_speech: dict[str, str] | UnsetType = UNSET
    phrase_list: list[str] | UnsetType = UNSET


class NoiseReduction(Part):
    """`azure_deep_noise_suppression`, or OpenAI's."""

    type: Literal["azure_deep_noise_suppression", "near_field", "far_field"]


class EchoCancellation(Part):
    """The service's own; a reference from the client is not emulated."""

    type: Literal["server_echo_cancellation"]


class InterimResponse(Part):
    """What is said while the answer takes its time; taken and told back, never spoken here."""

    type: Literal["static_interim_response", "llm_interim_response"]
    triggers: list[Literal["tool", "latency"]] | UnsetType = UNSET
    latency_threshold_ms: int | UnsetType = UNSET
    texts: list[str] | UnsetType = UNSET
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET


type Modalities = list[Literal["text", "audio"]]
type Inputs = Literal["pcm16", "g711_ulaw"]
type Outputs = Literal["pcm16", "pcm16_16000hz", "pcm16_8000hz", "g711_ulaw"]


class Update(Part):
    """`session` of `session.update`."""

    modalities: Modalities | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    voice: AnyVoice | UnsetType = UNSET
    input_audio_format: Inputs | UnsetType = UNSET
    input_audio_sampling_rate: Literal[8000, 16000, 24000] | UnsetType = UNSET
    output_audio_format: Outputs | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | UnsetType | None = UNSET
    input_audio_echo_cancellation: EchoCancellation | UnsetType | None = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    turn_detection: ServerVad | SemanticVad | SemanticVadEn | SemanticVadMultilingual | UnsetType | None = (
        UNSET
    )
    output_audio_timestamp_types: list[Literal["word"]] | UnsetType = UNSET
    tools: list[Function | Mcp] | UnsetType = UNSET
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_response_output_tokens: int | Literal["inf"] | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    interim_response: InterimResponse | UnsetType | None = UNSET
    include: list[str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class AssistantPart(Part):
    """Content of a message that the client has written for the assistant."""

    type: Literal["text"]
    text: str


class AssistantMessage(Part):
    """A message that the client has written for the assistant: spoken as it stands."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[AssistantPart]
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET


class ResponseCreate(Part):
    """`response` of `response.create`."""

    conversation: Literal["auto", "none"] = "auto"
    modalities: Modalities | UnsetType = UNSET
    instructions: str = ""
    voice: AnyVoice | UnsetType = UNSET
    output_audio_format: Outputs | UnsetType = UNSET
    tools: list[Function | Mcp] | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_output_tokens: int | Literal["inf"] | UnsetType = UNSET
    pre_generated_assistant_message: AssistantMessage | UnsetType = UNSET
    metadata: dict[str, str] | None = None
    commit: bool = False
    cancel_previous: bool = True
    append_input_items: list[Json] | UnsetType = UNSET
    input_items: list[Json] | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    interim_response: InterimResponse | UnsetType = UNSET


def defaults(session_id: str, model: str, expires_at: int) -> Json:
    """The session before its first update."""
    return {
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        "modalities": ["text", "audio"],
        "instructions": "",
        "voice": {"type": "azure-standard", "name": "en-US-AvaNeural"},
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24000,
        "output_audio_format": "pcm16",
        "input_audio_noise_reduction": None,
        "input_audio_echo_cancellation": None,
        "input_audio_transcription": None,
        "turn_detection": msgspec.to_builtins(ServerVad()),
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_response_output_tokens": "inf",
    }


def merged(session: Json, update: Update) -> Json:
    """The session after an update; what the update left out of an object has its default."""
    given = msgspec.to_builtins(update)
    if given.get("input_audio_format") == "g711_ulaw":
        given.setdefault("input_audio_sampling_rate", 8000)
    return {**session, **given}
