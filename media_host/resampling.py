"""8 kHz to 16 or 24 kHz and back, piece by piece: a fixed filter of 2 ms, and every piece comes out as long as it went in.

A line must neither hold audio back nor give it in bursts, and one piece after the other must be the same as all at once. A
windowed sinc (Kaiser, 70 dB) split into phases does that with one matrix product a piece; libsoxr's stream works in blocks
and gives 20 ms pieces out in bursts of 40 to 115 ms (measured with soxr 1.1.0, all qualities).
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from media_host.agents.base import Codec

TELEPHONE_HZ: Final = 8000
DELAY_MS: Final = 2.0
"""How much later a sample comes out than it went in (ms): half of the filter's length."""

CUT_HZ: Final = 4000.0
"""The middle of the filter's slope (Hz): the telephone band (300-3400 Hz) lies before the slope, its image (4600 Hz up) behind."""

_BETA: Final = 6.8
"""Of the Kaiser window: 70 dB."""

type Samples = npt.NDArray[np.float32]


@cache
def _filter(factor: int) -> Samples:
    """The low-pass at the higher rate, of unit gain; odd length, so that its delay is a whole number of samples."""
    rate = TELEPHONE_HZ * factor
    half = round(DELAY_MS * rate / 1000)
    times = np.arange(-half, half + 1) / rate
    taps = np.sinc(2 * CUT_HZ * times) * np.kaiser(2 * half + 1, _BETA)
    wanted: Samples = (taps / taps.sum()).astype(np.float32)
    return wanted


@cache
def _phases(factor: int) -> Samples:
    """What each of `factor` output samples takes of the newest input samples: one column each, oldest input first."""
    taps = _filter(factor) * factor  # of `factor` samples only one is not zero
    per_phase = -(-len(taps) // factor)
    padded = np.zeros(per_phase * factor, np.float32)
    padded[: len(taps)] = taps
    phases: Samples = np.ascontiguousarray(padded.reshape(per_phase, factor)[::-1])
    return phases


class Upsampler:
    """From 8 kHz to `factor` times as much; for one call."""

    def __init__(self, factor: int) -> None:
        self._phases = _phases(factor)
        self._before = len(self._phases) - 1
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._past = np.zeros(self._before, np.float32)

    def feed(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """The next piece; `factor` times as many samples come back."""
        known = np.concatenate((self._past, samples), dtype=np.float32)
        self._past = known[len(known) - self._before :]
        return _to_int16((_windows(known, len(self._phases), len(samples), 1) @ self._phases).ravel())


class Downsampler:
    """From `factor` times 8 kHz to 8 kHz; for one call."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._taps = _filter(factor)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._past = np.zeros(len(self._taps) - 1, np.float32)

    def feed(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """The next piece; one sample for each whole `factor` comes back, what is left over waits for the next piece."""
        known = np.concatenate((self._past, samples), dtype=np.float32)
        whole = (len(known) - len(self._taps) + 1) // self._factor
        self._past = known[whole * self._factor :]
        return _to_int16(_windows(known, len(self._taps), whole, self._factor) @ self._taps)


def _windows(samples: Samples, width: int, count: int, step: int) -> Samples:
    """`count` windows of `samples`, `step` apart, as rows; a copy, because the matrix product is faster with one."""
    size = samples.itemsize
    view: Samples = np.ndarray((count, width), np.float32, samples, strides=(step * size, size))
    return np.ascontiguousarray(view)


def factor_of(codec: Codec) -> int:
    """How many times the telephone's 8 kHz the rate of `codec` is."""
    return codec.sample_rate // TELEPHONE_HZ


def _to_int16(samples: Samples) -> npt.NDArray[np.int16]:
    wanted: npt.NDArray[np.int16] = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return wanted
