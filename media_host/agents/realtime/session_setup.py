"""The configuration of a model's session, in either dialect (realtime.md section 2); `session_echo` has its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from media_host.agents.base import Codec, ToolSpec
from shared.config.realtime import InterimResponse, RealtimeAgentConfig, Transcription
from shared.config.voices import AZURE_VOICES, voice_object
from shared.errors import AgentUnavailable

_GA_FORMATS: Mapping[Codec, dict[str, Any]] = {
    Codec.PCM16_24K: {"type": "audio/pcm", "rate": 24000},
    Codec.ULAW_8K: {"type": "audio/pcmu"},
}
_FLAT_FORMATS: Mapping[Codec, dict[str, Any]] = {
    Codec.PCM16_24K: {
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24000,
        "output_audio_format": "pcm16",
    },
    Codec.PCM16_16K: {
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 16000,
        "output_audio_format": "pcm16_16000hz",
    },
    Codec.ULAW_8K: {
        "input_audio_format": "g711_ulaw",
        "input_audio_sampling_rate": 8000,
        "output_audio_format": "g711_ulaw",
    },
}


@dataclass(frozen=True, slots=True)
class McpTool:
    """An MCP server whose tools the model's own service may call.

    Attributes:
        label: its name.
        server_url: https address.
        authorization: the secret that the service sends there; "" sends none.
        allowed_tools: which of its tools; empty is all.
        approval: as in patchcord.yaml: `never` asks nobody; otherwise the service asks us (`McpApproval`).
    """

    label: str
    server_url: str
    authorization: str = field(default="", repr=False)
    allowed_tools: Sequence[str] = ()
    approval: Literal["never", "allowed", "always"] = "never"


def codecs_of(config: RealtimeAgentConfig) -> tuple[Codec, ...]:
    """The line formats that pass to and from the agent's service untouched, best first."""
    return tuple(_FLAT_FORMATS if _is_flat(config) else _GA_FORMATS)


def session_of(
    config: RealtimeAgentConfig,
    *,
    instructions: str,
    tools: Sequence[ToolSpec],
    mcp: Sequence[McpTool],
    codec: Codec,
    manual_turns: bool,
) -> dict[str, Any]:
    """The session of a `session.update`.

    A Foundry agent brings its own instructions, tools and temperature, and refuses ours: they are left out.

    Args:
        config: the agent's entry in patchcord.yaml, which has been checked.
        instructions: rendered.
        tools: functions that we run.
        mcp: servers whose tools the service runs.
        codec: the line's, both ways.
        manual_turns: the model neither answers nor stops talking by itself when the caller speaks.

    Raises:
        AgentUnavailable: the service does not take this codec.
    """
    if codec not in codecs_of(config):
        raise AgentUnavailable(f"{config.service} does not take the line's audio format ({codec})")
    turns = turn_detection_of(config, manual_turns=manual_turns)
    session = _flat(config, codec, turns) if _is_flat(config) else _ga(config, codec, turns)
    if config.foundry_agent is None:
        if instructions:
            session["instructions"] = instructions
        if declared := [_function(tool) for tool in tools] + [_server(server) for server in mcp]:
            session |= {"tools": declared, "tool_choice": "auto"}
    return session


def turn_detection_of(config: RealtimeAgentConfig, *, manual_turns: bool) -> dict[str, Any]:
    """The session's `turn_detection`; what is not configured is left to the service."""
    asked = config.turn_detection
    detection: dict[str, Any] = {
        "type": asked.type or ("azure_semantic_vad" if _is_flat(config) else "server_vad"),
        "create_response": not manual_turns,
        "interrupt_response": not manual_turns,
    }
    if _is_flat(config):
        detection["auto_truncate"] = False  # our ledger knows better what was heard (realtime.md section 2)
    for name in (
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
        "speech_duration_ms",
        "remove_filler_words",
    ):
        if (value := getattr(asked, name)) is not None:
            detection[name] = value
    if asked.eagerness:
        detection["eagerness"] = asked.eagerness
    if asked.languages:
        detection["languages"] = asked.languages
    if asked.end_of_utterance:
        detection["end_of_utterance_detection"] = asked.end_of_utterance
    return detection


def _is_flat(config: RealtimeAgentConfig) -> bool:
    return config.service == "voice-live"


def _ga(config: RealtimeAgentConfig, codec: Codec, turns: dict[str, Any]) -> dict[str, Any]:
    hearing: dict[str, Any] = {"format": dict(_GA_FORMATS[codec]), "turn_detection": turns}
    speaking: dict[str, Any] = {"format": dict(_GA_FORMATS[codec])}
    if config.noise_reduction:
        hearing["noise_reduction"] = {"type": config.noise_reduction}
    if config.transcription is not None:
        hearing["transcription"] = _transcription(config.transcription)
    if config.voice:
        speaking["voice"] = config.voice
    if config.speed is not None:
        speaking["speed"] = config.speed
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": hearing, "output": speaking},
    }
    if config.max_output_tokens is not None:
        session["max_output_tokens"] = config.max_output_tokens
    return session


def _flat(config: RealtimeAgentConfig, codec: Codec, turns: dict[str, Any]) -> dict[str, Any]:
    session: dict[str, Any] = {"modalities": ["text", "audio"]} | _FLAT_FORMATS[codec]
    session["turn_detection"] = turns
    if voice := voice_object(config.voice):
        if config.speed is not None:
            voice["rate"] = f"{config.speed:g}"
        session["voice"] = voice
        if voice["type"] in AZURE_VOICES:  # the others have no word times
            session["output_audio_timestamp_types"] = ["word"]
    if config.noise_reduction:
        session["input_audio_noise_reduction"] = {"type": config.noise_reduction}
    if config.echo_cancellation:
        session["input_audio_echo_cancellation"] = {"type": "server_echo_cancellation"}
    if config.transcription is not None:
        session["input_audio_transcription"] = _transcription(config.transcription)
    if config.interim_response is not None:
        session["interim_response"] = _interim(config.interim_response)
    if config.foundry_agent is None:
        if config.temperature is not None:
            session["temperature"] = config.temperature
        if config.max_output_tokens is not None:
            session["max_response_output_tokens"] = config.max_output_tokens
    return session


def _transcription(asked: Transcription) -> dict[str, Any]:
    transcription: dict[str, Any] = {"model": asked.model}
    if asked.language:
        transcription["language"] = asked.language
    if asked.phrases:
        transcription["phrase_list"] = asked.phrases
    return transcription


def _interim(asked: InterimResponse) -> dict[str, Any]:
    interim: dict[str, Any] = {
        "type": "static_interim_response" if asked.texts else "llm_interim_response",
        "triggers": asked.triggers or ["tool", "latency"],
        "latency_threshold_ms": asked.latency_threshold_ms,
    }
    if asked.texts:
        interim["texts"] = asked.texts
    elif asked.instructions:
        interim["instructions"] = asked.instructions
    return interim


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def _server(server: McpTool) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "type": "mcp",
        "server_label": server.label,
        "server_url": server.server_url,
        # Said in any case: left out it means "always", and then the call hangs (realtime.md section 8).
        "require_approval": "never" if server.approval == "never" else "always",
    }
    if server.authorization:
        declared["authorization"] = server.authorization
    if server.allowed_tools:
        declared["allowed_tools"] = list(server.allowed_tools)
    return declared
