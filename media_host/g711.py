"""G.711 mu-law, exact: the telephone network's 8 kHz format of one byte a sample (ITU-T G.711, table 2a).

The table is built from the recommendation's decision values; coding and decoding are one look-up a sample.
"""

from typing import Final

import numpy as np
import numpy.typing as npt


def _decision_values() -> npt.NDArray[np.int64]:
    """x_0 to x_128 in units of the 14-bit scale: eight segments, each with steps twice as wide as the one before."""
    values = [0, *range(1, 32, 2)]
    for segment in range(1, 8):
        step = 2 << segment
        values += [values[-1] + step * (number + 1) for number in range(16)]
    return np.array(values, dtype=np.int64)


_DECISIONS: Final = _decision_values()
_OUTPUTS: Final = np.array([0, *((_DECISIONS[1:-1] + _DECISIONS[2:]) // 2)], dtype=np.int64)


def _decoder() -> npt.NDArray[np.int16]:
    """PCM16 (14 bits, shifted up by 2) of each code; bit 7 is the sign, and all bits are sent inverted."""
    codes = np.arange(256) ^ 0xFF
    magnitudes = _OUTPUTS[codes & 0x7F] * 4
    samples: npt.NDArray[np.int16] = np.where(codes & 0x80, -magnitudes, magnitudes).astype(np.int16)
    return samples


def _encoder() -> npt.NDArray[np.uint8]:
    """The code of each PCM16 value, indexed by the value as unsigned; what is too loud is clipped."""
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int64)
    numbers = np.searchsorted(_DECISIONS * 4, np.abs(samples), side="right") - 1
    codes = np.minimum(numbers, 127) | np.where(samples < 0, 0x80, 0)
    return (codes ^ 0xFF).astype(np.uint8)


_DECODE: Final = _decoder()
_ENCODE: Final = _encoder()


def decode(ulaw: bytes) -> bytes:
    """PCM16LE, two bytes for each byte of mu-law."""
    pcm: bytes = _DECODE[np.frombuffer(ulaw, np.uint8)].astype("<i2").tobytes()
    return pcm


def encode(pcm: bytes) -> bytes:
    """Mu-law, one byte for each sample of PCM16LE.

    Raises:
        ValueError: `pcm` does not hold whole samples.
    """
    codes: bytes = _ENCODE[np.frombuffer(pcm, "<u2")].tobytes()
    return codes
