"""WAV files to PCM."""

import io
import wave

import pytest

from emulator.acs.operations.sounds import NotPlayable, read_wav, resample
from emulator.phone.audio import share_at, tone


def wav(pcm: bytes, rate: int = 16000, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("wanted", [16000, 24000])
def test_a_tone_keeps_its_pitch_and_length_at_any_rate(rate: int, wanted: int) -> None:
    pcm = read_wav(wav(tone(440, 0.5, rate), rate), wanted)
    assert len(pcm) / 2 / wanted == pytest.approx(0.5, abs=0.002)
    assert share_at(pcm, wanted, 440) > 0.97


def test_the_same_rate_is_not_touched() -> None:
    pcm = tone(440, 0.1, 16000)
    assert read_wav(wav(pcm), 16000) == pcm
    assert resample(b"", 8000, 16000) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04 an mp3",
        b"RIFF",
        wav(bytes(100), channels=2),
        wav(bytes(100), width=1),
        wav(bytes(100), rate=4000),
        wav(bytes(100), rate=96000),
        wav(b""),
        wav(bytes(100)).replace(b"\x01\x00\x01\x00", b"\x55\x00\x01\x00", 1),  # MP3 inside a WAV
    ],
)
def test_what_cannot_be_played(data: bytes) -> None:
    with pytest.raises(NotPlayable):
        read_wav(data, 16000)
