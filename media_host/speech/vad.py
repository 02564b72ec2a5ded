"""Is the caller speaking, and when have they finished? Runs in the host's loop on every 20 ms frame, so it is cheap.

pocketsphinx bundles the WebRTC detector; around it stand a level gate that follows a steady noise, a guard against keypad
tones, and a cap on one utterance (`reference/embedded-agent.md`, section 4). Sans-I/O: time is counted in frames.
"""

import binascii
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy

from media_host.speech.keypad import is_key

FRAME_MS = 20
PRE_ROLL_MS = 300
"""Audio kept from before the onset: the first sound of a word comes before the detector is sure."""
START_FRAMES, START_WINDOW = 6, 10
"""Speech begins with 6 speech frames (120 ms) in the last 10 (200 ms)."""
KEY_GUARD_MS = 250
"""No speech for this long around a key: its tone may still be in the audio."""
GATE = 10 ** (-48 / 20) * 32768
"""Frames below -48 dBFS (RMS) are never speech, and are not looked at any further."""
OVER_NOISE = 10 ** (6 / 20)
"""Speech stands 6 dB over the noise."""
NOISE_RISE = 10 ** (3 / 20 / 50)
"""The noise estimate rises by 3 dB a second at most, and falls at once; a pause between two words resets it."""


class Detector(Protocol):
    """What `pocketsphinx.Vad` does for one frame of PCM16."""

    def is_speech(self, frame: bytes) -> bool:
        """Whether this frame sounds like speech."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller began to speak, `ago_ms` ago."""

    ago_ms: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """The caller has finished (or has spoken for too long: `capped`); `pcm` is PCM16LE at the line's rate, lead-in included."""

    pcm: bytes
    capped: bool


class VoiceActivity:
    """Finds utterances in one call's audio.

    Args:
        sample_rate: of the session, 24000, 16000 or 8000 Hz.
        detector: decides about one frame of 20 ms at `detector_rate(sample_rate)` Hz; `pocketsphinx_detector()` in real life.
        decode: makes PCM16LE of what `feed_base64` gets, if that is something else.
    """

    def __init__(
        self, sample_rate: int, detector: Detector, *, decode: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._detector = detector
        self._decode = decode
        self._frame = sample_rate * FRAME_MS // 1000  # samples
        self._step = sample_rate // detector_rate(sample_rate)
        self._rest = b""
        self._pre_roll: deque[bytes] = deque(maxlen=PRE_ROLL_MS // FRAME_MS)
        self._recent: deque[bool] = deque(maxlen=START_WINDOW)
        self._utterance: bytearray | None = None
        self._silent_frames = 0
        self._mute_frames = 0
        self._noise = GATE / OVER_NOISE
        self.hang_ms = 500
        self.max_ms = 8000

    @property
    def speaking(self) -> bool:
        """Between an onset and its utterance."""
        return self._utterance is not None

    def reset(self, mute_ms: int = 0) -> None:
        """Forget what is going on (an utterance in progress too), and hear nothing for `mute_ms`."""
        self._utterance = None
        self._recent.clear()
        self._pre_roll.clear()
        self._mute_frames = max(self._mute_frames, mute_ms // FRAME_MS)

    def key_pressed(self) -> None:
        """A key was pressed: its tone is no speech, neither what was heard of it nor what is still to come."""
        self.reset(KEY_GUARD_MS)

    def feed_base64(self, text: bytes) -> Onset | Utterance | None:
        """One frame as base64 text; what is no base64 counts as silence. See `feed`."""
        try:
            audio = binascii.a2b_base64(text)
        except binascii.Error:
            return None
        return self.feed(audio if self._decode is None else self._decode(audio))

    def feed(self, pcm: bytes) -> Onset | Utterance | None:
        """The next piece of the caller's audio (PCM16LE, usually one frame of 20 ms).

        Returns:
            `Onset` or `Utterance` when this piece completes one. Pieces of several frames give the last of them.
        """
        size = self._frame * 2
        if not self._rest and len(pcm) == size:
            return self._feed_frame(pcm)
        self._rest += pcm
        found: Onset | Utterance | None = None
        while len(self._rest) >= size:
            frame, self._rest = self._rest[:size], self._rest[size:]
            found = self._feed_frame(frame) or found
        return found

    def _feed_frame(self, frame: bytes) -> Onset | Utterance | None:
        if self._mute_frames:
            self._mute_frames -= 1
            return None
        speech = self._is_speech(frame)
        if self._utterance is None:
            return self._look_for_onset(frame, speech)
        return self._follow(self._utterance, frame, speech)

    def _is_speech(self, frame: bytes) -> bool:
        samples = numpy.frombuffer(frame, numpy.int16)
        thin = samples[:: self._step]  # the detector needs no more than the telephone band
        wide = thin.astype(numpy.float32)
        level = float((wide.dot(wide) / len(wide)) ** 0.5)
        loud = level > GATE and level > self._noise * OVER_NOISE
        self._noise = min(level, self._noise * NOISE_RISE) if level > GATE / OVER_NOISE else GATE / OVER_NOISE
        if not loud or not self._detector.is_speech(thin.tobytes()):
            return False
        return self._utterance is not None or not is_key(wide)  # no speech begins with the tone of a key

    def _look_for_onset(self, frame: bytes, speech: bool) -> Onset | None:
        self._pre_roll.append(frame)
        self._recent.append(speech)
        if not speech or sum(self._recent) < START_FRAMES:
            return None
        first = next(index for index, was in enumerate(self._recent) if was)
        ago_ms = (len(self._recent) - first) * FRAME_MS
        self._utterance = bytearray(b"".join(self._pre_roll))
        self._silent_frames = 0
        self._pre_roll.clear()
        self._recent.clear()
        return Onset(ago_ms)

    def _follow(self, utterance: bytearray, frame: bytes, speech: bool) -> Utterance | None:
        utterance += frame
        self._silent_frames = 0 if speech else self._silent_frames + 1
        capped = len(utterance) >= self._frame * 2 * self.max_ms // FRAME_MS
        if not capped and self._silent_frames * FRAME_MS < self.hang_ms:
            return None
        self._utterance = None
        return Utterance(bytes(utterance), capped)


def detector_rate(sample_rate: int) -> int:
    """The rate (Hz) a detector is given for a line of `sample_rate` Hz: every third or second sample, 8 kHz.

    Raises:
        ValueError: neither 24000, 16000 nor 8000 Hz.
    """
    if sample_rate not in (8000, 16000, 24000):
        raise ValueError(f"no detector for {sample_rate} Hz")
    return 8000


def pocketsphinx_detector(mode: Literal[0, 1, 2, 3] = 3) -> Detector:
    """The WebRTC detector in pocketsphinx's wheel, for 20 ms at 8 kHz; `mode` 3 takes least noise for speech.

    Raises:
        ImportError: pocketsphinx is not installed.
    """
    from pocketsphinx import Vad  # optional; without it an agent works by keys alone

    detector: Detector = Vad(mode, 8000, FRAME_MS / 1000)
    return detector
