"""What a caller says and hears, without a clock."""

import math
import wave
from array import array
from pathlib import Path

import pytest

from emulator.phone.audio import Ears, Mouth, SilenceWatch, Track, is_loud, read_wav, share_at, tone
from shared.errors import InvalidInput

RATE = 24000
FRAME = 960
LOUD = tone(440, 0.02, RATE)
QUIET = bytes(FRAME)


@pytest.mark.parametrize(
    ("pcm", "loud"),
    [
        (b"", False),
        (QUIET, False),
        (LOUD, True),
        (b"\x00\x80" * 4, True),
        (b"\x64\x00" * 480, False),
        (LOUD + b"\1", True),
    ],
)
def test_loudness(pcm: bytes, loud: bool) -> None:
    assert is_loud(pcm) is loud


def test_a_tone_has_its_energy_at_its_frequency() -> None:
    pcm = tone(700, 0.3, RATE)
    assert len(pcm) == 0.3 * RATE * 2
    assert share_at(pcm, RATE, 700) > 0.99
    assert share_at(pcm, RATE, 750) < 0.01
    assert share_at(QUIET, RATE, 700) == 0


def test_pauses_do_not_blur_the_share() -> None:
    assert share_at(QUIET * 50 + tone(700, 1, RATE) + QUIET * 50, RATE, 700) > 0.9


def test_the_mouth_speaks_whole_frames_and_then_falls_silent() -> None:
    mouth = Mouth()
    mouth.say(QUIET + LOUD[:100], RATE)
    assert mouth.next_frame(1.0) == QUIET
    assert mouth.onset_at is None
    assert mouth.next_frame(1.02) == LOUD[:100].ljust(FRAME, b"\0")
    assert mouth.onset_at == 1.02
    assert mouth.idle
    assert mouth.next_frame(1.04) is None
    assert mouth.spoken_ms == 40


class Clock:
    """Feeds ears with frames, 20 ms apart."""

    def __init__(self) -> None:
        self.ears = Ears()
        self.now = 100.0

    def hear(self, pcm: bytes | None, ms: int, waiting_ms: float = 0) -> None:
        for _ in range(ms // 20):
            self.now += 0.02
            self.ears.hear(pcm, waiting_ms, self.now)

    def finished(self) -> bool:
        return self.ears.finished(0.5, self.now)


def test_silence_before_the_first_word_is_not_the_end_of_speech() -> None:
    clock = Clock()
    clock.hear(None, 1000)
    assert not clock.finished()
    assert clock.ears.quiet_s(clock.now) == math.inf


def test_speech_is_finished_after_the_quiet_time() -> None:
    clock = Clock()
    clock.hear(LOUD, 200)
    clock.hear(None, 480)
    assert not clock.finished()
    clock.hear(None, 40)
    assert clock.finished()


def test_a_pause_with_audio_still_queued_is_not_the_end() -> None:
    clock = Clock()
    clock.hear(LOUD, 200)
    clock.hear(QUIET, 800, waiting_ms=100)
    assert not clock.finished()


def test_after_a_mark_only_new_speech_counts() -> None:
    clock = Clock()
    clock.hear(LOUD, 200)
    clock.ears.mark()
    clock.hear(LOUD, 200)  # the same sentence goes on
    clock.hear(None, 600)
    assert not clock.finished()
    clock.hear(LOUD, 100)
    clock.hear(None, 600)
    assert clock.finished()


def test_after_a_flush_speech_is_new_at_once() -> None:
    clock = Clock()
    clock.hear(LOUD, 200)
    clock.ears.mark()
    clock.ears.flush(clock.now)
    clock.hear(LOUD, 100)
    clock.hear(None, 520)
    assert clock.finished()


def test_a_short_pause_does_not_begin_new_speech() -> None:
    clock = Clock()
    clock.hear(LOUD, 200)
    began = clock.ears.onset_at
    clock.hear(None, 200)
    clock.hear(LOUD, 200)
    assert clock.ears.onset_at == began


def test_the_longest_silences() -> None:
    watch = SilenceWatch()
    for heard, said, ticks in [(False, False, 5), (True, False, 2), (False, True, 10), (False, False, 3)]:
        for _ in range(ticks):
            watch.tick(heard, said)
    assert watch.longest_silence_ms == 13 * 20
    assert watch.longest_dead_air_ms == 5 * 20


def test_a_track_keeps_silence_and_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.phone.audio.MAX_KEPT_S", 0.06)
    track = Track(RATE)
    for frame in (LOUD, None, LOUD, LOUD):
        track.add(frame)
    assert track.pcm == LOUD + QUIET + LOUD
    assert track.wav()[:4] == b"RIFF"


def write_wav(path: Path, rate: int, channels: int = 1, width: int = 2, seconds: float = 0.5) -> Path:
    samples = array("h", memoryview(tone(440, seconds, rate)).cast("h"))
    doubled = array("h", [value for value in samples for _ in range(channels)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(doubled.tobytes() if width == 2 else bytes(len(samples)))
    return path


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (16000, 1), (8000, 2), (44100, 2)])
def test_wav_files_of_any_rate_become_mono(tmp_path: Path, rate: int, channels: int) -> None:
    pcm = read_wav(write_wav(tmp_path / "a.wav", rate, channels), 24000)
    assert len(pcm) == pytest.approx(24000, rel=0.01)
    assert share_at(pcm, 24000, 440) > 0.9


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"no sound at all"])
def test_a_file_that_is_no_wav_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_wav(path, 24000)
    assert caught.value.field == "a.wav"


def test_only_16_bits(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="16 bit"):
        read_wav(write_wav(tmp_path / "a.wav", 16000, width=1), 24000)
