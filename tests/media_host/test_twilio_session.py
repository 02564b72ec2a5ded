"""A session on the Twilio line, on the virtual clock, against an end that plays what it gets and sends marks back."""

import base64
import wave

import numpy as np
import pytest

from media_host.agents.base import SpeechStarted, ToolCall
from media_host.g711 import decode
from media_host.recorder import RecordingWriter
from shared.calls.events import EventKind
from tests.media_host.test_secure_digits import PatientRecorder
from tests.support import twilio_end as they
from tests.support.session_world import virtual
from tests.support.twilio_end import FRAME
from tests.support.twilio_session import ULAW, both, delay, over, send, speech, twilio


@both
@virtual
async def test_audio_both_ways(codec):
    async with twilio(codec=codec) as world:
        send(world, *(they.media(n=n) for n in range(2, 52)))
        heard = b"".join(base64.b64decode(data) for data in world.agent.heard)
        assert len(heard) == codec.bytes_per_ms * 1000
        if codec is ULAW:
            assert world.agent.heard == [FRAME.encode()] * 50
        pcm = world.agent.speak(700, fill=3)
        await world.run(2)
        assert len(world.wire.audio) == 8 * 700
        if codec is ULAW:
            assert world.wire.audio == pcm
        assert world.agent.turns == ["t1"]


# --- marks


@both
@pytest.mark.parametrize("path_ms", [40.0, 260.0])
@virtual
async def test_marks_tell_how_long_the_way_is(codec, path_ms):
    async with twilio(codec=codec) as world:
        world.wire.path_ms = path_ms
        assert delay(world) == 150
        world.agent.speak(3000)
        await world.run(2)
        assert abs(delay(world) - path_ms) <= 25


@both
@virtual
async def test_barge_in_is_clear_first_and_what_was_heard_is_known(codec):
    async with twilio(codec=codec) as world:
        world.wire.path_ms = 260.0
        world.agent.speak(5000, end=False)
        await world.run(2)
        before = len(world.wire.sent)
        world.agent.host.event(SpeechStarted(60))
        late = base64.b64encode(bytes(codec.bytes_per_ms * 400))
        world.agent.host.audio("t1", late)  # on its way when it was interrupted
        await world.run(0)
        assert world.wire.sent[before:] == ["clear"]
        [[heard]] = world.agent.flushes
        assert abs(heard.heard_ms - len(world.wire.audio) / 8) <= 30
        known = delay(world)
        await world.run(1)
        assert abs(delay(world) - known) <= 25  # the marks that came back at once told nothing
        world.agent.speak(600, "t2")
        await world.run(2)
        assert world.agent.turns == ["t2"] and abs(delay(world) - 260) <= 25
        assert len(world.events(EventKind.BARGE_IN)) == 1


@virtual
async def test_marks_that_never_come_back_and_strange_ones_do_no_harm():
    async with twilio() as world:
        world.wire.echoes = False
        world.agent.speak(3000)
        send(world, they.mark("g9.9"), they.mark("hello"))
        await world.run(6)
        assert world.agent.turns == ["t1"]


# --- what the host does in a call


@both
@virtual
async def test_the_hosts_own_ear_hears_speech_for_an_agent_that_does_not(codec):
    async with twilio("mulaw: true", codec, detects_speech=False) as world:
        world.agent.speak(20_000, end=False)
        for n, frame in enumerate(speech(level=30)):  # somebody far away
            send(world, they.media(frame, n=n + 2))
            await world.run(0.02)
        assert world.wire.sent.count("clear") == 0
        for n, frame in enumerate(speech()):
            send(world, they.media(frame, n=n + 2))
            await world.run(0.02)
        assert world.wire.sent.count("clear") == 1 and world.agent.flushes


@virtual
async def test_no_keys_can_be_pressed_on_this_line():
    async with twilio("mulaw: true\ntools: []") as world:
        result = await world.session._actions.send_dtmf("1234")
        assert "error" in result and world.control.asked == []


@both
@virtual
async def test_secret_digits_are_heard_by_nobody_and_recorded_as_silence(codec, tmp_path):
    writer = RecordingWriter()
    recorder = PatientRecorder(tmp_path / "call.wav", codec, writer)
    card = (
        "mulaw: true\nrecording: true\nsecure_digits:\n  card: {min_digits: 4, max_digits: 4, timeout_s: 5}\n"
    )
    async with twilio(card, codec, recorder=recorder) as world:
        for n in range(25):
            send(world, they.media(n=n + 2))
            await world.run(0.02)
        world.agent.host.event(ToolCall("1", "collect_digits", {"name": "card"}))
        await world.run(0.05)
        before = len(world.agent.heard)
        for key in "4711":
            send(world, they.dtmf(key))
            for n in range(5):
                send(world, they.media(n=n + 50))
                await world.run(0.02)
        assert len(world.agent.heard) == before and world.agent.keys == []
        await world.run(1)
        assert world.agent.results == [("1", {"status": "collected", "digits": 4})]
        send(world, they.stop())
        record, _ = await over(world)
        assert "4711" not in str(record.to_json())
    writer.close()
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getframerate() == codec.sample_rate
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 0]
    heard = np.count_nonzero(np.abs(sound.astype(int)) > 100) / codec.sample_rate
    assert 0.45 < heard < 0.51  # the 25 frames of before, and not the 20 with the keys
    assert np.abs(sound.astype(int)).max() < 6500  # their own loudness


@virtual
async def test_both_sides_are_recorded_from_mu_law(tmp_path):
    writer = RecordingWriter()
    recorder = PatientRecorder(tmp_path / "call.wav", ULAW, writer)
    async with twilio("mulaw: true\nrecording: true", recorder=recorder) as world:
        for n in range(100):
            send(world, they.media(n=n + 2))
            if n == 20:
                world.agent.speak(600, fill=0x10)
            await world.run(0.02)
        send(world, they.stop())
        await over(world)
    writer.close()
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getframerate() == 8000 and abs(file.getnframes() - 16_000) < 800
        caller, agent = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    assert caller[8000] == np.frombuffer(decode(b"\x2a"), "<i2")[0]
    spoken = np.flatnonzero(agent)
    assert len(spoken) == 600 * 8 and agent[spoken[0]] == np.frombuffer(decode(b"\x10"), "<i2")[0]


@both
@virtual
async def test_a_beep_is_a_beep(codec):
    async with twilio(codec=codec) as world:
        world.session._voice.beep()
        await world.run(1)
        sound = np.frombuffer(decode(world.wire.audio), "<i2").astype(float)[:2000]
        loudest = np.abs(np.fft.rfft(sound)).argmax() * 8000 / len(sound)
        assert abs(loudest - 420) < 5 and np.abs(sound).max() > 5000


@virtual
async def test_a_hundred_calls_leave_nothing_behind():
    """Each `open_session` looks for orphan tasks itself."""
    for n in range(100):
        async with twilio() as world:
            world.agent.speak(300)
            if n % 3 == 0:
                world.session.on_close(1006, "")
            elif n % 3 == 1:
                send(world, they.stop())
            else:
                world.agent.finish()
            await world.task
