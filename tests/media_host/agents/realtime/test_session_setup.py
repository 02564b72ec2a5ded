import pytest

from media_host.agents.base import Codec, ToolSpec
from media_host.agents.realtime.session_setup import McpTool, codecs_of, session_of, turn_detection_of
from shared.config.realtime import (
    FoundryAgent,
    InterimResponse,
    RealtimeAgentConfig,
    Transcription,
    TurnDetection,
)
from shared.errors import AgentUnavailable

TOOL = ToolSpec("lookup", "Looks up.", {"type": "object"})
CRM = McpTool("crm", "https://crm.example/mcp", "s3cret", ["find"], "always")


def session(config, codec=Codec.PCM16_24K, *, tools=(), mcp=(), instructions="", manual_turns=False):
    return session_of(
        config, instructions=instructions, tools=tools, mcp=mcp, codec=codec, manual_turns=manual_turns
    )


def test_every_field_reaches_the_ga_wire():
    config = RealtimeAgentConfig(
        service="openai",
        model="m",
        voice="marin",
        speed=1.2,
        max_output_tokens=900,
        noise_reduction="near_field",
        transcription=Transcription(model="gpt-4o-transcribe", language="de"),
        turn_detection=TurnDetection(threshold=0.6, prefix_padding_ms=300, silence_duration_ms=800),
    )
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert session(config, instructions="Be Ann.", tools=[TOOL], mcp=[CRM]) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be Ann.",
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-4o-transcribe", "language": "de"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.6,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 800,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": pcm, "voice": "marin", "speed": 1.2},
        },
        "tools": [
            {
                "type": "function",
                "name": "lookup",
                "description": "Looks up.",
                "parameters": {"type": "object"},
            },
            {
                "type": "mcp",
                "server_label": "crm",
                "server_url": "https://crm.example/mcp",
                "authorization": "s3cret",
                "allowed_tools": ["find"],
                "require_approval": "always",
            },
        ],
        "tool_choice": "auto",
        "max_output_tokens": 900,
    }


def test_every_field_reaches_the_flat_wire():
    config = RealtimeAgentConfig(
        service="voice-live",
        model="m",
        voice={"type": "azure-standard", "name": "en-US-AvaNeural", "temperature": 0.8},
        speed=1.1,
        temperature=0.7,
        max_output_tokens=900,
        noise_reduction="azure_deep_noise_suppression",
        echo_cancellation=True,
        interim_response=InterimResponse(texts=["One moment."], triggers=["tool"], latency_threshold_ms=900),
        transcription=Transcription(model="azure-speech", language="en-US", phrases=["Contoso"]),
        turn_detection=TurnDetection(
            threshold=0.5,
            speech_duration_ms=80,
            remove_filler_words=True,
            languages=["en"],
            end_of_utterance={"model": "semantic_detection_v1", "timeout_ms": 1000},
        ),
    )
    assert session(config, Codec.PCM16_16K, instructions="Be Ann.", tools=[TOOL], manual_turns=True) == {
        "modalities": ["text", "audio"],
        "instructions": "Be Ann.",
        "voice": {"type": "azure-standard", "name": "en-US-AvaNeural", "temperature": 0.8, "rate": "1.1"},
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 16000,
        "output_audio_format": "pcm16_16000hz",
        "output_audio_timestamp_types": ["word"],
        "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
        "input_audio_transcription": {
            "model": "azure-speech",
            "language": "en-US",
            "phrase_list": ["Contoso"],
        },
        "turn_detection": {
            "type": "azure_semantic_vad",
            "threshold": 0.5,
            "speech_duration_ms": 80,
            "remove_filler_words": True,
            "languages": ["en"],
            "end_of_utterance_detection": {"model": "semantic_detection_v1", "timeout_ms": 1000},
            "create_response": False,
            "interrupt_response": False,
            "auto_truncate": False,
        },
        "interim_response": {
            "type": "static_interim_response",
            "triggers": ["tool"],
            "latency_threshold_ms": 900,
            "texts": ["One moment."],
        },
        "tools": [
            {
                "type": "function",
                "name": "lookup",
                "description": "Looks up.",
                "parameters": {"type": "object"},
            }
        ],
        "tool_choice": "auto",
        "temperature": 0.7,
        "max_response_output_tokens": 900,
    }


