import msgspec
import pytest

from shared.config.realtime import RealtimeAgentConfig, realtime_mistakes

OPENAI = {"kind": "realtime", "service": "openai", "model": "gpt-realtime-2", "key": "env:KEY"}
AZURE = OPENAI | {"service": "azure-openai", "endpoint": "https://r.openai.azure.com"}
VOICE = OPENAI | {"service": "voice-live", "endpoint": "https://r.services.ai.azure.com"}
FOUNDRY = {name: value for name, value in VOICE.items() if name not in ("model", "key")} | {
    "auth": "entra",
    "foundry_agent": {"name": "desk", "project": "p"},
}
EMULATED = {
    "kind": "realtime",
    "service": "openai",
    "model": "m",
    "auth": "none",
    "endpoint": "ws://127.0.0.1:1",
}
SEMANTIC = {"type": "azure_semantic_vad", "languages": ["en"], "remove_filler_words": True}
UTTERANCE = {"model": "semantic_detection_v1_en", "threshold_level": "high", "timeout_ms": 800}


def mistakes(base, **changes):
    found = realtime_mistakes("a", msgspec.convert(base | changes, RealtimeAgentConfig))
    return {mistake.place.removeprefix("a."): mistake for mistake in found}


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (OPENAI, {}),
        (OPENAI, {"endpoint": "https://api.openai.com"}),
        (OPENAI, {"endpoint": "wss://EU.api.openai.com/"}),
        (
            OPENAI,
            {"voice": "marin", "speed": 0.25, "noise_reduction": "far_field", "max_output_tokens": 4096},
        ),
        (OPENAI, {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}),
        (OPENAI, {"transcription": {"model": "gpt-4o-transcribe", "language": "de"}}),
        (AZURE, {}),
        (AZURE, {"auth": "entra", "key": ""}),
        (AZURE, {"endpoint": "https://r.cognitiveservices.azure.com/"}),
        (AZURE, {"turn_detection": {"threshold": 0.6, "silence_duration_ms": 800, "prefix_padding_ms": 0}}),
        (VOICE, {"audio": "pcm16KMono", "api_version": "2026-01-01-preview", "temperature": 0.8}),
        (VOICE, {"voice": "en-US-Ava:DragonHDLatestNeural", "speed": 1.1}),
        (VOICE, {"transcription": {"model": "azure-speech", "phrases": ["Contoso"]}}),
        (VOICE, {"turn_detection": SEMANTIC | {"end_of_utterance": UTTERANCE, "speech_duration_ms": 80}}),
        (VOICE, {"turn_detection": {"type": "server_vad", "end_of_utterance": UTTERANCE}}),
        (VOICE, {"turn_detection": {"type": "azure_semantic_vad_en", "remove_filler_words": False}}),
        (VOICE, {"interim_response": {"texts": ["One moment."]}}),
        (VOICE, {"interim_response": {"instructions": "Say that you look it up.", "triggers": ["tool"]}}),
        (VOICE, {"noise_reduction": "azure_deep_noise_suppression", "echo_cancellation": True}),
        (FOUNDRY, {"voice": "alloy", "turn_detection": SEMANTIC, "greeting": "Hello"}),
        (EMULATED, {}),
        (EMULATED, {"service": "voice-live", "endpoint": "http://localhost/"}),
        (EMULATED, {"endpoint": "ws://[::1]:80"}),
    ],
)
def test_what_is_right(base, changes):
    assert mistakes(base, **changes) == {}


