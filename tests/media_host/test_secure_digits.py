import asyncio
import base64
import time
import wave

import numpy as np
import pytest

from media_host.agents.base import Codec, ToolCall
from media_host.audio import silence_like
from media_host.recorder import Recorder, RecordingWriter
from tests.support.session_world import open_session, virtual

CARD = """
tools: []
secure_digits:
  card: {min_digits: 12, max_digits: 16, timeout_s: 5}
  pin: {prompt: Please key in your PIN., min_digits: 4, max_digits: 4, timeout_s: 5}
"""
NUMBER = "4111111111111111"
TONE = base64.b64encode(b"\x44" * 960)


class PatientRecorder(Recorder):
    """Its thread takes real time, which a virtual clock would not wait for."""

    async def close(self, duration_ms, **_options):
        closing = asyncio.create_task(super().close(duration_ms, within_s=1e9))
        while not closing.done():
            time.sleep(0.005)  # noqa: ASYNC251  # the loop's clock stands still meanwhile
            await asyncio.sleep(0)
        return closing.result()


def collect(world, name="card", id="1"):
    world.agent.host.event(ToolCall(id, "collect_digits", {"name": name}))


@pytest.mark.parametrize(
    ("keys", "result"),
    [
        (NUMBER, {"status": "collected", "digits": 16}),
        (NUMBER[:13] + "#", {"status": "collected", "digits": 13}),
        (NUMBER[:12], {"status": "collected", "digits": 12}),  # and then nothing more
        ("99*" + NUMBER[:14] + "A#", {"status": "collected", "digits": 14}),
        ("123#", {"error": "too few digits", "digits": 3}),
        ("12", {"error": "too few digits", "digits": 2}),
        ("", {"error": "no digits", "digits": 0}),
    ],
)
def test_digits_are_collected(keys, result):
    @virtual
    async def run():
        async with open_session(CARD) as world:
            collect(world)
            for key in keys:
                await world.run(1)
                world.key(key)
            await world.run(6)
            assert world.agent.results == [("1", result)]
            collected = keys.rpartition("*")[2].replace("A", "").rstrip("#")[:16]
            expected = {"card": collected} if "status" in result else {}
            assert world.session._digits.values == expected
            assert world.agent.keys == []
            world.key("7")  # afterwards keys are the agent's again
            assert world.agent.keys == ["7"]
            await world.hang_up()
            assert world.session._digits.values == {}

    run()


@virtual
async def test_the_prompt_is_said_and_cut_off_by_the_first_key():
    async with open_session(CARD, says_ms=4000) as world:
        collect(world, "pin")
        await world.run(1)
        assert world.agent.said == ["Please key in your PIN."]
        world.keys("1")
        assert world.wire.stops == []
        await world.run(0.1)
        assert len(world.wire.stops) == 1
        world.keys("234")
        await world.run(1)
        assert world.agent.results == [("1", {"status": "collected", "digits": 4})]


@virtual
async def test_the_time_runs_from_the_end_of_the_prompt():
    async with open_session(CARD, says_ms=4000) as world:
        collect(world, "pin")
        await world.run(8.5)
        assert world.agent.results == []
        await world.run(2)
        assert world.agent.results == [("1", {"error": "no digits", "digits": 0})]


@virtual
async def test_a_name_that_is_not_declared_and_a_second_collection():
    async with open_session(CARD) as world:
        assert "error" in await world.session._actions.collect_digits("other")
        collect(world)
        await world.run(0.1)
        assert "error" in await world.session._actions.collect_digits("pin")


def test_silence_has_the_length_of_what_it_stands_for():
    for size in (958, 959, 960):
        data = base64.b64encode(b"\x44" * size)
        assert base64.b64decode(silence_like(data, Codec.PCM16_24K), validate=True) == bytes(size)
        assert base64.b64decode(silence_like(data, Codec.ULAW_8K), validate=True) == b"\xff" * size


def test_digits_reach_neither_agent_nor_recording_nor_record_nor_log(tmp_path, caplog):
    """The whole of the way of a card's number, looked for everywhere."""
    caplog.set_level("DEBUG")
    number = "4929713086451234"
    writer = RecordingWriter()
    recorder = PatientRecorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)

    @virtual
    async def run():
        async with open_session(CARD + "recording: true\n", recorder=recorder) as world:
            for _ in range(50):
                world.caller()
                await world.run(0.02)
            before = len(world.agent.heard)
            assert before == 50
            collect(world)
            await world.run(0.1)
            for key in number:
                world.key(key)
                for _ in range(5):
                    world.caller(TONE)
                    await world.run(0.02)
            for _ in range(20):  # the last tone is still in the line
                world.caller(TONE)
                await world.run(0.02)
            await world.run(0.2)
            assert len(world.agent.heard) == before, "the agent heard tones"
            for _ in range(50):
                world.caller()
                await world.run(0.02)
            assert len(world.agent.heard) == before + 50
            record = await world.hang_up()
            assert record.keys_pressed == 16
            seen = [str(record.to_json()), *(str(event) for event in world.store.kept.values())]
            seen += [str(world.agent.results), str(world.agent.texts), str(world.agent.keys), caplog.text]
            for text in seen:
                assert number not in text and number[-6:] not in text

    run()
    writer.close()
    with wave.open(str(next(tmp_path.glob("*.wav")))) as file:
        sides = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert {*np.unique(sides[:, 0])} == {0, 0x0707}, "a tone is in the recording"
    assert np.count_nonzero(sides[:, 0]) >= 24 * 1900