def test_what_is_not_configured_is_left_to_the_service():
    bare = session(RealtimeAgentConfig(service="azure-openai", model="d"))
    assert set(bare) == {"type", "output_modalities", "audio"}
    assert set(bare["audio"]["input"]) == {"format", "turn_detection"}
    assert set(bare["audio"]["output"]) == {"format"}
    flat = session(RealtimeAgentConfig(service="voice-live", model="m"))
    assert set(flat) == {
        "modalities",
        "turn_detection",
        "input_audio_format",
        "input_audio_sampling_rate",
        "output_audio_format",
    }


def test_a_foundry_agent_keeps_its_own_instructions_tools_and_temperature():
    config = RealtimeAgentConfig(
        service="voice-live",
        foundry_agent=FoundryAgent(name="a", project="p"),
        temperature=0.5,
        max_output_tokens=9,
        voice="alloy",
    )
    asked = session(config, instructions="Be Ann.", tools=[TOOL], mcp=[CRM])
    assert not {"instructions", "tools", "tool_choice", "temperature", "max_response_output_tokens"} & set(
        asked
    )
    assert asked["voice"] == {"type": "openai", "name": "alloy"}


def test_word_times_are_asked_of_azure_s_voices_only():
    asked = [
        "output_audio_timestamp_types"
        in session(RealtimeAgentConfig(service="voice-live", model="m", voice=voice))
        for voice in ("en-US-AvaNeural", "marin", {"type": "azure-realtime-native", "name": "ava"}, "")
    ]
    assert asked == [True, False, False, False]


def test_a_model_s_interim_response():
    config = RealtimeAgentConfig(
        service="voice-live", model="m", interim_response=InterimResponse(instructions="Be short.")
    )
    assert session(config)["interim_response"] == {
        "type": "llm_interim_response",
        "triggers": ["tool", "latency"],
        "latency_threshold_ms": 2000,
        "instructions": "Be short.",
    }


def test_semantic_turns_of_openai():
    config = RealtimeAgentConfig(
        service="openai", turn_detection=TurnDetection(type="semantic_vad", eagerness="high")
    )
    assert turn_detection_of(config, manual_turns=False) == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }


@pytest.mark.parametrize(
    ("service", "codec", "formats"),
    [
        ("openai", Codec.ULAW_8K, ({"type": "audio/pcmu"}, {"type": "audio/pcmu"})),
        ("voice-live", Codec.ULAW_8K, ("g711_ulaw", 8000, "g711_ulaw")),
        ("voice-live", Codec.PCM16_24K, ("pcm16", 24000, "pcm16")),
    ],
)
def test_formats(service, codec, formats):
    made = session(RealtimeAgentConfig(service=service, model="m"), codec)
    if service == "openai":
        assert (made["audio"]["input"]["format"], made["audio"]["output"]["format"]) == formats
    else:
        names = ("input_audio_format", "input_audio_sampling_rate", "output_audio_format")
        assert tuple(made[name] for name in names) == formats


def test_a_format_that_would_have_to_be_converted_is_refused():
    openai = RealtimeAgentConfig(service="openai", model="m")
    assert codecs_of(openai) == (Codec.PCM16_24K, Codec.ULAW_8K)
    for config, codec in (
        (openai, Codec.PCM16_16K),
        (RealtimeAgentConfig(service="voice-live", model="m"), Codec.PCM16_8K),
    ):
        with pytest.raises(AgentUnavailable, match="audio format"):
            session(config, codec)


def test_a_server_s_approval_is_always_said_and_its_secret_never_shown():
    config = RealtimeAgentConfig(service="openai", model="m")
    servers = [McpTool("a", "https://a.example"), McpTool("b", "https://b.example", approval="allowed")]
    assert [tool["require_approval"] for tool in session(config, mcp=servers)["tools"]] == ["never", "always"]
    assert "authorization" not in session(config, mcp=servers)["tools"][0]
    assert "s3cret" not in repr(CRM)


def test_sessions_share_nothing_that_can_be_changed():
    config = RealtimeAgentConfig(
        service="voice-live", model="m", voice={"type": "azure-standard", "name": "n"}, speed=1.0
    )
    session(config)
    assert config.voice == {"type": "azure-standard", "name": "n"}
    openai = RealtimeAgentConfig(service="openai", model="m")
    session(openai)["audio"]["input"]["format"]["rate"] = 8000
    assert session(openai)["audio"]["output"]["format"]["rate"] == 24000
