"""What the emulated models do wrong on demand."""

import asyncio
import json
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from emulator.realtime import Call, EmulatedModel, ModelFaults, Say
from emulator.realtime.faults import parse_model_faults
from shared.errors import InvalidInput
from tests.emulator.realtime.raw_client import AUDIO, PATHS, TRANSCRIBED, raw_client
from tests.support.timing import patience

both = pytest.mark.parametrize("dialect", ["ga", "flat"])
HELLO = Say("hello", bytes(48000))


def model(*outputs, **faults):
    quick = {"first_audio_s": 0, "speed": 0}
    return EmulatedModel(answer=lambda: lambda _: outputs, faults=ModelFaults(**(quick | faults)))


async def answered(client):
    await client.send("response.create")
    return await client.done()


async def test_handshakes_that_are_refused_then_one_that_is_not():
    async with model(handshake_status=(401, 429, 503)) as emulated:
        for status in (401, 429, 503):
            with pytest.raises(InvalidStatus) as refused:
                await connect(emulated.endpoint + PATHS["ga"])
            assert refused.value.response.status_code == status
            assert ("Retry-After" in refused.value.response.headers) == (status == 429)
        async with raw_client(emulated) as client:
            await client.until("session.created")


@both
async def test_only_the_first_sessions_have_them(dialect):
    async with model(double_updated=True, sessions=1) as emulated:
        for copies in (2, 1):
            async with raw_client(emulated, dialect) as client:
                await client.update({})
                await client.user("hm")
                await client.until(
                    "conversation.item.added" if dialect == "ga" else "conversation.item.created"
                )
                assert len(client.of("session.updated")) == copies


@pytest.mark.parametrize("mute", ["session", "update", "responses"])
async def test_what_is_never_answered(mute):
    async with model(HELLO, mute=mute) as emulated, raw_client(emulated) as client:
        session = await emulated.session()
        await client.send("session.update", session={"type": "realtime"})
        await client.send("response.create")
        await session.next("response.create")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        kinds = {"session.created": "session", "session.updated": "update", "response.created": "responses"}
        silent = {"session": ("session", "update"), "update": ("update",), "responses": ("responses",)}[mute]
        for kind, part in kinds.items():
            if part in silent:
                assert not client.of(kind), kind


@pytest.mark.parametrize("speed", [2.0, 20.0])
async def test_audio_comes_as_fast_as_is_wished(speed):
    async with model(HELLO, speed=speed, first_audio_s=0.1) as emulated, raw_client(emulated) as client:
        started = time.monotonic()
        done = await answered(client)
        assert time.monotonic() - started >= 0.1 + 1 / speed
        assert len(client.audio(done["id"])) == 48000


async def test_pieces_are_uneven_and_may_end_inside_a_sample():
    async with model(HELLO, chunk_ms=(10, 90)) as emulated:
        async with raw_client(emulated) as client:
            await answered(client)
            sizes = [len(event["delta"]) for event in client.of(AUDIO["ga"])]
            assert len(set(sizes)) > 5
        emulated.faults.odd_bytes = True
        async with raw_client(emulated) as client:
            done = await answered(client)
            pieces = [len(json.dumps(event["delta"])) for event in client.of(AUDIO["ga"])]
            assert len(pieces) > 5
            assert len(client.audio(done["id"])) == 48000
            first = client.events[client.events.index(client.of(AUDIO["ga"])[0])]
            client.events = [first]
            assert len(client.audio(done["id"])) % 2 == 1


@both
@pytest.mark.parametrize(("announced", "code"), [(True, 1001), (False, 1001), (False, 1006), (False, 1011)])
async def test_a_session_expires(dialect, announced, code):
    faults = {"expires_after_s": 0.05, "expiry_error": announced, "close_code": code}
    async with model(**faults) as emulated, raw_client(emulated, dialect) as client:
        with pytest.raises(ConnectionClosed):
            while True:
                await client.next()
        assert client.socket.close_code == code
        errors = [event["error"]["code"] for event in client.of("error")]
        assert errors == (["session_expired"] if announced else [])
        assert client.of("session.created")[0]["session"]["expires_at"] <= time.time() + 1


async def test_a_connection_is_lost_without_a_word():
    async with model(lost_after_s=0.02, close_code=1006) as emulated, raw_client(emulated) as client:
        with pytest.raises(ConnectionClosed):
            await client.until("error")
        assert client.of("session.created")[0]["session"]["expires_at"] > time.time() + 3000


