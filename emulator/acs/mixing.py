"""Mixing frames of PCM16LE mono, and carrying them between 16 and 24 kHz."""

from collections.abc import Sequence

import numpy

type Frame = bytes | None
"""20 ms of PCM16LE mono, or None: silence that costs nothing."""

FILTER_TAPS = 63
COMMON_HZ = 48_000
CUTOFF_HZ = 7_400
"""Between the two rates everything above the lower one's reach is filtered out."""


def _samples(pcm: bytes) -> numpy.ndarray:
    return numpy.frombuffer(pcm, "<i2").astype(numpy.int32)


def _bounded(total: numpy.ndarray) -> bytes:
    return bytes(numpy.clip(total, -32768, 32767).astype("<i2").tobytes())


def mix(frames: Sequence[Frame]) -> Frame:
    """All frames on top of each other, bounded to 16 bits; a lone frame is handed on as it is. All have one length."""
    loud = [frame for frame in frames if frame is not None]
    if len(loud) < 2:
        return loud[0] if loud else None
    total = _samples(loud[0])
    for frame in loud[1:]:
        total += numpy.frombuffer(frame, "<i2")
    return _bounded(total)


def everybody_else(frames: Sequence[Frame]) -> list[Frame]:
    """For each participant what all the others say. While at most one speaks, and between two, nothing is computed."""
    loud = [index for index, frame in enumerate(frames) if frame is not None]
    if not loud:
        return list(frames)
    if len(loud) == 1:
        only = loud[0]
        return [None if index == only else frames[only] for index in range(len(frames))]
    if len(loud) == 2:
        first, second = loud
        both = mix(frames) if len(frames) > 2 else None
        heard: list[Frame] = [both] * len(frames)
        heard[first], heard[second] = frames[second], frames[first]
        return heard
    samples = {index: _samples(frame) for index in loud if (frame := frames[index]) is not None}
    total = sum(samples.values(), start=numpy.zeros_like(samples[loud[0]]))
    whole = _bounded(total) if len(loud) < len(frames) else None
    return [_bounded(total - samples[index]) if index in samples else whole for index in range(len(frames))]


class Resampler:
    """Carries a stream of 20 ms frames from one rate to the other (16 and 24 kHz): a filter at 48 kHz, 0.7 ms late.

    Args:
        source: sample rate of what comes (Hz).
        target: sample rate of what is wanted (Hz).
    """

    def __init__(self, source: int, target: int) -> None:
        self._up = COMMON_HZ // source
        self._down = COMMON_HZ // target
        self._quiet = bytes(source * 2 // 50)
        middle = (FILTER_TAPS - 1) / 2
        at = numpy.arange(FILTER_TAPS) - middle
        low = 2 * CUTOFF_HZ / COMMON_HZ * numpy.sinc(2 * CUTOFF_HZ / COMMON_HZ * at)
        taps = low * numpy.hamming(FILTER_TAPS)
        self._taps = taps / taps.sum() * self._up
        self._past = numpy.zeros(FILTER_TAPS - 1)

    def convert(self, frame: Frame) -> Frame:
        """The frame at the other rate."""
        if frame is None:
            if not self._past.any():
                return None
            frame = self._quiet
        samples = numpy.frombuffer(frame, "<i2")
        spread = numpy.zeros(len(samples) * self._up)
        spread[:: self._up] = samples
        whole = numpy.concatenate((self._past, spread))
        self._past = whole[-(FILTER_TAPS - 1) :]
        return _bounded(
            numpy.rint(numpy.convolve(whole, self._taps, "valid")[:: self._down]).astype(numpy.int32)
        )
