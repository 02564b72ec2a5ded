"""Every payload that we can make, judged by the vendors' SDKs."""

import base64
import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_host.agents.base import Codec, ToolSpec
from media_host.agents.realtime.dialect import APPEND, APPEND_END, FLAT, GA, dialect_of
from media_host.agents.realtime.session_setup import McpTool, codecs_of, session_of
from shared.config.realtime import FoundryAgent, RealtimeAgentConfig, Transcription, realtime_mistakes
from shared.config.voices import OPENAI_VOICES
from tests.support.sdk_models import openai_objections, voicelive_objections

JUDGES = {GA: openai_objections, FLAT: voicelive_objections}
TOOL = ToolSpec("lookup", "Looks up.", {"type": "object", "properties": {"id": {"type": "string"}}})
SERVER = McpTool("crm", "https://crm.example/mcp", "token", ("find",), "allowed")


def objections(dialect, frame):
    return JUDGES[dialect](json.loads(frame))


# --- what we send ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [GA, FLAT], ids=["ga", "flat"])
@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.user_text("[keypad] 4821#", "e1"),
        lambda d: d.system_text("data", "e1"),
        lambda d: d.assistant_text("earlier", "e1"),
        lambda d: d.tool_output("call_1", '{"ok":true}', "e1"),
        lambda d: d.mcp_approval("mcpr_1", True, "e1"),
        lambda d: d.truncate("item_1", 0, 1480, "e1"),
        lambda d: d.delete("item_1", "e1"),
        lambda d: d.cancel("resp_1", "e1"),
        lambda d: d.cancel("", "e1"),
        lambda d: d.response_create("e1"),
        lambda d: d.response_create("e1", instructions="Be brief.", tool_choice="none"),
        lambda d: d.response_create("e1", exact='Say "hello".', metadata={"purpose": "greeting"}),
        lambda d: d.response_create("e1", modalities=["text"], tool_choice="required"),
        lambda d: APPEND + base64.b64encode(bytes(960)) + APPEND_END,
    ],
)
def test_client_events_are_known_to_the_sdk(dialect, make):
    assert objections(dialect, make(dialect)) == []


SHARED = {
    "kind": st.just("realtime"),
    "model": st.just("m"),
    "key": st.just("env:KEY"),
}
SHARED_OPTIONAL = {"max_output_tokens": st.integers(1, 4096)}


def _numbers(*names):
    return {name: st.integers(0, 2000) for name in names}


LEVEL = {"threshold": st.sampled_from([0.01, 0.5, 0.85])}
PAUSES = _numbers("prefix_padding_ms", "silence_duration_ms")
GA_TURNS = st.one_of(
    st.fixed_dictionaries({}, optional={"type": st.just("server_vad")} | LEVEL | PAUSES),
    st.fixed_dictionaries(
        {"type": st.just("semantic_vad")},
        optional={"eagerness": st.sampled_from(["low", "medium", "high", "auto"])},
    ),
)
GA_CONFIGS = st.fixed_dictionaries(
    SHARED | {"service": st.just("openai")},
    optional=SHARED_OPTIONAL
    | {
        "voice": st.sampled_from([*sorted(OPENAI_VOICES), "a-new-one"]),
        "speed": st.sampled_from([0.25, 1.0, 1.5]),
        "noise_reduction": st.sampled_from(["near_field", "far_field"]),
        "transcription": st.fixed_dictionaries(
            {"model": st.sampled_from(["gpt-4o-mini-transcribe", "my-deployment"])},
            optional={"language": st.just("de")},
        ),
        "turn_detection": GA_TURNS,
    },
)
UTTERANCE = st.fixed_dictionaries(
    {
        "model": st.sampled_from(
            ["semantic_detection_v1", "semantic_detection_v1_en", "semantic_detection_v1_multilingual"]
        )
    },
    optional={
        "threshold_level": st.sampled_from(["low", "medium", "high", "default"]),
        "timeout_ms": st.integers(1, 2000),
    },
)
FLAT_COMMON = LEVEL | PAUSES | {"end_of_utterance": UTTERANCE}
FLAT_AZURE = (
    FLAT_COMMON
    | _numbers("speech_duration_ms")
    | {"remove_filler_words": st.booleans(), "languages": st.just(["en", "de"])}
)
FLAT_TURNS = st.one_of(
    st.fixed_dictionaries({}, optional=FLAT_AZURE),
    st.fixed_dictionaries({"type": st.just("azure_semantic_vad_multilingual")}, optional=FLAT_AZURE),
    st.fixed_dictionaries({"type": st.just("server_vad")}, optional=FLAT_COMMON),
    st.fixed_dictionaries(
        {"type": st.just("azure_semantic_vad_en")},
        optional=FLAT_COMMON | _numbers("speech_duration_ms") | {"remove_filler_words": st.booleans()},
    ),
)
FLAT_VOICES = st.one_of(
    st.sampled_from(["alloy", "en-US-Ava:DragonHDLatestNeural"]),
    st.fixed_dictionaries(
        {"type": st.just("azure-standard"), "name": st.just("en-US-AvaNeural")},
        optional={
            "rate": st.just("1.1"),
            "temperature": st.just(0.8),
            "style": st.just("calm"),
            "pitch": st.just("+5%"),
            "volume": st.just("+5%"),
            "locale": st.just("en-US"),
            "prefer_locales": st.just(["en-GB"]),
            "custom_lexicon_url": st.just("https://x.example/l.xml"),
            "custom_text_normalization_url": st.just("https://x.example/n.xml"),
        },
    ),
    st.just({"type": "azure-custom", "name": "n", "endpoint_id": "e"}),
    st.just({"type": "azure-personal", "name": "n", "model": "DragonLatestNeural"}),
    st.just({"type": "azure-realtime-native", "name": "ava"}),
    st.just({"type": "openai", "name": "marin"}),
)
FLAT_CONFIGS = st.fixed_dictionaries(
    SHARED | {"service": st.just("voice-live"), "endpoint": st.just("https://r.services.ai.azure.com")},
    optional=SHARED_OPTIONAL
    | {
        "voice": FLAT_VOICES,
        "temperature": st.sampled_from([0.0, 0.7, 1.2]),
        "noise_reduction": st.sampled_from(["near_field", "far_field", "azure_deep_noise_suppression"]),
        "echo_cancellation": st.booleans(),
        "interim_response": st.one_of(
            st.just({}),
            st.just({"texts": ["One moment."], "triggers": ["tool"], "latency_threshold_ms": 900}),
            st.just({"instructions": "Say that it takes a moment."}),
        ),
        "transcription": st.fixed_dictionaries(
            {"model": st.just("azure-speech")},
            optional={"language": st.just("en-US"), "phrases": st.just(["Contoso"])},
        ),
        "turn_detection": FLAT_TURNS,
    },
)


