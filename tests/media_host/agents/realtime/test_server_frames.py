"""What comes from a model is a stranger's: an event, None or InvalidInput, and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_host.agents.realtime import server_events as events
from media_host.agents.realtime.dialect import FLAT, GA
from shared.errors import InvalidInput

IDS = {"response_id": "r", "item_id": "i", "content_index": 0}
ITEM = {
    "id": "i",
    "type": "function_call",
    "status": "completed",
    "call_id": "c",
    "name": "n",
    "arguments": "{}",
}
ERROR = {"type": "t", "code": "c", "message": "m", "param": "p", "event_id": "e"}
FRAMES = [
    {"type": "session.created", "session": {"id": "s", "expires_at": 1}},
    {"type": "session.updated", "session": {"id": "s", "expires_at": 1, "audio": {"input": {}}}},
    {"type": "response.created", "response": {"id": "r", "metadata": {"a": "b"}}},
    {
        "type": "response.done",
        "response": {"id": "r", "status": "failed", "status_details": {"reason": "x", "error": ERROR}},
    },
    {"type": "response.output_audio.delta", "delta": "AAAA"} | IDS,
    {"type": "response.audio.delta", "delta": "AAAA"} | IDS,
    {"type": "response.output_audio.done"} | IDS,
    {"type": "response.audio.done"} | IDS,
    {"type": "response.output_audio_transcript.delta", "delta": "a"} | IDS,
    {"type": "response.audio_transcript.done", "transcript": "a"} | IDS,
    {"type": "response.output_text.done", "text": "a"} | IDS,
    {"type": "response.audio_timestamp.delta", "text": "a", "audio_offset_ms": 1, "audio_duration_ms": 2} | IDS,
    {"type": "response.output_item.done", "response_id": "r", "item": ITEM},
    {"type": "conversation.item.created", "previous_item_id": None, "item": ITEM | {"role": "user"}},
    {"type": "conversation.item.added", "item": {"id": "i", "type": "mcp_approval_request", "server_label": "l"}},
    {"type": "input_audio_buffer.committed", "item_id": "i", "previous_item_id": "p"},
    {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1},
    {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i", "transcript": "t"},
    {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i", "error": ERROR},
    {"type": "mcp_list_tools.completed", "item_id": "i"},
    {"type": "mcp_list_tools.failed", "item_id": "i"},
    {"type": "response.mcp_call.completed", "item_id": "i"},
    {"type": "response.mcp_call.failed", "item_id": "i"},
    {"type": "error", "error": ERROR},
    {"type": "warning", "warning": ERROR},
    {
        "type": "rate_limits.updated",
        "rate_limits": [{"name": "n", "limit": 2, "remaining": 1, "reset_seconds": 1}],
    },
]  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(value, path=()):
    """The path of every value in a frame."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in pairs:
        yield (*path, step)
        yield from places(inner, (*path, step))


@st.composite
def mutated(draw):
    frame = json.loads(json.dumps(draw(st.sampled_from(FRAMES))))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(sorted(places(frame), key=str)))
        holder = frame
        for step in path[:-1]:
            holder = holder[step]
        if draw(st.booleans()):
            holder[path[-1]] = draw(VALUES)
        elif isinstance(holder, dict) and len(frame) > 1:
            del holder[path[-1]]
    raw = bytearray(json.dumps(frame, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw)


@given(mutated())
@settings(max_examples=150, deadline=None)
def test_mutated_frames_are_refused_or_read(frame):
    for dialect in (GA, FLAT):
        try:
            event = dialect.parse(frame)
        except InvalidInput as refused:
            assert str(refused).isascii()
            continue
        if isinstance(event, events.AudioDelta):
            assert set(event.audio) <= set(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
            )
        for value in (
            getattr(event, "code", ""),
            getattr(event, "error_code", ""),
            getattr(event, "reason", ""),
        ):
            assert value.isascii() and len(value) <= 64 and (value == "" or value.isprintable())


@pytest.mark.parametrize("frame", FRAMES, ids=[frame["type"] for frame in FRAMES])
def test_each_frame_is_read_by_a_dialect(frame):
    raw = json.dumps(frame).encode()
    assert GA.parse(raw) is not None or FLAT.parse(raw) is not None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b"null",
        b'"session.created"',
        b"{}",
        b'{"type":1}',
        b'{"type":null}',
        b"\xff\xfe{}",
        b'{"type":"error","error":{"code":"\xff"}}',
        b"[" * 100_000,
        b'{"type":"session.updated","session":' + b'{"a":' * 150_000 + b"1" + b"}" * 150_001,
        b'{"type":"input_audio_buffer.speech_started","audio_start_ms":NaN}',
        b'{"type":"input_audio_buffer.speech_started","audio_start_ms":1e999}',
        b'{"type":"input_audio_buffer.speech_started","audio_start_ms":-1}',
        b'{"type":"input_audio_buffer.speech_started","audio_start_ms":"1"}',
        b'{"type":"input_audio_buffer.speech_started"}',
        b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AA*A"}',
        b'{"type":"response.output_audio.delta","response_id":"","item_id":"i","delta":"AAAA"}',
        b'{"type":"response.done","response":{"id":null}}',
        b'{"type":"response.done","response":{"id":"' + b"r" * 513 + b'"}}',
        b'{"type":"response.output_item.done","item":{"id":"i","type":"function_call","status":"completed"}}',
    ],
)
def test_what_is_no_event_is_refused(frame):
    with pytest.raises(InvalidInput) as caught:
        GA.parse(frame)
    assert len(str(caught.value)) < 100  # it quotes nothing of the frame


