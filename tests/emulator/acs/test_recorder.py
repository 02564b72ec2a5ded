"""What is said becomes a WAV: mixed or by channel, at 16 kHz, without the pauses and with the silences."""

import wave
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

from emulator.acs.identifiers import identifier
from emulator.acs.legs import Leg
from emulator.acs.recorder import MAX_CHANNELS, Recorder
from emulator.phone.audio import share_at, tone

ANNA, BERT = Leg(identifier("+14255550100")), Leg(identifier("8:acs:r_u"))


class Studio:
    """A recorder, and frames of tones for it."""

    def __init__(self, folder, channels="mixed", rate=24000, places=None) -> None:
        self.rate = rate
        self.folder = folder
        self.ended = 0
        self.writer = ThreadPoolExecutor(1)
        self.recorder = Recorder(folder, "rec", channels, rate, places or {}, self.writer, self._over)

    def _over(self) -> None:
        self.ended += 1

    def say(self, seconds: float, *spoken: tuple[Leg, float | None]) -> None:
        size = self.rate // 25
        tones = [(leg, tone(hz, seconds, self.rate) if hz else None) for leg, hz in spoken]
        for at in range(0, int(seconds * self.rate) * 2, size):
            self.recorder.frame(0.0, [(leg, pcm[at : at + size] if pcm else None) for leg, pcm in tones])

    def finish(self) -> list[bytes]:
        """The channels, as PCM16LE of 16 kHz."""
        path = self.writer.submit(self.recorder.finish).result()
        self.writer.shutdown()
        assert [file.name for file in self.folder.iterdir()] == ["rec.wav"]
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getsampwidth()) == (16000, 2)
            samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
            return [bytes(channel.tobytes()) for channel in samples.reshape(-1, file.getnchannels()).T]


def seconds(pcm: bytes) -> float:
    return len(pcm) / 32000


@pytest.mark.parametrize("rate", [16000, 24000])
def test_mixed(tmp_path, rate):
    studio = Studio(tmp_path, rate=rate)
    studio.say(1.0, (ANNA, 440), (BERT, None))
    studio.say(0.5, (ANNA, None), (BERT, None))
    studio.say(1.0, (ANNA, 440), (BERT, 1000))
    assert studio.recorder.ms == 2500
    (mixed,) = studio.finish()
    assert seconds(mixed) == 2.5
    assert share_at(mixed[: 32000 * 9 // 10], 16000, 440) > 0.95
    assert not numpy.frombuffer(mixed[32000 + 3200 : 48000 - 3200], "<i2").any()
    both = mixed[48000 + 3200 : -3200]
    assert share_at(both, 16000, 440) == pytest.approx(0.5, abs=0.05)
    assert share_at(both, 16000, 1000) == pytest.approx(0.5, abs=0.05)


def test_unmixed_channels_by_first_word(tmp_path):
    studio = Studio(tmp_path, "unmixed")
    studio.say(0.5, (ANNA, None), (BERT, None))
    studio.say(0.5, (ANNA, None), (BERT, 1000))
    studio.say(0.5, (ANNA, 440), (BERT, 1000))
    bert, anna = studio.finish()
    assert studio.recorder.places == {BERT.raw_id: 0, ANNA.raw_id: 1}
    assert seconds(bert) == seconds(anna) == 1.5
    assert share_at(bert[16000 + 1600 : -1600], 16000, 1000) > 0.95
    assert share_at(anna[32000 + 1600 : -1600], 16000, 440) > 0.95
    assert not numpy.frombuffer(anna[: 32000 - 1600], "<i2").any()


def test_unmixed_channels_by_order(tmp_path):
    studio = Studio(tmp_path, "unmixed", places={ANNA.raw_id: 2})
    studio.say(0.2, (ANNA, 440), (BERT, 1000))
    channels = studio.finish()
    assert len(channels) == 3
    assert [share_at(channel, 16000, hz) > 0.8 for channel, hz in zip(channels, (1000, 1, 440), strict=True)] == [
        True, False, True,
    ]  # fmt: skip
    assert not any(channels[1])


def test_more_speakers_than_channels(tmp_path):
    studio = Studio(tmp_path, "unmixed", rate=16000)
    studio.say(0.1, *((Leg(identifier(f"+1425555010{n}")), 300 + 100 * n) for n in range(MAX_CHANNELS + 2)))
    assert len(studio.finish()) == MAX_CHANNELS


def test_a_pause_leaves_no_gap(tmp_path):
    studio = Studio(tmp_path)
    studio.say(0.4, (ANNA, 440))
    studio.recorder.paused = True
    studio.say(3.0, (ANNA, 2000))
    studio.recorder.paused = False
    studio.say(0.4, (ANNA, 440))
    (mixed,) = studio.finish()
    assert seconds(mixed) == 0.8
    assert share_at(mixed, 16000, 2000) < 0.01


@pytest.mark.parametrize("channels", ["mixed", "unmixed"])
def test_nobody_speaks(tmp_path, channels):
    studio = Studio(tmp_path, channels)
    studio.say(0.3, (ANNA, None), (BERT, None))
    (silence,) = studio.finish()
    assert seconds(silence) == 0.3
    assert not any(silence)


@pytest.mark.parametrize("rate", [16000, 24000])
def test_long_recordings_are_joined_without_a_seam(tmp_path, rate):
    studio = Studio(tmp_path, rate=rate)
    studio.say(21.0, (ANNA, 440))
    (mixed,) = studio.finish()
    assert seconds(mixed) == 21.0
    samples = numpy.frombuffer(mixed, "<i2").astype(int)[160:-160]
    assert abs(numpy.diff(samples)).max() < 1600  # a 440 Hz tone of this loudness never jumps further


def test_the_end_of_the_conversation_and_of_patience(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("emulator.acs.recorder.MAX_FRAMES", 5)
    studio = Studio(tmp_path)
    studio.say(0.2, (ANNA, 440))
    assert (studio.ended, studio.recorder.ms) == (1, 100)
    assert "greatest length" in caplog.text
    studio.recorder.over()
    assert studio.ended == 2
    assert seconds(studio.finish()[0]) == 0.1


def test_a_disk_that_fails_costs_the_piece_and_not_the_call(tmp_path, caplog):
    studio = Studio(tmp_path)
    (tmp_path / "rec.0.pcm").mkdir()
    studio.say(2.0, (ANNA, 440))
    studio.writer.submit(lambda: None).result()
    assert "a recording loses" in caplog.text
    (tmp_path / "rec.0.pcm").rmdir()
    assert seconds(studio.finish()[0]) == 2.0