@given(
    st.one_of(GA_CONFIGS, FLAT_CONFIGS),
    st.booleans(),
    st.sampled_from(["", "You are Ann."]),
    st.sampled_from([(), (TOOL,)]),
    st.sampled_from(
        [(), (SERVER,), (replace(SERVER, authorization="", allowed_tools=(), approval="never"),)]
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_session_is_known_to_the_sdk(given_config, manual, instructions, tools, mcp):
    config = msgspec.convert(given_config, RealtimeAgentConfig)
    assert list(realtime_mistakes("a", config)) == []
    dialect = dialect_of(config)
    for codec in codecs_of(config):
        session = session_of(
            config, instructions=instructions, tools=tools, mcp=mcp, codec=codec, manual_turns=manual
        )
        assert objections(dialect, dialect.session_update(session, "cfg_1")) == []
        assert "model" not in session


def test_an_agent_s_session_is_known_to_the_sdk():
    config = RealtimeAgentConfig(
        service="voice-live",
        endpoint="https://r.services.ai.azure.com",
        foundry_agent=FoundryAgent(name="desk", project="p"),
        auth="entra",
        voice="en-US-AvaNeural",
        speed=1.1,
    )
    session = session_of(
        config, instructions="x", tools=[TOOL], mcp=[], codec=Codec.PCM16_24K, manual_turns=False
    )
    assert objections(FLAT, FLAT.session_update(session, "cfg_1")) == []


# --- the judges themselves ------------------------------------------------------------------------------------


def _planted(value, path, name, put):
    for step in path:
        value = value[step]
    value[name] = put


GA_FULL = RealtimeAgentConfig(service="openai", model="m", key="env:K", voice="marin")
FLAT_FULL = RealtimeAgentConfig(
    service="voice-live",
    model="m",
    key="env:K",
    voice="en-US-AvaNeural",
    transcription=Transcription(model="azure-speech"),
)


@pytest.mark.parametrize(
    ("config", "path", "name", "put"),
    [
        (GA_FULL, (), "temperature", 0.8),
        (GA_FULL, ("audio", "input"), "echo", True),
        (GA_FULL, ("audio", "input", "turn_detection"), "auto_truncate", False),
        (GA_FULL, ("audio", "output"), "speed", "1.1"),
        (GA_FULL, ("audio", "output", "format"), "rate", 16000),
        (GA_FULL, ("tools", 0), "strict", True),
        (FLAT_FULL, (), "output_modalities", ["audio"]),
        (FLAT_FULL, ("turn_detection",), "appended_text_after_truncation", "…"),
        (FLAT_FULL, ("turn_detection",), "type", "semantic_vad"),
        (FLAT_FULL, ("voice",), "rate", 1.1),
        (FLAT_FULL, ("voice",), "speed", "1.1"),
        (FLAT_FULL, (), "output_audio_format", "pcm16-16000hz"),
        (FLAT_FULL, ("input_audio_transcription",), "phrases", []),
        (FLAT_FULL, ("tools", 1), "approval", "never"),
    ],
)
def test_the_judges_see_a_planted_mistake(config, path, name, put):
    dialect = dialect_of(config)
    session = session_of(
        config, instructions="", tools=[TOOL], mcp=[SERVER], codec=Codec.PCM16_24K, manual_turns=False
    )
    event = json.loads(dialect.session_update(session, "cfg_1"))
    assert JUDGES[dialect](event) == []
    _planted(event["session"], path, name, put)
    assert JUDGES[dialect](event) != []


def test_the_judges_see_a_planted_mistake_in_an_item():
    for dialect in (GA, FLAT):
        event = json.loads(dialect.user_text("x", "e1"))
        event["item"]["content"][0]["voice"] = "x"
        assert JUDGES[dialect](event) != []
        assert JUDGES[dialect]({"type": "conversation.item.pin"}) != []