@pytest.mark.parametrize(
    "type", ["response.text.delta", "made.up", "response.invocation.delta", "conversation.item.done", ""]
)
def test_what_nobody_needs_is_none_whatever_it_holds(type):
    frame = json.dumps({"type": type, "response_id": 7, "delta": {"x": []}, "item": "none"}).encode()
    assert GA.parse(frame) is None
    assert FLAT.parse(frame) is None


def test_each_dialect_has_names_of_its_own():
    spoken = {"type": "response.audio.delta", "delta": "AAAA"} | IDS
    assert GA.parse(json.dumps(spoken).encode()) is None
    assert FLAT.parse(json.dumps(spoken).encode()) == events.AudioDelta("r", "i", 0, b"AAAA")


@pytest.mark.parametrize("at", [None, 0, -1, True, "2026-11-21T12:00:00Z", 1e300, [1]])
def test_a_session_is_never_missed_for_an_odd_expiry(at):
    session = {"id": "s", "expires_at": at, "agent": {"thread_id": "t"}}
    created = GA.parse(json.dumps({"type": "session.created", "session": session}).encode())
    assert created == events.SessionCreated("s", None, "t")
    updated = GA.parse(json.dumps({"type": "session.updated", "session": session}).encode())
    assert updated == events.SessionUpdated(session, None, "t")


@pytest.mark.parametrize("details", [None, "cancelled", [], {"error": "quota"}, {"error": {"code": 7}}])
def test_the_end_of_a_response_is_never_missed_for_its_details(details):
    frame = {"type": "response.done", "response": {"id": "r", "status": "failed", "status_details": details}}
    assert GA.parse(json.dumps(frame).encode()) == events.ResponseDone("r", "failed", "", "response_failed")


def test_a_failure_without_a_shape_is_still_an_error():
    assert GA.parse(b'{"type":"error"}') == events.ModelError("error", "", "", "")
    assert GA.parse(b'{"type":"error","error":"sk-proj-1"}') == events.ModelError("error", "", "", "")


def test_what_the_model_says_about_an_error_is_dropped_and_its_code_is_safe_to_log():
    frame = {
        "type": "error",
        "error": {
            "code": "bad\r\nvalue " + "x" * 100,
            "message": "key sk-proj-1 is wrong",
            "param": "a[0].b c",
        },
    }
    error = GA.parse(json.dumps(frame).encode())
    assert error.code == ("bad__value_" + "x" * 100)[:64]
    assert error.param == "a[0].b_c"
    assert "sk-proj" not in repr(error)


def test_a_function_call_is_read_from_whole_items_only():
    whole = {"type": "response.output_item.done", "response_id": "r", "item": ITEM}
    assert GA.parse(json.dumps(whole).encode()) == events.FunctionCall("r", "i", "c", "n", "{}")
    for status in ("incomplete", "in_progress", None):
        cut = whole | {"item": ITEM | {"status": status}}
        assert GA.parse(json.dumps(cut).encode()) is None
    bare = whole | {"item": ITEM | {"arguments": ""}}
    assert GA.parse(json.dumps(bare).encode()).arguments == "{}"


def test_the_limit_that_is_nearest_is_told():
    limits = [
        {"name": "requests", "limit": 100, "remaining": 90},
        {"name": "tokens", "limit": 40_000, "remaining": 400, "reset_seconds": 2.5},
        {"name": "odd", "limit": 0, "remaining": 0},
        {"name": "odder"},
    ]
    frame = {"type": "rate_limits.updated", "rate_limits": limits}
    assert GA.parse(json.dumps(frame).encode()) == events.RateLimited("tokens", 400, 40_000, 2.5)
    assert GA.parse(json.dumps(frame | {"rate_limits": limits[2:]}).encode()) is None


def test_metadata_that_is_no_text_is_dropped():
    frame = {"type": "response.created", "response": {"id": "r", "metadata": {"purpose": "greeting", "n": 1}}}
    assert GA.parse(json.dumps(frame).encode()).metadata == {"purpose": "greeting"}
