"""Mixing frames: bounded, each hears all others, nothing is computed for two; 16 and 24 kHz."""

import numpy
import pytest

from emulator.acs.mixing import Resampler, everybody_else, mix
from emulator.phone.audio import share_at
from tests.support.app import sine


def frame(*samples: int) -> bytes:
    return numpy.array(samples, "<i2").tobytes()


@pytest.mark.parametrize(
    ("frames", "mixed"),
    [
        ([], None),
        ([None, None], None),
        ([None, frame(1, 2)], frame(1, 2)),
        ([frame(1, 2), frame(10, -20)], frame(11, -18)),
        ([frame(30_000, -30_000), frame(30_000, -30_000)], frame(32_767, -32_768)),
        ([frame(1, 1), None, frame(2, 2), frame(3, 3)], frame(6, 6)),
    ],
)
def test_a_mix(frames: list, mixed: bytes | None) -> None:
    assert mix(frames) == mixed


@pytest.mark.parametrize(
    "frames",
    [
        [None, None],
        [frame(1), None],
        [frame(1), frame(2)],
        [frame(1), None, None],
        [frame(1), frame(2), None],
        [frame(1), frame(2), frame(4)],
        [frame(1), frame(2), None, frame(4), None],
        [frame(30_000), frame(30_000), frame(30_000), frame(-30_000)],
    ],
)
def test_each_hears_all_others(frames: list) -> None:
    expected = [mix([one for at, one in enumerate(frames) if at != index]) for index in range(len(frames))]
    assert everybody_else(frames) == expected


def test_between_two_frames_are_handed_on_as_they_are() -> None:
    first, second = frame(1), frame(2)
    heard = everybody_else([first, second])
    assert heard[0] is second
    assert heard[1] is first


@pytest.mark.parametrize(("source", "target"), [(16000, 24000), (24000, 16000)])
def test_a_tone_keeps_its_pitch_and_level_at_the_other_rate(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    pcm, size = sine(1000, 1000, source), source * 2 // 50
    out = b"".join(resampler.convert(pcm[start : start + size]) or b"" for start in range(0, len(pcm), size))
    assert len(out) == target * 2
    assert share_at(out, target, 1000) > 0.99
    samples = numpy.frombuffer(out, "<i2")[1000:-1000]
    assert int(numpy.abs(samples).max()) == pytest.approx(8000, rel=0.02)


def test_what_lies_above_the_lower_rate_does_not_fold_back() -> None:
    resampler = Resampler(24000, 16000)
    pcm = sine(10_500, 400, 24000)
    out = b"".join(resampler.convert(pcm[start : start + 960]) or b"" for start in range(0, len(pcm), 960))
    assert int(numpy.abs(numpy.frombuffer(out, "<i2")[400:]).max()) < 200


def test_silence_stays_silence_after_the_tail() -> None:
    resampler = Resampler(16000, 24000)
    assert resampler.convert(None) is None
    assert resampler.convert(sine(1000, 20, 16000)) is not None
    assert resampler.convert(None) is not None
    assert resampler.convert(None) is None
