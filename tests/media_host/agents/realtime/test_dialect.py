import json

import pytest

from media_host.agents.realtime.dialect import FLAT, GA, dialect_of
from shared.config.realtime import RealtimeAgentConfig


def test_each_service_has_its_dialect():
    found = {
        service: dialect_of(RealtimeAgentConfig(service=service)).name
        for service in ("openai", "azure-openai", "voice-live")
    }
    assert found == {"openai": "ga", "azure-openai": "ga", "voice-live": "flat"}


def test_the_marks_of_audio_deltas():
    assert GA.audio_delta_mark == b'"type":"response.output_audio.delta"'
    assert FLAT.audio_delta_mark == b'"type":"response.audio.delta"'


@pytest.mark.parametrize(("dialect", "type"), [(GA, "output_text"), (FLAT, "text")])
def test_the_agent_s_own_words_have_another_content_type(dialect, type):
    event = json.loads(dialect.assistant_text("Hello", "e1"))
    assert event["item"] == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": type, "text": "Hello"}],
    }
    heard = json.loads(dialect.user_text("Hello", "e1"))["item"]
    assert (heard["role"], heard["content"][0]["type"]) == ("user", "input_text")


def test_every_event_has_its_id():
    for dialect in (GA, FLAT):
        for frame in (
            dialect.session_update({}, "e1"),
            dialect.tool_output("c", "{}", "e1"),
            dialect.truncate("i", 0, 1, "e1"),
            dialect.delete("i", "e1"),
            dialect.cancel("r", "e1"),
            dialect.mcp_approval("a", False, "e1"),
            dialect.response_create("e1"),
        ):
            assert json.loads(frame)["event_id"] == "e1"


def test_voice_live_speaks_exact_words():
    event = json.loads(FLAT.response_create("e1", exact="Welcome.", instructions="x", tool_choice="auto"))
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Welcome."}]}
    assert event["response"] == {"pre_generated_assistant_message": message}


def test_a_ga_model_is_asked_for_exact_words_and_may_call_no_tool():
    response = json.loads(GA.response_create("e1", exact='Say "hi"\nnow.'))["response"]
    assert response["instructions"].endswith(r'"Say \"hi\"\nnow."')  # one quotation, whatever is in it
    assert response["tool_choice"] == "none"


def test_a_response_without_wishes_has_none():
    assert json.loads(GA.response_create("e1")) == {"type": "response.create", "event_id": "e1"}


@pytest.mark.parametrize(("dialect", "name"), [(GA, "output_modalities"), (FLAT, "modalities")])
def test_a_response_as_text(dialect, name):
    response = json.loads(dialect.response_create("e1", modalities=["text"], metadata={"a": "b"}))["response"]
    assert response == {name: ["text"], "metadata": {"a": "b"}}


def test_an_approval_s_id_is_ours_on_openai_and_absent_on_voice_live():
    given = [json.loads(GA.mcp_approval(f"mcpr_{n}" * 20, True, "e"))["item"]["id"] for n in (1, 1, 2)]
    assert given[0] == given[1] != given[2]
    assert len(given[0]) <= 32
    assert "id" not in json.loads(FLAT.mcp_approval("mcpr_1", True, "e"))["item"]
