"""What a caller says and hears: PCM16LE mono in 20 ms frames. `now` is loop time (s)."""

import functools
import io
import math
import wave
from pathlib import Path

import numpy
import soxr

from shared.errors import InvalidInput

FRAME_S = 0.020
LOUD = 200
"""A frame with a sample beyond this (-44 dBFS) is heard as speech."""
BURST_GAP_S = 0.300
"""Speech after a pause of this length (s) counts as having begun anew."""
MAX_KEPT_S = 600
TONE_AMPLITUDE = 8000


def is_loud(pcm: bytes) -> bool:
    """Whether somebody can be heard in the frame."""
    samples = numpy.frombuffer(pcm, "<i2", len(pcm) // 2)
    return bool(len(samples)) and (int(samples.max()) > LOUD or int(samples.min()) < -LOUD)


@functools.lru_cache(maxsize=8)
def tone(hz: float, seconds: float, sample_rate: int) -> bytes:
    """A sine tone at -12 dBFS; remembered, since many callers may have the same one."""
    time = numpy.arange(round(seconds * sample_rate)) / sample_rate
    return bytes((numpy.sin(2 * math.pi * hz * time) * TONE_AMPLITUDE).astype("<i2").tobytes())


def share_at(pcm: bytes, sample_rate: int, hz: float) -> float:
    """How much of the energy in `pcm` lies at `hz` (0 to 1); 0 for silence. For tests in which each caller has its own tone.

    Looked at in pieces of 100 ms, so that pauses do not blur it: tones that lie 10 Hz apart are told from each other.
    """
    size = sample_rate // 10
    samples = numpy.frombuffer(pcm, "<i2", len(pcm) // 2).astype(numpy.float64)
    pieces = numpy.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    energy = float((pieces * pieces).sum())
    if energy == 0:
        return 0.0
    wave_at = numpy.exp(2j * math.pi * hz * numpy.arange(size) / sample_rate)
    found = float((numpy.abs(pieces @ wave_at) ** 2).sum())
    return min(1.0, 2 * found / (size * energy))


def wav(pcm: bytes, sample_rate: int) -> bytes:
    """`pcm` as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm)
    return out.getvalue()


def read_wav(path: Path, sample_rate: int) -> bytes:
    """A WAV file (PCM, 16 bit) as mono at `sample_rate`; channels are mixed.

    Raises:
        InvalidInput: there is no such file, or it is none that can be read; names the file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InvalidInput(path.name, "a WAV file with 16 bit samples")
            channels, rate = file.getnchannels(), file.getframerate()
            data = file.readframes(min(file.getnframes(), MAX_KEPT_S * rate))
    except OSError as error:
        raise InvalidInput(path.name, f"a WAV file ({error.strerror})") from None
    except (wave.Error, EOFError):
        raise InvalidInput(path.name, "a WAV file (PCM)") from None
    samples = numpy.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1) / 32768
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    return bytes((samples * 32767).round().clip(-32768, 32767).astype("<i2").tobytes())


class Track:
    """One side of the call, kept for 10 minutes at most; silence is kept too, so both sides stay on the same clock."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._silence = bytes(int(sample_rate * FRAME_S) * 2)
        self._kept = bytearray()
        self._limit = MAX_KEPT_S * sample_rate * 2

    def add(self, pcm: bytes | None) -> None:
        """Add 20 ms; None is silence."""
        if len(self._kept) < self._limit:
            self._kept += self._silence if pcm is None else pcm

    @property
    def size(self) -> int:
        """Bytes that were kept."""
        return len(self._kept)

    @property
    def pcm(self) -> bytes:
        """What was kept."""
        return bytes(self._kept)

    def wav(self) -> bytes:
        """What was kept, as a WAV file."""
        return wav(self.pcm, self.sample_rate)


class Mouth:
    """Speaks PCM frame by frame.

    Attributes:
        onset_at: when the first loud frame of the present text went out, or None.
    """

    def __init__(self) -> None:
        self.onset_at: float | None = None
        self.spoken_ms = 0.0
        self._pcm = b""
        self._size = 1
        self._next = 0

    def say(self, pcm: bytes, sample_rate: int) -> None:
        """Begin with `pcm` at the next frame; what was being said is broken off."""
        self._size = int(sample_rate * FRAME_S) * 2
        self._pcm = pcm
        self._next = 0
        self.onset_at = None

    @property
    def idle(self) -> bool:
        """Whether all has been said."""
        return self._next >= len(self._pcm)

    def next_frame(self, now: float) -> bytes | None:
        """The next 20 ms, or None when there is nothing to say."""
        start = self._next
        if start >= len(self._pcm):
            return None
        size = self._size
        frame = self._pcm[start : start + size]
        if len(frame) < size:
            frame = frame.ljust(size, b"\0")
        self._next = start + size
        self.spoken_ms += FRAME_S * 1000
        if self.onset_at is None and is_loud(frame):
            self.onset_at = now
        return frame


class Ears:
    """Notices when the other side speaks and when it has fallen silent.

    Attributes:
        onset_at: when it began to speak for the first time since `mark`, or None.
        last_loud_at: the end of the last loud frame, or None.
        flushed_at: when the other side last stopped its own audio, or None.
        waiting_ms: audio that is queued behind what is heard now (ms).
        loud: whether the present frame is loud.
        loud_ms: speech heard in all (ms).
    """

    def __init__(self) -> None:
        self.onset_at: float | None = None
        self.last_loud_at: float | None = None
        self.flushed_at: float | None = None
        self.waiting_ms = 0.0
        self.loud = False
        self.loud_ms = 0.0
        self._in_burst = False

    def mark(self) -> None:
        """Forget that the other side has spoken: only speech that begins from now on counts."""
        self.onset_at = None

    def hear(self, pcm: bytes | None, waiting_ms: float, now: float) -> None:
        """One frame of 20 ms, or None."""
        self.waiting_ms = waiting_ms
        self.loud = pcm is not None and is_loud(pcm)
        if self.loud:
            if not self._in_burst and self.onset_at is None:
                self.onset_at = now
            self._in_burst = True
            self.last_loud_at = now + FRAME_S
            self.loud_ms += FRAME_S * 1000
        elif self._in_burst and self.quiet_s(now) >= BURST_GAP_S:
            self._in_burst = False

    def flush(self, now: float) -> None:
        """The other side threw its queued audio away: what comes next is new speech."""
        self.flushed_at = now
        self._in_burst = False

    def quiet_s(self, now: float) -> float:
        """For how long nothing has been heard (s); infinite before the first sound."""
        return math.inf if self.last_loud_at is None else max(0.0, now + FRAME_S - self.last_loud_at)

    def finished(self, quiet_s: float, now: float) -> bool:
        """Whether it has spoken since `mark`, nothing waits to be played, and it has been quiet for `quiet_s`."""
        return self.onset_at is not None and not self.waiting_ms and self.quiet_s(now) >= quiet_s


class SilenceWatch:
    """The longest stretches in which nothing was heard, and in which neither side spoke (ms)."""

    def __init__(self) -> None:
        self.longest_silence_ms = 0.0
        self.longest_dead_air_ms = 0.0
        self._silence_ms = 0.0
        self._dead_air_ms = 0.0

    def tick(self, heard: bool, said: bool) -> None:
        """20 ms: whether the other side was heard, and whether the caller spoke."""
        step = FRAME_S * 1000
        self._silence_ms = 0.0 if heard else self._silence_ms + step
        self._dead_air_ms = 0.0 if heard or said else self._dead_air_ms + step
        self.longest_silence_ms = max(self.longest_silence_ms, self._silence_ms)
        self.longest_dead_air_ms = max(self.longest_dead_air_ms, self._dead_air_ms)
