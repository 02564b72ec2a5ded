"""What is measured of one call: when it was answered, when the agent first spoke, silences, lost media. Times are ms."""

import time
from typing import Any

from emulator.acs.streaming import Streaming
from emulator.phone.audio import Ears, SilenceWatch
from emulator.phone.story import Story

SILENT_S = 0.5
"""The agent has stopped speaking when nothing was heard for so long (s)."""


class Measured:
    """Belongs to one call; tells the call's story what it notices.

    Attributes:
        answered_ms: from the start of ringing to the answer, or None.
        first_audio_ms: from the answer to the agent's first sound, or None.
        ended_ms: of the story, when the call ended, or None.
        silent_after_loss_ms: how long it was silent after each loss of the media connection.
        watch: silences and dead air.
    """

    def __init__(self, story: Story) -> None:
        self.answered_ms: float | None = None
        self.first_audio_ms: float | None = None
        self.ended_ms: float | None = None
        self.silent_after_loss_ms: list[float] = []
        self.watch = SilenceWatch()
        self._story = story
        self._speaking = False
        self._rang_ms = 0.0
        self._lost_at: float | None = None

    def rings(self) -> None:
        """It begins to ring."""
        self._rang_ms = self._story.elapsed_ms()

    def answered(self) -> None:
        """Somebody answered."""
        self.answered_ms = round(self._story.elapsed_ms() - self._rang_ms, 1)
        self._story.tell("answered", ms=self.answered_ms)

    def media_lost(self, reason: str) -> None:
        """The media connection broke."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        self._story.tell("media_lost", reason=reason)

    def tick(self, ears: Ears, waiting_ms: float, now: float, *, talks: bool) -> None:
        """20 ms of the call have passed.

        Args:
            ears: the caller's, which have heard the frame.
            waiting_ms: of the agent's audio that is still to be played.
            now: monotonic (s), as `ears` knows it.
            talks: the caller speaks.
        """
        self.watch.tick(ears.loud, talks)
        if ears.loud:
            self._loss_over()
            if not self._speaking:
                self._speaks()
        elif self._speaking and not waiting_ms and ears.quiet_s(now) >= SILENT_S:
            self._speaking = False
            self._story.tell("agent_silent", since=round(self._story.elapsed_ms() - SILENT_S * 1000, 1))

    def over(self) -> None:
        """The call has ended."""
        self.ended_ms = self._story.elapsed_ms()
        self._loss_over()

    def _speaks(self) -> None:
        self._speaking = True
        event = self._story.tell("agent_audio")
        if self.first_audio_ms is None and self.answered_ms is not None:
            self.first_audio_ms = round(event["t"] - self._rang_ms - self.answered_ms, 1)

    def _loss_over(self) -> None:
        if self._lost_at is not None:
            self.silent_after_loss_ms.append(round((time.monotonic() - self._lost_at) * 1000, 1))
            self._lost_at = None


def media_measured(streaming: Streaming) -> dict[str, Any]:
    """What was measured of a media connection, for the summary of a call."""
    playout = streaming.playout
    return {
        "dials": streaming.dials,
        "framesSent": streaming.frames_sent,
        "framesDropped": streaming.frames_dropped,
        "messagesReceived": streaming.messages_received,
        "audioReceived": streaming.audio_received,
        "ignored": streaming.ignored,
        "receivedMs": round(playout.received_ms),
        "playedMs": round(playout.played_ms),
        "flushedMs": round(playout.flushed_ms),
        "overflowMs": round(playout.overflow_ms),
        "stops": playout.stops,
        "underruns": playout.underruns,
        "longestQueueMs": round(playout.longest_queue_ms),
    }
