"""Files to play: WAV to PCM16LE mono at the call's sample rate."""

import io
import wave

import numpy
import soxr

LOWEST_HZ, HIGHEST_HZ = 8000, 48000


class NotPlayable(Exception):
    """The file is no WAV of the kind that the service plays; the text says why."""


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """PCM16LE mono at another sample rate (Hz)."""
    if from_hz == to_hz or not pcm:
        return pcm
    samples = numpy.frombuffer(pcm, "<i2").astype(numpy.float32)
    return bytes(soxr.resample(samples, from_hz, to_hz).round().clip(-32768, 32767).astype("<i2").tobytes())


def read_wav(data: bytes, sample_rate: int) -> bytes:
    """The sound in a WAV file as PCM16LE mono at `sample_rate` Hz.

    The service documents 16 kHz only; any rate from 8 to 48 kHz is taken here.

    Raises:
        NotPlayable: no WAV, not PCM, not mono, not 16 bits, a rate out of bounds, or nothing in it.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as error:
        raise NotPlayable(f"no WAV file: {error or 'it ends too early'}") from None
    if channels != 1 or width != 2:
        raise NotPlayable(f"{channels} channels of {8 * width} bits, not mono of 16 bits")
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise NotPlayable(f"{rate} Hz, not 8000 to 48000")
    if len(frames) < 2:
        raise NotPlayable("there is no sound in it")
    return resample(frames[: len(frames) // 2 * 2], rate, sample_rate)
