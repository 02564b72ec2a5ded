import pytest

from shared.config.voices import OPENAI_VOICES, voice_mistakes, voice_object


def places(voice, *, voice_live=True, with_speed=False):
    found = voice_mistakes("voice", voice, voice_live=voice_live, with_speed=with_speed)
    return [mistake.place for mistake in found]


def test_a_name_alone_is_a_voice_object():
    assert voice_object("") == {}
    assert voice_object("marin") == {"type": "openai", "name": "marin"}
    assert voice_object("en-US-AvaNeural") == {"type": "azure-standard", "name": "en-US-AvaNeural"}
    given = {"type": "azure-custom", "name": "x", "endpoint_id": "y"}
    assert voice_object(given) == given
    assert voice_object(given) is not given


@pytest.mark.parametrize(
    "voice",
    [
        "",
        "alloy",
        "en-US-Ava:DragonHDLatestNeural",
        {"type": "azure-standard", "name": "de-DE-KatjaNeural", "rate": "1.1", "temperature": 0.8, "style": "calm"},
        {"type": "azure-custom", "name": "x", "endpoint_id": "y", "pitch": "+5%"},
        {"type": "azure-personal", "name": "x", "model": "DragonLatestNeural"},
        {"type": "azure-realtime-native", "name": "ava"},
        {"type": "openai", "name": "marin"},
    ],
)  # fmt: skip
def test_good_voices(voice):
    assert places(voice) == []


@pytest.mark.parametrize(
    ("voice", "wrong"),
    [
        ("nova", ["voice"]),
        ({"name": "x"}, ["voice.type"]),
        ({"type": ["azure-standard"], "name": "x"}, ["voice.type"]),
        ({"type": "azure-neural", "name": "x"}, ["voice.type"]),
        ({"type": "azure-standard"}, ["voice.name"]),
        ({"type": "azure-custom", "name": "x"}, ["voice.endpoint_id"]),
        ({"type": "openai", "name": "alloy", "rate": "1"}, ["voice.rate"]),
        ({"type": "azure-standard", "name": "x", "rate": 1.1}, ["voice.rate"]),
    ],
)
def test_each_mistake_is_named(voice, wrong):
    assert places(voice) == wrong


def test_a_speed_needs_a_voice_that_has_a_rate():
    assert places("en-US-AvaNeural", with_speed=True) == []
    assert places("alloy", with_speed=True) == ["voice"]
    assert places("", with_speed=True) == ["voice"]
    assert places({"type": "azure-standard", "name": "x", "rate": "1"}, with_speed=True) == ["voice"]
    assert places("alloy", voice_live=False, with_speed=True) == []


def test_openai_takes_names_only_and_not_those_that_make_noise():
    assert places("some-new-voice", voice_live=False) == []
    assert places({"type": "openai", "name": "alloy"}, voice_live=False) == ["voice"]
    assert places("onyx", voice_live=False) == ["voice"]
    assert not OPENAI_VOICES & {"onyx", "nova", "fable"}
