"""What a session takes and refuses, and how it takes turns; both dialects unless only one has it."""

import numpy
import pytest

from emulator.realtime import Call, EmulatedModel, ModelFaults, Say
from media_host import g711
from tests.emulator.realtime.raw_client import AUDIO, CREATED, TRANSCRIBED, WRITTEN, raw_client

both = pytest.mark.parametrize("dialect", ["ga", "flat"])
QUICK = {"first_audio_s": 0, "speed": 0}
HALF_A_SECOND = bytes(24000)


def model(*outputs, **faults):
    """A model that always answers so; quick unless told otherwise."""
    return EmulatedModel(answer=lambda: lambda _: outputs, faults=ModelFaults(**(QUICK | faults)))


def slow(*outputs):
    """A model that is still speaking when the test acts."""
    return model(*outputs or [Say("one two three four five", bytes(480_000))], speed=2)


# --- session.update ---


@pytest.mark.parametrize(
    ("dialect", "session", "code", "param"),
    [
        ("ga", {"modalities": ["text"]}, "missing_required_parameter", "session.type"),
        ("ga", {"type": "realtime", "voice": "marin"}, "unknown_parameter", "session.voice"),
        ("ga", {"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ("ga", {"type": "realtime", "model": "m"}, "invalid_value", "session.model"),
        (
            "ga",
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            "ga",
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "azure_semantic_vad"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            "ga",
            {"type": "realtime", "tools": [{"type": "function", "name": "t", "strict": True}]},
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        ("flat", {"type": "realtime"}, "unknown_parameter", "session.type"),
        ("flat", {"audio": {}}, "unknown_parameter", "session.audio"),
        ("flat", {"model": "m"}, "invalid_value", "session.model"),
        ("flat", {"output_audio_format": "g711-ulaw"}, "invalid_value", "session.output_audio_format"),
        (
            "flat",
            {"voice": {"type": "azure-standard", "name": "n", "rate": 1.1}},
            "invalid_type",
            "session.voice.rate",
        ),
    ],
)
async def test_a_session_that_is_refused_stays_as_it_was(dialect, session, code, param):
    async with model() as emulated, raw_client(emulated, dialect) as client:
        created = (await client.until("session.created"))["session"]
        await client.send("session.update", session=session, event_id="cfg")
        error = await client.error("cfg")
        assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
        assert await client.update({}) == created


async def test_what_an_update_leaves_out_has_its_default_in_the_echo():
    async with model() as emulated:
        async with raw_client(emulated) as client:
            vad = {"type": "server_vad", "silence_duration_ms": 300}
            given = {"format": {"type": "audio/pcmu"}, "turn_detection": vad}
            audio = (await client.update({"audio": {"input": given}}))["audio"]
            assert audio["input"]["format"] == {"type": "audio/pcmu"}
            assert audio["output"]["format"] == {"type": "audio/pcm", "rate": 24000}, "merged, not replaced"
            assert audio["input"]["turn_detection"] == {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 300,
                "create_response": True,
                "interrupt_response": True,
                "idle_timeout_ms": None,
            }
        async with raw_client(emulated, "flat") as client:
            echo = await client.update({"turn_detection": {"type": "azure_semantic_vad"}})
            assert echo["turn_detection"]["prefix_padding_ms"] == 420
            assert echo["turn_detection"]["speech_duration_ms"] == 80


@both
async def test_the_voice_is_frozen_once_it_has_spoken(dialect):
    async with model(Say("hello")) as emulated, raw_client(emulated, dialect) as client:
        named = {"audio": {"output": {"voice": "cedar"}}} if dialect == "ga" else {"voice": "alloy"}
        await client.update(named)
        await client.send("response.create")
        await client.done()
        await client.update(named)
        other = {"audio": {"output": {"voice": "marin"}}} if dialect == "ga" else {"voice": "echo"}
        more = {"type": "realtime"} if dialect == "ga" else {}
        await client.send("session.update", session={**more, **other}, event_id="late")
        assert (await client.error("late"))["code"] == "cannot_update_voice"


# --- client events ---


@both
@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "response.start"}, "invalid_value", "type"),
        ({"type": "response.cancel", "why": 1}, "unknown_parameter", "why"),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "invalid_value", "item_id"),
        ({"type": "conversation.item.create", "item": {"type": "song"}}, "invalid_value", "item.type"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "x", "output": "{}"},
            },
            "invalid_tool_call_id",
            "item.call_id",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True},
            },
            "invalid_value",
            "item.approval_request_id",
        ),
        ({"type": "response.create", "response": {"colour": "red"}}, "unknown_parameter", "response.colour"),
        ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_type", "audio"),
    ],
)
async def test_a_client_event_that_is_refused(dialect, event, code, param):
    async with model() as emulated, raw_client(emulated, dialect) as client:
        await client.send(**event, event_id="e1")
        error = (await client.until("error"))["error"]
        if param == "audio":
            return  # base64 is only looked at by the parser: the text is its own
        assert (error["code"], error["param"]) == (code, param)


