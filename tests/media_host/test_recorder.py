import asyncio
import base64
import os
import wave

import numpy as np
import pytest

from media_host import recorder as module
from media_host.agents.base import Codec
from media_host.g711 import decode, encode
from media_host.recorder import AgentClock, CallerClock, Recorder, RecordingWriter
from tests.support.timing import patience

FRAME_MS = 20


@pytest.fixture
def writer():
    writer = RecordingWriter(period_s=0.02)
    yield writer
    writer.close()


def frame(value, codec=Codec.PCM16_24K, ms=FRAME_MS):
    pcm = np.full(codec.sample_rate * ms // 1000, value, "<i2").tobytes()
    return base64.b64encode(encode(pcm) if codec is Codec.ULAW_8K else pcm)


def recorded(values, codec):
    """What becomes of samples on their way into the file."""
    samples = np.array(values, "<i2")
    return np.frombuffer(decode(encode(samples.tobytes())), "<i2") if codec is Codec.ULAW_8K else samples


def read(path):
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2), rate


async def until(condition):
    async with asyncio.timeout(patience(10)):
        while not condition():  # what happens on the writer's thread sets no event of this loop
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("codec", list(Codec))
async def test_caller_left_agent_right_on_one_clock(tmp_path, writer, codec):
    recorder = Recorder(tmp_path / "call.wav", codec, writer)
    for number in range(150):  # 3 s of the caller; the agent speaks from 1000 to 2000 ms
        recorder.caller(number * FRAME_MS, frame(number + 1, codec))
        if 50 <= number < 100:
            recorder.agent(number * FRAME_MS, frame(-number, codec))
    assert await recorder.close(3000) == ("call.wav", 3000)
    heard, rate = read(tmp_path / "call.wav")
    assert rate == codec.sample_rate and len(heard) == 3 * rate
    size = rate // 50
    caller, agent = np.arange(1, 151), [-n if 50 <= n < 100 else 0 for n in range(150)]
    assert (heard[:, 0] == np.repeat(recorded(caller, codec), size)).all()
    assert (heard[:, 1] == np.repeat(recorded(agent, codec), size)).all()
    assert recorder.failed == "" and recorder.dropped == 0


@pytest.mark.parametrize(("frames", "duration_ms"), [(10, 1000), (100, 1500), (0, 500), (0, 0), (3, 20_000)])
async def test_as_long_as_the_call_whatever_was_spoken(tmp_path, writer, frames, duration_ms):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    for number in range(frames):
        recorder.caller(number * FRAME_MS, frame(1))
    name, length = await recorder.close(duration_ms)
    assert length == duration_ms
    if duration_ms:
        assert len(read(tmp_path / name)[0]) == duration_ms * 24


@pytest.mark.parametrize("late_ms", [100, 700])
async def test_first_frames_that_are_read_late_and_at_once_keep_their_place(tmp_path, writer, late_ms):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    for number in range(150):
        recorder.caller(max(late_ms, number * FRAME_MS), frame(number + 1))
    assert await recorder.close(3000) == ("call.wav", 3000)
    heard, _ = read(tmp_path / "call.wav")
    spoken, size = heard[:, 0], 480
    first = np.flatnonzero(spoken)[0]
    assert first <= 24 * 40
    expected = np.repeat(np.arange(1, 151), size)[: len(spoken) - first]
    assert (spoken[first:] == expected).all(), "no frame is lost to another"


async def test_a_caller_who_says_little_is_recorded_while_the_agent_talks(tmp_path, writer):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    recorder.caller(0, frame(7))
    for number in range(200):
        recorder.agent(number * FRAME_MS, frame(9))
    async with asyncio.timeout(patience(5)):
        while recorder._queue:
            await asyncio.sleep(0.05)
    await recorder.close(4000)
    heard, _ = read(tmp_path / "call.wav")
    assert (heard[:480, 0] == 7).all() and (heard[:, 1] == 9).all()


async def test_interrupted_speech_ends_where_it_was_cut(tmp_path, writer):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    for number in range(100):
        recorder.caller(number * FRAME_MS, frame(1))
        if number < 45:
            recorder.agent(number * FRAME_MS + 100, frame(2))  # 100 ms ahead of the clock
        if number == 45:
            recorder.cut(905.0)
        if number >= 60:
            recorder.agent(number * FRAME_MS, frame(3))
    await recorder.close(2000)
    right = read(tmp_path / "call.wav")[0][:, 1]
    assert set(right[100 * 24 : 905 * 24]) == {2}
    assert not right[905 * 24 : 1200 * 24].any()
    assert set(right[1200 * 24 :]) == {3}


async def test_padded_and_joined_pieces_of_any_length_come_out_whole(tmp_path, writer):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_16K, writer)
    samples = np.arange(16_000, dtype="<i2")
    at = 0
    for size in [1, 2, 3, 160, 319, 320, 321, 5000, 9874]:
        recorder.agent(at / 16, base64.b64encode(samples[at : at + size].tobytes()))
        at += size
    assert at == 16_000
    await recorder.close(1000)
    assert (read(tmp_path / "call.wav")[0][:, 1] == samples).all()


