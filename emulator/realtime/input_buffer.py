"""The input audio buffer: the caller's audio as it is written, and the turns in it. Sans-I/O: time is counted in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.realtime.errors import ClientError
from emulator.realtime.formats import Format
from media_host.speech.vad import FRAME_MS, Detector, Onset, Utterance, VoiceActivity

SHORTEST_MS = 100
"""Less cannot be committed."""
LONGEST_TURN_MS = 60_000
MAX_KEPT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Started:
    """The caller speaks: from this time on the audio belongs to the turn (ms of audio written, padding included)."""

    start_ms: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The turn is over: its end (ms of audio written, the silence included), and its audio (PCM16LE)."""

    end_ms: int
    pcm: bytes


class InputBuffer:
    """One session's.

    Args:
        format: of the caller's audio.
        detection: the session's turn detection; None leaves it to the client to commit.
        detector: tells speech from noise, see `media_host.speech.vad`.
        written_ms: audio that was written before (ms).
    """

    def __init__(
        self,
        format: Format,
        detection: Mapping[str, Any] | None,
        detector: Detector,
        written_ms: float = 0.0,
    ) -> None:
        self.written_ms = written_ms
        self._format = format
        self._manual = bytearray()
        self._vad: VoiceActivity | None = None
        self._padding_ms = 0
        if detection is not None:
            self._vad = VoiceActivity(format.sample_rate, detector)
            self._vad.hang_ms = int(detection.get("silence_duration_ms", 500))
            self._vad.max_ms = LONGEST_TURN_MS
            self._padding_ms = int(detection.get("prefix_padding_ms", 300))

    @property
    def speaking(self) -> bool:
        """Whether the caller is in the middle of a turn."""
        return self._vad is not None and self._vad.speaking

    def append(self, data: bytes) -> list[Started | Stopped]:
        """Audio in the session's format, of any length; what is found in it, in order."""
        pcm = self._format.to_pcm(data)
        if self._vad is None:
            self.written_ms += self._format.ms(len(data))
            self._manual += pcm
            del self._manual[: max(0, len(self._manual) - MAX_KEPT_MS * self._format.sample_rate * 2 // 1000)]
            return []
        found: list[Started | Stopped] = []
        size = self._format.sample_rate * FRAME_MS // 1000 * 2
        for at in range(0, len(pcm), size):
            piece = pcm[at : at + size]
            self.written_ms += len(piece) / 2 * 1000 / self._format.sample_rate
            match self._vad.feed(piece):
                case Onset(ago_ms=ago_ms):
                    found.append(Started(max(0, round(self.written_ms - ago_ms - self._padding_ms))))
                case Utterance(pcm=spoken):
                    found.append(Stopped(round(self.written_ms), spoken))
        return found

    def commit(self) -> bytes:
        """The client ends the turn: its audio (PCM16LE).

        Raises:
            ClientError: there is too little of it.
        """
        pcm = bytes(self._manual)
        ms = len(pcm) / 2 * 1000 / self._format.sample_rate
        if ms < SHORTEST_MS:
            text = f"The input audio buffer is too small to commit: at least {SHORTEST_MS} ms, but there are {ms:.2f} ms."
            raise ClientError("input_audio_buffer_commit_empty", text)
        self._manual.clear()
        return pcm

    def clear(self) -> None:
        """Forget what was written and not yet committed."""
        self._manual.clear()
        if self._vad is not None:
            self._vad.reset()