@both
async def test_content_of_the_other_dialect_is_refused(dialect):
    other = WRITTEN["flat" if dialect == "ga" else "ga"]
    item = {"type": "message", "role": "assistant", "content": [{"type": other, "text": "hm"}]}
    async with model() as emulated, raw_client(emulated, dialect) as client:
        await client.send("conversation.item.create", item=item, event_id="e")
        assert (await client.error("e"))["param"] == "item.content[0].type"


@both
async def test_what_is_no_json_is_an_error_and_the_session_goes_on(dialect):
    async with model() as emulated, raw_client(emulated, dialect) as client:
        await client.socket.send("{")
        assert (await client.error())["code"] == "invalid_json"
        await client.update({})


# --- responses ---


@both
async def test_one_response_at_a_time_and_a_summary_beside_it(dialect):
    async with slow() as emulated, raw_client(emulated, dialect) as client:
        await client.send("response.create")
        first = (await client.until("response.created"))["response"]["id"]
        await client.send("response.create", event_id="second")
        error = await client.error("second")
        assert error["code"] == "conversation_already_has_active_response"
        assert first in error["message"]
        text = {"output_modalities": ["text"]} if dialect == "ga" else {"modalities": ["text"]}
        asked = {"conversation": "none", "metadata": {"purpose": "summary"}, **text}
        await client.send("response.create", response=asked)
        summary = await client.done()
        assert summary["metadata"] == {"purpose": "summary"}
        assert summary["conversation_id"] is None
        await client.send("response.cancel", response_id=first)
        assert (await client.done())["id"] == first


async def test_words_that_are_asked_for_exactly():
    async with model(Say("no")) as emulated:
        async with raw_client(emulated) as client:
            await client.send("response.create", response={"instructions": 'Say exactly: "Hello there."'})
            done = await client.done()
            assert done["output"][0]["content"][0]["transcript"] == "Hello there."
        async with raw_client(emulated, "flat") as client:
            content = [{"type": "text", "text": "Welcome."}]
            message = {"type": "message", "role": "assistant", "content": content}
            await client.send("response.create", response={"pre_generated_assistant_message": message})
            assert (await client.done())["output"][0]["content"][0]["transcript"] == "Welcome."


@both
async def test_the_order_of_a_response(dialect):
    async with (
        model(Say("one two"), Call("go", {"to": 1})) as emulated,
        raw_client(emulated, dialect) as client,
    ):
        await client.send("response.create")
        done = await client.done()
        order = [kind for kind in client.types() if "delta" not in kind and kind != "rate_limits.updated"]
        words = AUDIO[dialect].removesuffix("delta")
        added, ended = ("conversation.item.added", "conversation.item.done")
        if dialect == "flat":
            added, ended = "conversation.item.created", ""
        assert order == [
            name
            for name in (
                "session.created",
                "response.created",
                "response.output_item.added",
                added,
                "response.content_part.added",
                f"{words}done",
                f"{words[:-1]}_transcript.done",
                "response.content_part.done",
                ended,
                "response.output_item.done",
                "response.output_item.added",
                added,
                "response.function_call_arguments.done",
                ended,
                "response.output_item.done",
                "response.done",
            )
            if name
        ]
        assert [item["type"] for item in done["output"]] == ["message", "function_call"]
        assert done["output"][1]["arguments"] == '{"to": 1}'
        transcript = client.of(f"{words[:-1]}_transcript.delta")
        assert "".join(event["delta"] for event in transcript) == "one two"


