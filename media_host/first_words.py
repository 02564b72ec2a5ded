"""A person or a machine? By the length of what is said first. Loaded only for outbound calls: it decodes every frame."""

from collections.abc import Callable

from media_host.agents.base import Codec
from media_host.picked_up import AnsweredBy
from media_host.speech.vad import PRE_ROLL_MS, Onset, Utterance, VoiceActivity

MACHINE_MS = 3500
"""Who talks for longer in one go is a machine."""

PAUSE_MS = 1000
"""Silence of this length ends what somebody says; a shorter one is a pause for breath."""

NOTHING_MS = 5000
"""Nobody has said anything for so long after pick-up: then nobody can tell."""


class FirstWords:
    """Decides from the caller's audio, frame by frame; time is counted in frames.

    Args:
        vad: of this call, fresh.
        codec: the line's format.
        decided: called once.
    """

    def __init__(self, vad: VoiceActivity, codec: Codec, decided: Callable[[AnsweredBy], None]) -> None:
        vad.hang_ms, vad.max_ms = PAUSE_MS, MACHINE_MS + PAUSE_MS + PRE_ROLL_MS
        self._vad = vad
        self._per_ms = codec.bytes_per_ms
        self._decided = decided
        self._quiet_ms = 0.0

    def feed(self, data: bytes) -> None:
        """The next frame of the line, base64."""
        match self._vad.feed_base64(data):
            case Onset():
                self._quiet_ms = 0.0
            case Utterance(capped=capped):
                self._decided(AnsweredBy.MACHINE if capped else AnsweredBy.PERSON)
            case None if not self._vad.speaking:
                self._quiet_ms += len(data) * 3 // 4 / self._per_ms
                if self._quiet_ms >= NOTHING_MS:
                    self._decided(AnsweredBy.UNKNOWN)