@pytest.mark.parametrize(
    ("base", "changes", "places"),
    [
        (OPENAI, {"model": ""}, ["model"]),
        (OPENAI, {"auth": "entra"}, ["auth"]),
        (OPENAI, {"auth": "none"}, ["auth"]),
        (OPENAI, {"key": "sk-proj-1"}, ["key"]),
        (OPENAI, {"max_session_s": 59}, ["max_session_s"]),
        (OPENAI, {"connections_per_minute": 0}, ["connections_per_minute"]),
        (OPENAI, {"max_output_tokens": 5000}, ["max_output_tokens"]),
        (OPENAI, {"speed": 1.6}, ["speed"]),
        (OPENAI, {"audio": "pcm16KMono"}, ["audio"]),
        (OPENAI, {"voice": "onyx"}, ["voice"]),
        (OPENAI, {"voice": {"type": "openai", "name": "marin"}}, ["voice"]),
        (OPENAI, {"transcription": {"model": "whisper-1", "phrases": ["x"]}}, ["transcription.phrases"]),
        (OPENAI, {"transcription": {"model": ""}}, ["transcription.model"]),
        (
            OPENAI,
            {
                "temperature": 0.8,
                "echo_cancellation": True,
                "interim_response": {},
                "noise_reduction": "azure_deep_noise_suppression",
            },
            ["temperature", "echo_cancellation", "interim_response", "noise_reduction"],
        ),
        (OPENAI, {"foundry_agent": {"name": "a", "project": "p"}}, ["auth", "foundry_agent", "model"]),
        (VOICE, {"api_version": "latest"}, ["api_version"]),
        (VOICE, {"speed": 0.4, "voice": "en-US-AvaNeural"}, ["speed"]),
        (VOICE, {"speed": 1.1}, ["voice"]),
        (VOICE, {"temperature": 1.3}, ["temperature"]),
        (
            VOICE,
            {"transcription": {"model": "gpt-4o-transcribe", "phrases": ["x"]}},
            ["transcription.phrases"],
        ),
        (VOICE, {"interim_response": {"texts": ["a"], "instructions": "b"}}, ["interim_response"]),
        (
            VOICE,
            {"interim_response": {"latency_threshold_ms": -1}},
            ["interim_response.latency_threshold_ms"],
        ),
        (FOUNDRY, {"foundry_agent": {"name": "", "project": "p"}}, ["foundry_agent"]),
        (
            FOUNDRY,
            {"instructions": "x", "tools": ["t"], "temperature": 0.5, "max_output_tokens": 9, "model": "m"},
            ["instructions", "max_output_tokens", "model", "temperature", "tools"],
        ),
        (FOUNDRY, {"auth": "key", "key": "env:KEY"}, ["auth"]),
    ],
)
def test_each_mistake_is_named(base, changes, places):
    assert sorted(mistakes(base, **changes)) == sorted(places)


@pytest.mark.parametrize(
    ("base", "detection", "places"),
    [
        (AZURE, {"type": "semantic_vad"}, ["type"]),
        (VOICE, {"type": "semantic_vad"}, ["type"]),
        (OPENAI, {"type": "azure_semantic_vad"}, ["type"]),
        (OPENAI, {"threshold": 1.0}, ["threshold"]),
        (OPENAI, {"silence_duration_ms": 10_001}, ["silence_duration_ms"]),
        (OPENAI, {"prefix_padding_ms": -1}, ["prefix_padding_ms"]),
        (OPENAI, {"eagerness": "low"}, ["eagerness"]),
        (
            OPENAI,
            {"type": "semantic_vad", "threshold": 0.5, "silence_duration_ms": 1, "prefix_padding_ms": 1},
            ["prefix_padding_ms", "silence_duration_ms", "threshold"],
        ),
        (
            OPENAI,
            {
                "speech_duration_ms": 80,
                "languages": ["en"],
                "remove_filler_words": True,
                "end_of_utterance": UTTERANCE,
            },
            ["end_of_utterance", "languages", "remove_filler_words", "speech_duration_ms"],
        ),
        (VOICE, {"type": "server_vad", "languages": ["en"]}, ["languages"]),
        (VOICE, {"type": "azure_semantic_vad_en", "languages": ["en"]}, ["languages"]),
        (VOICE, {"end_of_utterance": {"threshold_level": "low"}}, ["end_of_utterance.model"]),
        (
            VOICE,
            {"end_of_utterance": UTTERANCE | {"threshold_level": 0.1, "timeout_ms": True, "timeout": 1}},
            ["end_of_utterance.threshold_level", "end_of_utterance.timeout", "end_of_utterance.timeout_ms"],
        ),
    ],
)
def test_each_mistake_of_turn_detection_is_named(base, detection, places):
    assert sorted(mistakes(base, turn_detection=detection)) == [f"turn_detection.{place}" for place in places]


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "r.openai.azure.com",
        "http://r.openai.azure.com",
        "https://openai.azure.com.evil.example",
        "https://evil.example/.openai.azure.com",
        "https://evil.example?.openai.azure.com",
        "https://evilopenai.azure.com",
        "https://.openai.azure.com",
        "https://user@r.openai.azure.com",
        "https://r.openai.azure.com:444",
        "https://r.openai.azure.com/openai/v1",
        "https://r.openai.azure.com\n.evil.example",
        "https://api.openai.com",
        "ws://192.168.0.1:9000",
        "ws://127.0.0.1.evil.example",
        "ws://127.0.0.1:80@evil.example",
        "ws://localhost:80/path",
    ],
)
def test_a_key_is_sent_to_known_hosts_only(endpoint):
    assert list(mistakes(AZURE, endpoint=endpoint)) == ["endpoint"]


def test_no_mistake_quotes_what_may_be_a_key():
    found = mistakes(OPENAI, key="sk-proj-1234")
    assert "sk-proj" not in repr(found)
