"""Finds speech in a participant's frames: a state machine that counts 20 ms frames."""

from collections import deque
from typing import Literal

from emulator.phone.audio import FRAME_S, is_loud

BEFORE_FRAMES = 15
"""So much before the first loud frame belongs to the utterance (300 ms)."""
SPEECH_FRAMES = 5
"""So many loud frames (100 ms) are speech; less is a noise."""
LONGEST_FRAMES = 1500
"""An utterance ends here (30 s), whatever comes."""

type Happened = Literal["began", "ended", "noise"]


class Utterances:
    """Cuts what somebody says into utterances.

    Args:
        end_silence_s: an utterance is over after so much silence (s).
        frame_bytes: of 20 ms.

    Attributes:
        ago_s: how long ago the present utterance began (s).
    """

    def __init__(self, end_silence_s: float, frame_bytes: int) -> None:
        self._silence = bytes(frame_bytes)
        self._end_frames = max(1, round(end_silence_s / FRAME_S))
        self._before: deque[bytes] = deque(maxlen=BEFORE_FRAMES)
        self._frames: list[bytes] = []
        self._loud = 0
        self._quiet = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._loud >= SPEECH_FRAMES

    @property
    def ago_s(self) -> float:
        """How long ago the present utterance, or the last one, began (s)."""
        return len(self._frames) * FRAME_S

    @property
    def pcm(self) -> bytes:
        """The present utterance, or the last one."""
        return b"".join(self._frames)

    def frame(self, pcm: bytes | None) -> Happened | None:
        """The next 20 ms; tells what happened with it."""
        loud = pcm is not None and is_loud(pcm)
        if not self._loud and not loud:
            self._before.append(pcm or self._silence)
            return None
        if not self._loud:
            self._frames = list(self._before)
            self._before.clear()
            self._quiet = 0
        self._frames.append(pcm or self._silence)
        self._loud += loud
        self._quiet = 0 if loud else self._quiet + 1
        if loud and self._loud == SPEECH_FRAMES:
            return "began"
        if self._quiet >= self._end_frames or len(self._frames) >= LONGEST_FRAMES:
            ended: Happened = "ended" if self.speaking else "noise"
            self._loud = 0
            return ended
        return None
