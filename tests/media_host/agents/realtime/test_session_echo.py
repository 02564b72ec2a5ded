import json

import pytest

from media_host.agents.base import Codec, ToolSpec
from media_host.agents.realtime.session_echo import accepts_audio, differences
from media_host.agents.realtime.session_setup import McpTool, codecs_of, session_of
from shared.config.realtime import RealtimeAgentConfig, TurnDetection

PCM = {"type": "audio/pcm", "rate": 24000}
OPENAI = RealtimeAgentConfig(
    service="azure-openai",
    model="d",
    voice="marin",
    speed=1.1,
    turn_detection=TurnDetection(threshold=0.6, silence_duration_ms=800),
)
VOICE = RealtimeAgentConfig(service="voice-live", model="m", voice="en-US-AvaNeural")


def asked(config, codec=Codec.PCM16_24K):
    tools = [ToolSpec("lookup", "d", {"type": "object"})]
    mcp = [McpTool("crm", "https://crm.example", "s3cret")]
    return session_of(
        config,
        instructions="Be Ann. The code is 1234.",
        tools=tools,
        mcp=mcp,
        codec=codec,
        manual_turns=False,
    )


def copy(session):
    return json.loads(json.dumps(session))


@pytest.mark.parametrize("config", [OPENAI, VOICE])
def test_what_was_taken_as_asked_has_no_differences(config):
    for codec in codecs_of(config):
        session = asked(config, codec)
        assert differences(session, copy(session) | {"id": "s", "model": "m"}) == []
        assert accepts_audio(copy(session), codec)
        assert [other for other in Codec if accepts_audio(copy(session), other)] == [codec]


def test_a_setting_that_was_ignored_is_named():
    echoed = copy(asked(OPENAI))
    echoed["audio"]["input"]["turn_detection"]["silence_duration_ms"] = 500
    assert differences(asked(OPENAI), echoed) == [
        "audio.input.turn_detection.silence_duration_ms: asked for 800, got 500"
    ]


def test_fields_that_were_dropped_are_named():
    echoed = copy(asked(OPENAI))
    del echoed["audio"]["output"]["speed"]
    echoed["audio"]["input"]["turn_detection"] = None
    assert differences(asked(OPENAI), echoed) == [
        "audio.input.turn_detection.type: asked for 'server_vad', got nothing",
        "audio.input.turn_detection.create_response: asked for True, got nothing",
        "audio.input.turn_detection.interrupt_response: asked for True, got nothing",
        "audio.input.turn_detection.threshold: asked for 0.6, got nothing",
        "audio.input.turn_detection.silence_duration_ms: asked for 800, got nothing",
        "audio.output.speed: asked for 1.1, got nothing",
    ]


def test_a_32_bit_float_is_no_difference():
    echoed = copy(asked(OPENAI))
    echoed["audio"]["input"]["turn_detection"]["threshold"] = 0.6000000238418579
    echoed["audio"]["output"]["speed"] = 1.100000023841858
    assert differences(asked(OPENAI), echoed) == []


def test_instructions_and_secrets_are_not_quoted():
    echoed = copy(asked(VOICE))
    echoed["instructions"] = "You are a helpful assistant."
    echoed["tools"] = [{"type": "function", "name": "lookup"}, "odd", {"name": 7}]
    echoed["voice"] = "x" * 100
    found = differences(asked(VOICE), echoed)
    assert found[-2:] == ["instructions: not as asked", "tools: not taken: crm"]
    assert "voice.type: asked for 'azure-standard', got nothing" in found
    assert "1234" not in repr(found) and "s3cret" not in repr(found)


def test_long_values_are_shortened():
    found = differences({"rate": "1"}, {"rate": "9" * 1000})
    assert len(found[0]) < 100
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert differences({"rate": "1"}, {"rate": nested}) == ["rate: asked for '1', got something else"]
    assert differences({"modalities": ["text"]}, {"modalities": nested}) != []


@pytest.mark.parametrize(
    ("side", "form", "taken"),
    [
        ("output", {"type": "audio/pcm"}, True),
        ("output", {"type": "audio/pcm", "rate": None}, True),
        ("output", {"type": "audio/pcm", "rate": 16000}, False),
        ("output", {"type": "audio/pcmu"}, False),
        ("input", {"type": "audio/pcma"}, False),
        ("input", "audio/pcm", False),
        ("input", None, False),
    ],
)
def test_ga_formats_are_verified_on_both_sides(side, form, taken):
    audio = {"input": {"format": PCM}, "output": {"format": PCM}} | {side: {"format": form}}
    assert accepts_audio({"audio": audio}, Codec.PCM16_24K) is taken


@pytest.mark.parametrize(
    "echoed",
    [
        {},
        {"audio": None},
        {"audio": {"input": [], "output": {}}},
        {"input_audio_format": "pcm16"},
        {"output_audio_format": "pcm16"},
        {"input_audio_format": "g711_ulaw", "output_audio_format": "pcm16"},
        {"input_audio_format": "pcm16", "output_audio_format": "pcm16", "input_audio_sampling_rate": 16000},
        {"input_audio_format": ["pcm16"], "output_audio_format": "pcm16"},
    ],
)
def test_what_is_not_said_to_be_the_line_s_format_is_not_taken(echoed):
    assert not accepts_audio(echoed, Codec.PCM16_24K)
    assert not accepts_audio(echoed, Codec.PCM16_8K)


def test_a_flat_rate_that_is_not_named_is_the_usual_one():
    assert accepts_audio({"input_audio_format": "pcm16", "output_audio_format": "pcm16"}, Codec.PCM16_24K)
    ulaw = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}
    assert accepts_audio(ulaw, Codec.ULAW_8K)