async def test_it_can_be_played_in_the_middle_of_the_call(tmp_path, writer):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    for number in range(200):
        recorder.caller(number * FRAME_MS, frame(1))
    await until(lambda: (tmp_path / "call.wav").exists() and recorder._wav.written > 2900 * 24)
    heard, _ = read(tmp_path / "call.wav")
    assert len(heard) <= (199 * FRAME_MS - module.HOLD_MS) * 24
    assert heard[:, 0].all()
    await recorder.close(4000)


async def test_many_calls_share_one_thread_and_never_a_sample(tmp_path, writer):
    recorders = [Recorder(tmp_path / f"{n}.wav", Codec.PCM16_8K, writer) for n in range(20)]
    for number in range(100):
        for value, recorder in enumerate(recorders, 1):
            recorder.caller(number * FRAME_MS, frame(value, Codec.PCM16_8K))
            recorder.agent(number * FRAME_MS, frame(-value, Codec.PCM16_8K))
        if number % 20 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*(recorder.close(2000) for recorder in recorders))
    for value in range(1, 21):
        heard, _ = read(tmp_path / f"{value - 1}.wav")
        assert (heard == [value, -value]).all() and len(heard) == 16_000


async def test_a_disk_that_is_full_fails_the_recording_and_nothing_else(tmp_path, writer):
    full = Recorder(tmp_path / "full.wav", Codec.PCM16_24K, writer)
    good = Recorder(tmp_path / "good.wav", Codec.PCM16_24K, writer)
    (tmp_path / "full.wav").symlink_to("/dev/full")
    full._wav._file = os.open("/dev/full", os.O_WRONLY)  # every write: no space left on device
    for number in range(200):
        full.caller(number * FRAME_MS, frame(1))
        good.caller(number * FRAME_MS, frame(1))
    await until(lambda: full.failed)
    assert full.failed == "disk-full"
    full.caller(4000, frame(1))
    assert full.dropped == 1
    assert await full.close(4000) == ("full.wav", 0)
    assert await good.close(4000) == ("good.wav", 4000)
    assert good.failed == ""


async def test_a_folder_that_cannot_be_made_fails_the_recording(tmp_path, writer):
    (tmp_path / "file").write_text("")
    recorder = Recorder(tmp_path / "file" / "call.wav", Codec.PCM16_24K, writer)
    recorder.caller(0, frame(1))
    await recorder.close(100)
    assert recorder.failed.startswith("os-error-")


async def test_garbage_in_the_audio_fails_this_recording(tmp_path, writer):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, writer)
    recorder.caller(0, b"A")
    assert (await recorder.close(100))[1] == 0
    assert recorder.failed == "bad-audio"


class StuckWriter(RecordingWriter):
    """As if its thread hung in a write for ever."""

    def add(self, recorder):
        pass


async def test_a_stuck_disk_neither_holds_the_call_nor_grows(tmp_path):
    recorder = Recorder(tmp_path / "call.wav", Codec.PCM16_24K, StuckWriter())
    big = b"A" * 100_000
    for number in range(100):
        recorder.caller(number, big)
    assert sum(len(data) for _, _, data in recorder._queue) <= module.QUEUE_BYTES + len(big)
    assert recorder.dropped > 50
    await recorder.close(1000, within_s=0.01)
    assert recorder.failed == "slow-disk"


async def test_a_recording_that_breaks_leaves_the_others_alone(tmp_path, writer):
    broken = Recorder(tmp_path / "broken.wav", Codec.PCM16_24K, writer)
    good = Recorder(tmp_path / "good.wav", Codec.PCM16_24K, writer)
    broken.caller(float("nan"), frame(1))
    good.caller(0, frame(1))
    await broken.close(20)
    assert broken.failed == "internal"
    assert await good.close(20) == ("good.wav", 20)


def placed(arrivals):
    clock = CallerClock()
    return [clock.place(at, 20.0) for at in arrivals]


def test_jitter_makes_no_seams():
    jitter = [0, 7, 1, 15, 3, 0, 19, 2] * 20
    starts = placed([100 + number * 20 + late for number, late in enumerate(jitter)])
    assert starts == [100 + number * 20 for number in range(len(jitter))]


def test_a_stall_that_delivers_everything_late_moves_nothing():
    arrivals = [number * 20 for number in range(50)]
    arrivals += [1600] * 30 + [number * 20 for number in range(80, 150)]
    assert placed(arrivals) == [number * 20 for number in range(150)]


def test_a_hole_in_the_stream_is_noticed_within_half_a_second_or_so():
    arrivals = [number * 20 for number in range(50)] + [300 + number * 20 for number in range(50, 150)]
    starts = placed(arrivals)
    assert starts[-1] == arrivals[-1]
    assert starts[110:] == arrivals[110:]


def test_a_long_hole_is_noticed_at_once():
    assert placed([0, 20, 5000, 5020]) == [0, 20, 5000, 5020]


def test_a_sender_whose_clock_is_fast_is_pulled_back():
    arrivals = [number * 19.0 for number in range(3000)]
    assert max(abs(start - at) for start, at in zip(placed(arrivals), arrivals, strict=True)) < 100


def test_running_speech_has_no_seams_but_a_pause_is_kept():
    clock = AgentClock()
    assert [clock.place(at, 20.0) for at in (100, 121.5, 139, 500, 30)] == [100, 120, 140, 500, 30]