@pytest.mark.parametrize(
    ("dialect", "session", "rate"),
    [
        ("ga", {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, 8),
        ("flat", {"output_audio_format": "g711_ulaw"}, 8),
        ("flat", {"output_audio_format": "pcm16_16000hz"}, 32),
        ("flat", {"output_audio_format": "pcm16_8000hz"}, 16),
    ],
)
async def test_audio_in_the_format_of_the_session(dialect, session, rate):
    async with model(Say("ten chars!")) as emulated, raw_client(emulated, dialect) as client:
        await client.update(session)
        await client.send("response.create")
        done = await client.done()
        audio = client.audio(done["id"])
        assert len(audio) == 600 * rate
        if rate == 8:
            assert len(set(g711.decode(audio))) > 10


async def test_the_time_of_each_word_on_voice_live():
    async with model(Say("one seventeen", bytes(48000))) as emulated, raw_client(emulated, "flat") as client:
        await client.update({"output_audio_timestamp_types": ["word"]})
        await client.send("response.create")
        await client.done()
        words = client.of("response.audio_timestamp.delta")
        assert [word["text"] for word in words] == ["one", "seventeen"]
        assert words[1]["audio_offset_ms"] == words[0]["audio_duration_ms"]
        assert words[1]["audio_offset_ms"] + words[1]["audio_duration_ms"] == 1000


# --- what was heard ---


@both
async def test_truncation_leaves_what_was_heard(dialect):
    async with model(Say("one two", bytes(48000))) as emulated, raw_client(emulated, dialect) as client:
        await client.send("response.create")
        item = (await client.done())["output"][0]["id"]
        place = {"item_id": item, "content_index": 0}
        await client.send("conversation.item.truncate", **place, audio_end_ms=1001, event_id="long")
        error = await client.error("long")
        assert error["code"] == "invalid_value"
        assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"
        await client.send("conversation.item.truncate", **place, audio_end_ms=400)
        await client.until("conversation.item.truncated", audio_end_ms=400)
        await client.send("conversation.item.truncate", **place, audio_end_ms=401, event_id="again")
        assert "already shorter" in (await client.error("again"))["message"]
        await client.send("conversation.item.retrieve", item_id=item)
        kept = (await client.until("conversation.item.retrieved"))["item"]
        assert kept["content"][0]["transcript"] == ""
        await client.user("hm", previous_item_id="root")
        user = (await client.until(CREATED[dialect], previous_item_id=None))["item"]["id"]
        assert list((await emulated.session()).conversation.items) == [user, item]
        await client.send("conversation.item.truncate", item_id=user, content_index=0, audio_end_ms=0)
        assert (await client.error())["code"] == "unsupported_content_type"


# --- the caller ---


@both
async def test_speech_ends_a_response_and_is_answered(dialect, spoken):
    async with slow() as emulated, raw_client(emulated, dialect) as client:
        await client.update(TRANSCRIBED[dialect])
        await client.send("response.create")
        await client.until(AUDIO[dialect])
        await client.hear(spoken["goodbye"])
        done = await client.done()
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert done["output"][0]["status"] == "incomplete"
        answer = (await client.until("response.created"))["response"]
        started, stopped, committed = (
            client.of(f"input_audio_buffer.{kind}")[0]
            for kind in ("speech_started", "speech_stopped", "committed")
        )
        assert started["item_id"] == stopped["item_id"] == committed["item_id"]
        assert committed["previous_item_id"] == done["output"][0]["id"]
        assert 0 <= started["audio_start_ms"] < stopped["audio_end_ms"] <= len(spoken["goodbye"]) / 48
        assert answer["status"] == "in_progress"


@both
async def test_a_client_that_decides_for_itself(dialect, spoken):
    off = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    async with slow() as emulated, raw_client(emulated, dialect) as client:
        await client.turn_detection(off)
        await client.send("response.create")
        await client.until("response.created")
        await client.hear(spoken["goodbye"])
        await client.until("input_audio_buffer.committed")
        await client.send("response.cancel")
        assert (await client.done())["status_details"]["reason"] == "client_cancelled"
        await client.update({})
        assert len(client.of("response.created")) == 1, "the caller's turn was not answered"


@both
async def test_turns_that_end_by_hand(dialect, spoken):
    async with model(Say("yes")) as emulated, raw_client(emulated, dialect) as client:
        await client.turn_detection(None)
        await client.hear(bytes(960))
        await client.send("input_audio_buffer.commit", event_id="short")
        assert (await client.error("short"))["code"] == "input_audio_buffer_commit_empty"
        await client.hear(spoken["goodbye"])
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        await client.update({})
        assert not client.of("input_audio_buffer.speech_started")
        assert not client.of("response.created")


async def test_a_change_of_other_things_leaves_a_turn_alone(spoken):
    async with model() as emulated, raw_client(emulated) as client:
        pcm = spoken["where is my order"]
        await client.hear(pcm[:48000])
        await client.until("input_audio_buffer.speech_started")
        await client.update({"instructions": "be brief"})
        await client.hear(pcm[48000:])
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] > 1000


