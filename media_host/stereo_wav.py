"""A stereo WAV file that two clocks write into, and that can be played after a kill.

Samples are placed by position into a window of a few seconds; what is old enough leaves the window for the file. The
header is renewed with every piece, so it never promises more than the file holds.
"""

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 44
FRAME_BYTES = 4
"""One sample of each side."""


def wav_header(sample_rate: int, data_bytes: int) -> bytes:
    """The 44 bytes in front of stereo PCM16 little-endian samples (RIFF/WAVE, format 1).

    Args:
        sample_rate: Hz.
        data_bytes: length of the samples that follow.
    """
    sizes = (16, 1, 2, sample_rate, sample_rate * FRAME_BYTES, FRAME_BYTES, 16)
    riff = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
    return riff + struct.pack("<4sIHHIIHH4sI", b"fmt ", *sizes, b"data", data_bytes)


def open_new(path: Path) -> tuple[int, Path]:
    """Create `path`, or `-2`, `-3` … beside it: nothing is overwritten. Only the owner may read it.

    Returns:
        The file descriptor and the path it was given.

    Raises:
        OSError: it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    for number in range(1, 1000):
        name = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            return os.open(name, flags, 0o600), name
        except FileExistsError:
            continue
    raise FileExistsError(17, "too many recordings of that name", str(path))


class StereoWav:
    """The file. Positions are samples since its start; side 0 is left, 1 right. Every method may raise OSError.

    Args:
        path: where to write; see `open_new`. Nothing is created before the first `flush`.
        sample_rate: Hz.
        window_s: how much is held in memory (s); what is placed later than that pushes the oldest out.
    """

    def __init__(self, path: Path, sample_rate: int, window_s: float = 2.0) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.written = 0
        self._window = np.zeros((int(window_s * sample_rate), 2), dtype="<i2")  # a ring: position % length
        self._file = -1

    def put(self, side: int, position: int, samples: npt.NDArray[np.int16]) -> None:
        """Place samples of one side; what is already in the file is not touched any more."""
        late = self.written - position
        if late > 0:
            samples, position = samples[late:], self.written
        size = len(self._window)
        while len(samples):
            at = position % size
            piece = samples[: min(size - at, size // 2)]
            samples = samples[len(piece) :]
            position += len(piece)
            if position - self.written > size:
                self.flush(position - size)
            self._window[at : at + len(piece), side] = piece

    def clear(self, side: int, position: int) -> None:
        """Silence on one side from `position` on."""
        size = len(self._window)
        start, end = max(position, self.written), self.written + size
        while start < end:
            at = start % size
            count = min(size - at, end - start)
            self._window[at : at + count, side] = 0
            start += count

    def flush(self, position: int) -> None:
        """Write everything before `position`; where nothing was placed there is silence."""
        size = len(self._window)
        while position > self.written:
            at = self.written % size
            count = min(position - self.written, size - at)
            self._append(self._window[at : at + count])
            self._window[at : at + count] = 0
            self.written += count

    def close(self) -> None:
        """Close the file as it is and give the memory back; idempotent. Nothing can be placed afterwards."""
        self._window = self._window[:0].copy()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, frames: npt.NDArray[np.int16]) -> None:
        if self._file < 0:
            self._file, self.path = open_new(self.path)
            os.write(self._file, wav_header(self.sample_rate, 0))
        end = self.written * FRAME_BYTES
        rest = memoryview(frames).cast("B")
        offset = HEADER_BYTES + end
        while rest:
            done = os.pwrite(self._file, rest, offset)
            offset += done
            rest = rest[done:]
        os.pwrite(self._file, wav_header(self.sample_rate, end + len(frames) * FRAME_BYTES), 0)
