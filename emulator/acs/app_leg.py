"""The participant that an app is: what it hears goes to its media connection, what it says comes from there or is played."""

import asyncio
from collections.abc import Callable, Collection

from emulator.acs.conversation import Conversation
from emulator.acs.errors import not_established
from emulator.acs.identifiers import Identifier
from emulator.acs.legs import Leg, Spoken
from emulator.acs.mixing import Frame, Resampler
from emulator.acs.sounds import Sound
from emulator.acs.streaming import Streaming


class AppLeg(Leg):
    """An app in a conversation.

    Args:
        identifier: the app's own user.

    Attributes:
        streaming: its media, or None when none was asked for.
    """

    def __init__(self, identifier: Identifier) -> None:
        super().__init__(identifier)
        self.streaming: Streaming | None = None
        self._in: Resampler | None = None
        self._out: Resampler | None = None

    @property
    def rate_wanted(self) -> int:
        """The sample rate of its media (Hz)."""
        return super().rate_wanted if self.streaming is None else self.streaming.options.sample_rate

    def seat(self) -> Conversation:
        """The conversation.

        Raises:
            RestError: 400/8501: nobody has picked up yet.
        """
        if self.conversation is None:
            raise not_established()
        return self.conversation

    def joined(self, conversation: Conversation) -> None:
        """See `Leg`."""
        super().joined(conversation)
        differs = self.streaming is not None and self.rate_wanted != conversation.rate
        self._in = Resampler(conversation.rate, self.rate_wanted) if differs else None
        self._out = Resampler(self.rate_wanted, conversation.rate) if differs else None
        if self.streaming is not None:
            self.streaming.forget_speakers()

    @property
    def waiting_ms(self) -> float:
        """See `Leg`."""
        queued = self.streaming.playout.queued_ms if self.streaming is not None else 0.0
        if self.conversation is None:
            return queued
        return max(queued, self.conversation.sounds_ms(self))

    def next_frame(self, now: float) -> Frame:
        """See `Leg`."""
        if self.streaming is None:
            return None
        frame = self.streaming.playout.take()
        return frame if self._out is None else self._out.convert(frame)

    def hear(self, pcm: Frame, waiting_ms: float, now: float) -> None:
        """See `Leg`."""
        if self.streaming is not None and not self.wants_each:
            self.streaming.send(pcm if self._in is None else self._in.convert(pcm))

    def hear_each(self, spoken: Spoken, now: float) -> None:
        """See `Leg`."""
        if self.streaming is not None and self.conversation is not None:
            self.streaming.send_each(spoken, self.conversation.rate, now)

    def hear_key(self, key: str) -> None:
        """See `Leg`."""
        if self.streaming is not None:
            self.streaming.press(key)

    def play(
        self,
        pcm: bytes,
        to: Collection[str] | None = None,
        *,
        loop: bool = False,
        on_end: Callable[[bool], None] | None = None,
    ) -> Sound:
        """Play PCM16LE mono at the conversation's rate to everybody else (None), or to the raw ids in `to`. See `Sound`.

        Raises:
            RestError: 400/8501: nobody is there yet.
        """
        conversation = self.seat()
        sound = Sound(pcm, conversation.rate, to, loop=loop, on_end=on_end)
        conversation.play(self, sound)
        return sound

    def play_flushed(self, to: Collection[str] | None) -> None:
        """What waited to be played was thrown away: whoever listens may be told."""
        if self.conversation is not None:
            now = asyncio.get_running_loop().time()
            for other in self.conversation.others(self):
                if to is None or other.raw_id in to or other.known_id in to:
                    other.flushed(now)

    def flushed_media(self, now: float) -> None:
        """The app stopped what it was saying."""
        for other in self._others():
            other.flushed(now)

    def opened_media(self) -> None:
        """The media connection stands."""
        for other in self._others():
            other.media_started()

    def lost_media(self, reason: str) -> None:
        """The media connection broke, or could not be made."""
        for other in self._others():
            other.media_lost(reason)

    def _others(self) -> list[Leg]:
        return [] if self.conversation is None else self.conversation.others(self)
