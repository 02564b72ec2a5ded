import wave
from pathlib import Path

import numpy as np
import pytest

from cli.waveform import Span, columns, read_waveform, speech
from shared.errors import InvalidInput

RATE = 8000


def write_wav(path: Path, left: np.ndarray, right: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack([left, right], axis=1).astype("<i2").tobytes())
    return path


def side(seconds: float, *spoken: tuple[float, float], level: int = 10_000) -> np.ndarray:
    samples = np.zeros(int(seconds * RATE), np.int16)
    for start, end in spoken:
        samples[int(start * RATE) : int(end * RATE)] = level
    return samples


def test_sides_length_and_level(tmp_path: Path) -> None:
    found = read_waveform(
        write_wav(tmp_path / "a.wav", side(40.005, (1, 2), level=-32768), side(40.005, (3, 35)))
    )
    assert found.seconds == pytest.approx(40.005)
    assert len(found.caller) == len(found.agent) == 4001  # more than is read at a time
    assert (found.caller[150], found.caller[350], found.agent[150], found.agent[350]) == (32768, 0, 0, 10_000)


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ([], []),
        ([(1, 2)], [Span(1, 2)]),
        ([(1, 2), (2.5, 3)], [Span(1, 3)]),  # a pause within a sentence
        ([(1, 2), (3, 4)], [Span(1, 2), Span(3, 4)]),
        ([(1, 2), (3, 3.05)], [Span(1, 2)]),  # a click
        ([(4, 5)], [Span(4, 5)]),
    ],
)
def test_when_somebody_speaks(tmp_path: Path, spoken: list, expected: list) -> None:
    found = speech(read_waveform(write_wav(tmp_path / "a.wav", side(5, *spoken), side(5))).caller)
    assert [(round(span.start, 2), round(span.end, 2)) for span in found] == [
        (s.start, s.end) for s in expected
    ]


def test_noise_is_no_speech(tmp_path: Path) -> None:
    quiet = side(5, (0, 5), level=200)
    loud_over_noise = np.maximum(side(5, (0, 5), level=500), side(5, (2, 3)))
    found = read_waveform(write_wav(tmp_path / "a.wav", quiet, loud_over_noise))
    assert speech(found.caller) == []
    assert [round(span.end - span.start, 2) for span in speech(found.agent)] == [1.0]


def test_columns_cover_the_recording_and_nothing_else(tmp_path: Path) -> None:
    found = read_waveform(write_wav(tmp_path / "a.wav", side(2, (0.5, 1)), side(2)))
    assert list(columns(found.caller, np.linspace(-1, 3, 9))) == [0, 0, 0, 10_000, 0, 0, 0, 0]
    assert columns(found.caller, np.array([0.701, 0.702, 0.703])).tolist() == [
        10_000,
        10_000,
    ]  # narrower than a block


def test_an_empty_recording(tmp_path: Path) -> None:
    found = read_waveform(write_wav(tmp_path / "a.wav", side(0), side(0)))
    assert (found.seconds, speech(found.caller), columns(found.agent, np.array([0.0, 1.0])).tolist()) == (
        0,
        [],
        [0],
    )


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"no wave file at all, but long enough for a header of one....."]
)
def test_what_is_no_recording_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.wav: expected a stereo WAV file"):
        read_waveform(tmp_path / "a.wav")


def test_mono_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"\0\0" * 10)
    with pytest.raises(InvalidInput):
        read_waveform(tmp_path / "a.wav")
