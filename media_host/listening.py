"""The host's own ear, for agents that do not tell when the caller speaks, and for people who answer a handover.

Loaded only when it is needed: it decodes every frame.
"""

import logging
from collections.abc import Callable

from media_host import g711
from media_host.agents.base import Codec
from media_host.speech.vad import PRE_ROLL_MS, Onset, Utterance, VoiceActivity, pocketsphinx_detector

log = logging.getLogger(__name__)

SHORT_MS = 2500
"""An answer is not longer than this; whoever talks for longer in one go is a machine."""

BEFORE_MS = 300
"""There is silence of this length before an answer: who was speaking already was not answering."""

AFTER_MS = 700
"""And of this length after it."""

EAR_HANG_MS = 100
"""So long a pause ends what is to be confirmed: two words are one utterance, two coughs are not."""


def voice_activity(codec: Codec) -> VoiceActivity | None:
    """A detector for one call; None when none is installed."""
    try:
        decode = g711.decode if codec is Codec.ULAW_8K else None
        return VoiceActivity(codec.sample_rate, pocketsphinx_detector(), decode=decode)
    except ImportError:
        log.error("nobody listens for speech: pocketsphinx is not installed")
        return None


class Onsets:
    """Tells when the caller begins to speak, and when they have finished.

    Args:
        vad: of this call, fresh.
        started: gets how long ago (ms) the speech began.
        stopped: called afterwards.
    """

    def __init__(
        self, vad: VoiceActivity, started: Callable[[int], None], stopped: Callable[[], None]
    ) -> None:
        self._vad = vad
        self._started = started
        self._stopped = stopped

    def feed(self, data: bytes) -> None:
        """The next frame of the line, base64."""
        match self._vad.feed_base64(data):
            case Onset(ago_ms=ago_ms):
                self._started(ago_ms)
            case Utterance():
                self._stopped()

    def key_pressed(self) -> None:
        """A key's tone is no speech."""
        speaking = self._vad.speaking
        self._vad.key_pressed()
        if speaking:
            self._stopped()


class ShortAnswer:
    """Has a person answered, and not a machine? A person says something short and waits; a voicemail talks on.

    Args:
        vad: of this call, fresh.
        codec: the line's format.
        busy: whether we are speaking: then nothing counts.
        confirmed: called for each short answer.
    """

    def __init__(
        self, vad: VoiceActivity, codec: Codec, busy: Callable[[], bool], confirmed: Callable[[], None]
    ) -> None:
        vad.hang_ms, vad.max_ms = AFTER_MS, SHORT_MS + AFTER_MS + PRE_ROLL_MS
        self._vad = vad
        self._per_ms = codec.bytes_per_ms
        self._busy = busy
        self._confirmed = confirmed
        self._silent_ms = 0.0  # how long nobody has been speaking, us included
        self._answers = False  # what is being said came after silence
        self._machine = False

    def feed(self, data: bytes) -> None:
        """The next frame of the line, base64."""
        if self._busy():
            self._vad.reset()
            self._silent_ms = 0.0
            return
        self._silent_ms += len(data) * 3 // 4 / self._per_ms
        match self._vad.feed_base64(data):
            case Onset(ago_ms=ago_ms):
                self._answers = self._silent_ms - ago_ms >= BEFORE_MS
            case Utterance(capped=capped):
                self._silent_ms = 0.0 if capped else AFTER_MS
                self._machine = self._machine or capped
                if self._answers and not self._machine:
                    self._confirmed()