async def test_voice_live_may_truncate_by_itself(spoken):
    async with slow() as emulated, raw_client(emulated, "flat") as client:
        await client.turn_detection({"type": "server_vad", "auto_truncate": True, "create_response": False})
        await client.send("response.create")
        await client.until(AUDIO["flat"])
        await client.hear(spoken["goodbye"])
        cut = await client.until("conversation.item.truncated")
        place = {"item_id": cut["item_id"], "content_index": 0, "audio_end_ms": 0}
        await client.send("conversation.item.truncate", **place, event_id="late")
        assert (await client.error("late"))["code"] == "item_already_truncated"


async def test_silence_after_an_answer_is_told_of():
    async with model(Say("hm", bytes(960))) as emulated, raw_client(emulated) as client:
        await client.turn_detection({"type": "server_vad", "idle_timeout_ms": 20})
        await client.send("response.create")
        await client.done()
        await client.until("input_audio_buffer.timeout_triggered")
        await client.until("input_audio_buffer.committed")
        await client.done()


# --- by hand ---


async def test_a_test_plays_the_model():
    async with EmulatedModel(faults=ModelFaults(**QUICK)) as emulated, raw_client(emulated) as client:
        session = await emulated.session()
        await client.send("response.create")
        assert (await client.done())["output"] == [], "it says nothing by itself"
        response = await session.respond(Say("hi", bytes(480)), Call("go"), metadata={"a": "b"})
        assert (await client.until("response.done"))["response"]["id"] == response.id
        await client.update({"instructions": "x"})
        assert (await session.next("session.update"))["session"]["instructions"] == "x"
        await session.tell("made_up.event", number=1)
        assert (await client.until("made_up.event"))["number"] == 1
        await client.hear(HALF_A_SECOND)
        await client.user("last")
        await session.next("conversation.item.create")
        assert session.appended == len(HALF_A_SECOND)
        await client.socket.close()
        with pytest.raises(EOFError):
            await session.next("response.cancel")


@pytest.mark.parametrize(
    ("dialect", "session", "rate"),
    [
        ("ga", {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, 8000),
        ("flat", {"input_audio_format": "g711_ulaw"}, 8000),
        ("flat", {"input_audio_sampling_rate": 8000}, 8000),
    ],
)
async def test_speech_in_other_formats(dialect, session, rate, spoken):
    pcm = numpy.frombuffer(spoken["goodbye"], "<i2")[:: 24000 // rate].tobytes()
    ulaw = "pcmu" in str(session) or "ulaw" in str(session)
    async with model() as emulated, raw_client(emulated, dialect) as client:
        await client.update(session)
        await client.hear(g711.encode(pcm) if ulaw else pcm)
        stopped = await client.until("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] <= len(pcm) / 2 / rate * 1000


async def test_the_start_of_speech_lies_before_its_sound(spoken):
    """`audio_start_ms` counts the audio that was written, and the padding before the speech."""
    async with model() as emulated, raw_client(emulated) as client:
        pcm = bytes(96000) + spoken["goodbye"]
        starts = []
        for padding in (0, 300):
            await client.turn_detection({"type": "server_vad", "prefix_padding_ms": padding})
            await client.hear(pcm)
            starts.append((await client.until("input_audio_buffer.speech_started"))["audio_start_ms"])
        length = len(pcm) // 48
        assert 2100 <= starts[0] <= 2600
        assert starts[1] == starts[0] + length - 300
