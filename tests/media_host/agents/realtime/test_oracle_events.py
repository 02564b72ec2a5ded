"""Every event that we read, made or described by the vendors' SDKs."""

import datetime
import json

import pytest
from azure.ai.voicelive import models as vl
from openai.types import realtime as oa

from media_host.agents.realtime import server_events as events
from media_host.agents.realtime.dialect import FLAT, GA
from media_host.agents.realtime.server_frames import FLAT_TYPES, GA_TYPES
from tests.support.sdk_models import openai_objections, voicelive_frame, voicelive_objections

IDS = {"event_id": "ev", "response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
ITEM = {"event_id": "ev", "item_id": "i"}
CALL = {
    "id": "i",
    "type": "function_call",
    "status": "completed",
    "call_id": "c",
    "name": "lookup",
    "arguments": "{}",
}
ASKED = {"id": "ap", "type": "mcp_approval_request", "server_label": "crm", "name": "find", "arguments": "{}"}
LISTED = {"id": "i", "type": "mcp_list_tools", "server_label": "crm", "tools": []}
SPOKEN = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
FAILED = {
    "id": "r",
    "status": "failed",
    "status_details": {"type": "failed", "error": {"code": "server_error"}},
}
CUT = {"id": "r", "status": "cancelled", "status_details": {"type": "cancelled", "reason": "turn_detected"}}
FAULT = {"type": "invalid_request_error", "code": "bad", "message": "m", "param": "p", "event_id": "e7"}
EXPIRES = 1_800_000_000

GA_EVENTS = [
    (
        "session.created",
        {"event_id": "e", "session": {"type": "realtime", "id": "s", "object": "realtime.session", "expires_at": EXPIRES}},
        events.SessionCreated("s", EXPIRES),
    ),
    (
        "session.updated",
        {"event_id": "e", "session": {"type": "realtime", "id": "s", "object": "realtime.session"}},
        events.SessionUpdated({"type": "realtime", "id": "s", "object": "realtime.session"}, None),
    ),
    (
        "response.created",
        {"event_id": "e", "response": {"id": "r", "metadata": {"purpose": "x"}}},
        events.ResponseCreated("r", {"purpose": "x"}),
    ),
    ("response.done", {"event_id": "e", "response": FAILED}, events.ResponseDone("r", "failed", "", "server_error")),
    (
        "response.done",
        {"event_id": "e", "response": CUT},
        events.ResponseDone("r", "cancelled", "turn_detected", ""),
    ),
    ("response.output_audio.delta", IDS | {"delta": "AAAA"}, events.AudioDelta("r", "i", 0, b"AAAA")),
    ("response.output_audio.done", IDS, events.AudioDone("r", "i")),
    ("response.output_audio_transcript.delta", IDS | {"delta": "He"}, events.AgentWordsDelta("r", "i", "He")),
    ("response.output_audio_transcript.done", IDS | {"transcript": "Hello"}, events.AgentWords("r", "i", "Hello")),
    ("response.output_text.done", IDS | {"text": "Hello"}, events.AgentText("r", "i", "Hello")),
    (
        "conversation.item.added",
        {"event_id": "e", "item": SPOKEN, "previous_item_id": "p"},
        events.ItemAdded("i", "p", "assistant", "message"),
    ),
    (
        "conversation.item.added",
        {"event_id": "e", "item": LISTED, "previous_item_id": None},
        events.ItemAdded("i", "", "", "mcp_list_tools", "crm"),
    ),
    (
        "response.output_item.done",
        {"event_id": "e", "response_id": "r", "output_index": 0, "item": CALL},
        events.FunctionCall("r", "i", "c", "lookup", "{}"),
    ),
    (
        "response.output_item.done",
        {"event_id": "e", "response_id": "r", "output_index": 0, "item": CALL | {"status": "incomplete"}},
        None,
    ),
    (
        "response.output_item.done",
        {"event_id": "e", "response_id": "r", "output_index": 0, "item": ASKED},
        events.McpApproval("ap", "crm", "find", "{}"),
    ),
    (
        "input_audio_buffer.committed",
        ITEM | {"previous_item_id": "p"},
        events.CallerCommitted("i", "p"),
    ),
    ("input_audio_buffer.speech_started", ITEM | {"audio_start_ms": 40}, events.CallerSpeechStarted(40)),
    ("input_audio_buffer.speech_stopped", ITEM | {"audio_end_ms": 90}, events.CallerSpeechStopped(90)),
    (
        "conversation.item.input_audio_transcription.completed",
        ITEM
        | {
            "content_index": 0,
            "transcript": "hi",
            "usage": {"type": "duration", "seconds": 1.0},
        },
        events.CallerWords("i", "hi"),
    ),
    (
        "conversation.item.input_audio_transcription.failed",
        ITEM | {"content_index": 0, "error": {"code": "audio_unintelligible", "type": "t", "message": "m"}},
        events.CallerWordsFailed("i", "audio_unintelligible"),
    ),
    ("mcp_list_tools.completed", ITEM, events.McpTools("i", "completed")),
    ("mcp_list_tools.failed", ITEM, events.McpTools("i", "failed")),
    ("response.mcp_call.completed", ITEM | {"output_index": 0}, events.McpCalled("i", "completed")),
    ("response.mcp_call.failed", ITEM | {"output_index": 0}, events.McpCalled("i", "failed")),
    ("error", {"event_id": "e", "error": FAULT}, events.ModelError("bad", "invalid_request_error", "e7", "p")),
    (
        "rate_limits.updated",
        {
            "event_id": "e",
            "rate_limits": [
                {"name": "requests", "limit": 1000, "remaining": 900, "reset_seconds": 1.5},
                {"name": "tokens", "limit": 1000, "remaining": 50, "reset_seconds": 30.0},
            ],
        },
        events.RateLimited("tokens", 50, 1000, 30),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("type", "fields", "expected"), GA_EVENTS, ids=[event[0] for event in GA_EVENTS])
def test_we_read_what_openai_s_models_describe(type, fields, expected):
    event = {"type": type} | fields
    # The model of the session is the request's, although services answer with more (the documentation has it).
    answered = {f".session.{name}: unknown" for name in ("id", "object", "expires_at")}
    assert set(openai_objections(event)) <= (answered if type.startswith("session.") else set())
    assert GA.parse(json.dumps(event).encode()) == expected


def test_openai_s_models_describe_all_that_we_read():
    kept_by_azure = {"conversation.item.created"}  # only there for services that are late
    assert set(GA_TYPES) - kept_by_azure == {event[0] for event in GA_EVENTS}
    created = oa.ConversationItemCreatedEvent(
        event_id="e", item=SPOKEN, type="conversation.item.created", previous_item_id="p"
    )
    assert GA.parse(created.model_dump_json().encode()) == events.ItemAdded("i", "p", "assistant", "message")


WHEN = datetime.datetime.fromtimestamp(EXPIRES, datetime.UTC)
PART = {name: value for name, value in IDS.items() if name != "event_id"}
FLAT_EVENTS = [
    (
        vl.ServerEventSessionCreated(session=vl.ResponseSession(id="s", expires_at=WHEN)),
        events.SessionCreated("s", EXPIRES),
    ),
    (
        vl.ServerEventSessionUpdated(
            session=vl.ResponseSession(id="s", input_audio_format="pcm16", expires_at=WHEN)
        ),
        events.SessionUpdated({"id": "s", "input_audio_format": "pcm16", "expires_at": EXPIRES}, EXPIRES),
    ),
    (
        vl.ServerEventResponseCreated(response=vl.Response(id="r", metadata={"purpose": "x"})),
        events.ResponseCreated("r", {"purpose": "x"}),
    ),
    (
        vl.ServerEventResponseDone(
            response=vl.Response(
                id="r",
                status="failed",
                status_details=vl.ResponseFailedDetails(error={"code": "server_error"}),
            )
        ),
        events.ResponseDone("r", "failed", "", "server_error"),
    ),
    (
        vl.ServerEventResponseDone(
            response=vl.Response(
                id="r",
                status="incomplete",
                status_details=vl.ResponseIncompleteDetails(reason="max_output_tokens"),
            )
        ),
        events.ResponseDone("r", "incomplete", "max_output_tokens", ""),
    ),
    (vl.ServerEventResponseAudioDelta(**PART, delta=bytes(3)), events.AudioDelta("r", "i", 0, b"AAAA")),
    (vl.ServerEventResponseAudioDone(**PART), events.AudioDone("r", "i")),
    (
        vl.ServerEventResponseAudioTranscriptDelta(**PART, delta="He"),
        events.AgentWordsDelta("r", "i", "He"),
    ),
    (
        vl.ServerEventResponseAudioTranscriptDone(**PART, transcript="Hello"),
        events.AgentWords("r", "i", "Hello"),
    ),
    (vl.ServerEventResponseTextDone(**PART, text="Hello"), events.AgentText("r", "i", "Hello")),
    (
        vl.ServerEventResponseAudioTimestampDelta(
            **PART, audio_offset_ms=490, audio_duration_ms=387, text="end", timestamp_type="word"
        ),
        events.WordTime("r", "i", "end", 490, 387),
    ),
    (
        vl.ServerEventConversationItemCreated(
            previous_item_id="p",
            item=vl.ResponseMessageItem(id="i", role="assistant", status="in_progress", content=[]),
        ),
        events.ItemAdded("i", "p", "assistant", "message"),
    ),
    (
        vl.ServerEventConversationItemCreated(
            item=vl.ResponseMCPApprovalRequestItem(id="ap", server_label="crm", name="find", arguments="{}")
        ),
        events.McpApproval("ap", "crm", "find", "{}"),
    ),
    (
        vl.ServerEventConversationItemCreated(
            item=vl.ResponseMCPListToolItem(id="i", server_label="crm", tools=[])
        ),
        events.ItemAdded("i", "", "", "mcp_list_tools", "crm"),
    ),
    (
        vl.ServerEventResponseOutputItemDone(
            response_id="r",
            output_index=0,
            item=vl.ResponseFunctionCallItem(
                id="i", call_id="c", name="lookup", arguments="{}", status="completed"
            ),
        ),
        events.FunctionCall("r", "i", "c", "lookup", "{}"),
    ),
    (
        vl.ServerEventInputAudioBufferCommitted(item_id="i", previous_item_id="p"),
        events.CallerCommitted("i", "p"),
    ),
    (
        vl.ServerEventInputAudioBufferSpeechStarted(item_id="i", audio_start_ms=40),
        events.CallerSpeechStarted(40),
    ),
    (
        vl.ServerEventInputAudioBufferSpeechStopped(item_id="i", audio_end_ms=90),
        events.CallerSpeechStopped(90),
    ),
    (
        vl.ServerEventConversationItemInputAudioTranscriptionCompleted(
            item_id="i", content_index=0, transcript=""
        ),
        events.CallerWords("i", ""),
    ),
    (
        vl.ServerEventConversationItemInputAudioTranscriptionFailed(
            item_id="i", content_index=0, error=vl.VoiceLiveErrorDetails(message="m", code="no_speech")
        ),
        events.CallerWordsFailed("i", "no_speech"),
    ),
    (vl.ServerEventMcpListToolsCompleted(item_id="i"), events.McpTools("i", "completed")),
    (vl.ServerEventMcpListToolsFailed(item_id="i"), events.McpTools("i", "failed")),
    (vl.ServerEventResponseMcpCallCompleted(item_id="i", output_index=0), events.McpCalled("i", "completed")),
    (vl.ServerEventResponseMcpCallFailed(item_id="i", output_index=0), events.McpCalled("i", "failed")),
    (
        vl.ServerEventSessionUpdated(
            session=vl.ResponseSession(agent=vl.AgentConfig(name="a", agent_id="i", thread_id="t"))
        ),
        events.SessionUpdated(
            {"agent": {"type": "agent", "name": "a", "agent_id": "i", "thread_id": "t"}}, None, "t"
        ),
    ),
    (
        vl.ServerEventError(error=vl.ServerEventErrorDetails(**FAULT)),
        events.ModelError("bad", "invalid_request_error", "e7", "p"),
    ),
    (
        vl.ServerEventWarning(warning=vl.ServerEventWarningDetails(message="m", code="slow")),
        events.Warned("slow"),
    ),
]


@pytest.mark.parametrize(("event", "expected"), FLAT_EVENTS, ids=[event[0]["type"] for event in FLAT_EVENTS])
def test_we_read_what_voice_live_s_models_make(event, expected):
    frame = voicelive_frame(event)
    assert voicelive_objections(json.loads(frame), vl.ServerEvent) == []
    assert FLAT.parse(frame) == expected


def test_voice_live_s_models_make_all_that_we_read():
    assert set(FLAT_TYPES) == {event[0]["type"] for event in FLAT_EVENTS}
