"""Is a piece of audio the tone of a telephone's key? Such a tone is no speech, though detectors and recognisers take it for some.

A line tells pressed keys beside the audio, and takes their tones out of it; a tone that comes all the same (from a telephone
system that sends its own, say) must not be heard as a word. It is two tones at once (ITU-T Q.23), a low and a high one.
"""

import numpy
from numpy.typing import NDArray

RATE = 8000
"""Samples a second."""
COUNT = 160
"""Samples of a piece: 20 ms."""

_BINS = 512
_KEYS = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))  # Hz
_OFF = 0.03
"""How far a tone's frequency may be off, with what 20 ms leave open; telephones keep to 1.8 % (ITU-T Q.24)."""
_WIDTH = round(80 * _BINS / RATE)
"""Bins on each side of a tone that hold its energy, after the window."""
_SHARE = 0.85
"""Of a tone's energy, near its two frequencies; of speech it is hardly ever more than a half."""
_EACH = 0.05
"""Of the energy, in the weaker one: telephones send both within some 8 dB."""

_WINDOW = numpy.hanning(COUNT).astype(numpy.float32)


def is_key(samples: NDArray[numpy.float32]) -> bool:
    """Whether all of these `COUNT` samples are the tone of one key."""
    power = numpy.abs(numpy.fft.rfft(samples * _WINDOW, _BINS)) ** 2
    total = float(power.sum())
    shares = [_share(power, tones) for tones in _KEYS]
    return sum(shares) >= _SHARE * total and min(shares) >= _EACH * total > 0


def _share(power: NDArray[numpy.float32], tones: tuple[int, ...]) -> float:
    """The energy around the strongest frequency of a group's range; 0 if none of its tones is there."""
    start, end = (round(hz * _BINS / RATE) for hz in (tones[0] * (1 - _OFF), tones[-1] * (1 + _OFF)))
    peak = start + int(power[start : end + 1].argmax())
    hz = peak * RATE / _BINS
    if not any(abs(hz - tone) <= tone * _OFF for tone in tones):
        return 0.0
    return float(power[peak - _WIDTH : peak + _WIDTH + 1].sum())
