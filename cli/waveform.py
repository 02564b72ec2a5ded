"""A stereo recording as an envelope: how loud each side is every 10 ms, and when it speaks."""

import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shared.errors import InvalidInput

BLOCK_S = 0.01
_CHUNK_BLOCKS = 3000  # 30 s at a time: a long recording is never in memory as a whole
_QUIETEST = 300  # of 32767; below that nobody speaks
_RELATIVE = 0.06  # of the side's own peak
_SHORTEST_S = 0.12
_LONGEST_PAUSE_S = 0.7

type Peaks = npt.NDArray[np.int32]
"""One value for each block: the largest absolute sample in it, 0 to 32768."""


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody speaks from `start` to `end`, in seconds since the recording's start."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Waveform:
    """Both sides of a call.

    Attributes:
        caller: peaks of the left channel.
        agent: peaks of the right channel, as long as `caller`.
        seconds: the recording's length.
    """

    caller: Peaks
    agent: Peaks
    seconds: float


def read_waveform(path: Path) -> Waveform:
    """Read a stereo PCM16 WAV file (caller left, agent right) piece by piece.

    Raises:
        InvalidInput: it is no such file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (2, 2):
                raise InvalidInput(path.name, "a stereo WAV file with 16-bit samples")
            block = max(1, round(file.getframerate() * BLOCK_S))
            pieces = [np.zeros((0, 2), np.int32)]
            while data := file.readframes(block * _CHUNK_BLOCKS):
                pieces.append(_peaks(data, block))
            caller, agent = np.concatenate(pieces).T
            return Waveform(caller, agent, file.getnframes() / file.getframerate())
    except (wave.Error, EOFError) as error:
        raise InvalidInput(path.name, f"a stereo WAV file with 16-bit samples ({error})") from None


def _peaks(data: bytes, block: int) -> npt.NDArray[np.int32]:
    """Peaks of both channels, shape (blocks, 2); the last block may be shorter."""
    samples = np.abs(np.frombuffer(data[: len(data) // 4 * 4], "<i2").astype(np.int32)).reshape(-1, 2)
    missing = -len(samples) % block
    padded = np.concatenate([samples, np.zeros((missing, 2), np.int32)])
    result: npt.NDArray[np.int32] = padded.reshape(-1, block, 2).max(axis=1)
    return result


def speech(peaks: Peaks) -> list[Span]:
    """When a side speaks: louder than its own noise, pauses up to 0.7 s bridged, clicks under 0.12 s left out."""
    if not len(peaks):
        return []
    loud = np.flatnonzero(peaks > max(_QUIETEST, _RELATIVE * int(peaks.max())))
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) * BLOCK_S > _LONGEST_PAUSE_S)
    firsts = loud[np.concatenate([[0], breaks + 1])]
    lasts = loud[np.concatenate([breaks, [len(loud) - 1]])]
    spans = [
        Span(float(first) * BLOCK_S, float(last + 1) * BLOCK_S)
        for first, last in zip(firsts, lasts, strict=True)
    ]
    return [span for span in spans if span.end - span.start >= _SHORTEST_S]


def columns(peaks: Peaks, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """The peak between each pair of neighbouring `edges` (s): one value for each pixel column; 0 outside the recording."""
    indices = np.clip(np.round(edges / BLOCK_S).astype(int), 0, len(peaks))
    result = np.zeros(len(edges) - 1, np.int32)
    for column, (first, last) in enumerate(pairwise(indices)):
        # A column narrower than a block shows the block that it stands in.
        inside = peaks[first : max(last, first + 1)] if edges[column + 1] > 0 else peaks[:0]
        if len(inside):
            result[column] = inside.max()
    return result