@both
async def test_a_response_that_fails_and_one_that_does_not(dialect):
    async with model(HELLO, failed_responses=1) as emulated, raw_client(emulated, dialect) as client:
        failed = await answered(client)
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["code"] == "rate_limit_exceeded"
        assert (await answered(client))["status"] == "completed"


async def test_events_that_nobody_knows_and_frames_that_are_no_json():
    async with model(HELLO, unknown_events=1) as emulated, raw_client(emulated) as client:
        await answered(client)
        assert client.of("response.thoughts_nobody_knows.delta")
        (await emulated.session()).faults.malformed = 1
        await client.send("response.create")
        with pytest.raises(ValueError, match="Expecting"):
            await client.done()
        assert (await client.done())["status"] == "completed"


@both
async def test_the_echo_names_another_format(dialect):
    name = "audio/pcmu" if dialect == "ga" else "g711_ulaw"
    async with model(HELLO, updated_format=name) as emulated, raw_client(emulated, dialect) as client:
        echo = await client.update({})
        shown = echo["audio"]["output"]["format"]["type"] if dialect == "ga" else echo["output_audio_format"]
        assert shown == name


@both
async def test_a_silence_that_is_ignored(dialect):
    async with model(ignored_silence=True) as emulated, raw_client(emulated, dialect) as client:
        echo = await client.turn_detection({"type": "server_vad", "silence_duration_ms": 900})
        held = echo["audio"]["input"] if dialect == "ga" else echo
        assert held["turn_detection"]["silence_duration_ms"] == 500


async def test_a_deaf_model(spoken):
    async with model(HELLO, deaf=True) as emulated, raw_client(emulated) as client:
        await client.hear(spoken["goodbye"])
        await answered(client)
        assert not client.of("input_audio_buffer.speech_started")


@both
async def test_the_end_of_a_call_is_told_twice(dialect):
    async with (
        model(Call("go"), duplicate_arguments=True) as emulated,
        raw_client(emulated, dialect) as client,
    ):
        await answered(client)
        ends = client.of("response.function_call_arguments.done")
        assert len(ends) == len(client.of("response.output_item.done")) == 2
        assert ends[0]["call_id"] == ends[1]["call_id"]


async def test_an_event_of_8_mib():
    async with model(huge_frame=True) as emulated, raw_client(emulated) as client:
        await client.update({})
        padding = (await client.until("session.padding_nobody_knows"))["padding"]
        assert len(padding) == 8 * 1024 * 1024


@both
async def test_truncation_refused_and_transcription_late(dialect, spoken):
    faults = {"truncate_refused": True, "late_transcript_s": 0.2}
    async with model(HELLO, **faults) as emulated, raw_client(emulated, dialect) as client:
        await client.update(TRANSCRIBED[dialect])
        await client.hear(spoken["goodbye"])
        item = (await client.done())["output"][0]["id"]
        assert not client.of("conversation.item.input_audio_transcription.completed")
        await client.until("conversation.item.input_audio_transcription.completed")
        await client.send(
            "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=1, event_id="t"
        )
        assert (await client.error("t"))["code"] == "invalid_value"


async def test_faults_begin_in_mid_session():
    async with model(HELLO) as emulated, raw_client(emulated) as client:
        session = await emulated.session()
        session.faults.expiry_error = False
        session.faults.close_code = 1011
        await session.expire()
        with pytest.raises(ConnectionClosed):
            await client.until("error")
        assert client.socket.close_code == 1011
        async with asyncio.timeout(patience(5)):
            await session.ended.wait()


def test_faults_from_a_command_line():
    faults = parse_model_faults(
        {"speed": 10, "chunk_ms": [20, 40], "handshake_status": [429], "mute": "update"}
    )
    assert (faults.speed, faults.chunk_ms, faults.take_status(), faults.take_status()) == (
        10,
        (20, 40),
        429,
        None,
    )
    for wrong, field in (
        ({"colour": 1}, "faults.colour"),
        ({"speed": "fast"}, "faults.speed"),
        ({"speed": -1}, "faults.speed"),
        ({"chunk_ms": [0, 5]}, "faults.chunk_ms"),
        ({"handshake_status": [200]}, "faults.handshake_status"),
        ([], "faults"),
    ):
        with pytest.raises(InvalidInput) as error:
            parse_model_faults(wrong)
        assert error.value.field == field
