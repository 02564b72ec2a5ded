"""The participants of a conversation: what every leg can do, and the leg that is a telephone."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from emulator.acs.handset import Handset
from emulator.acs.identifiers import Identifier
from emulator.acs.mixing import Frame, Resampler
from emulator.faults import Faults

if TYPE_CHECKING:
    from emulator.acs.calls import Call
    from emulator.acs.conversation import Conversation

PLAIN_SAMPLE_RATE = 16000

type Spoken = Sequence[tuple["Leg", Frame]]
"""What each participant said in these 20 ms."""


class Leg:
    """One participant. Frames go in and out at the conversation's rate; times are loop time (s); nothing here may block.

    Args:
        identifier: who it is.

    Attributes:
        known_as: who it is for the others: an app that was called at a number is that number for them.
        muted: it is not heard.
        on_hold: it is not heard, and hears only what is played to it alone.
        observer: it listens in: a call does not live on for its sake.
        conversation: where it talks, or talked last; None before the first.
        ears: take what this participant says, frame by frame: `(frame, now)`.
        key_listeners: take each key that it presses.
        text_listeners: take the text of what a scripted person begins to say.
        when_gone: called once when it has left its call for good.
    """

    wants_each = False
    """Whether `hear_each` is to be called, too."""

    def __init__(self, identifier: Identifier) -> None:
        self.identifier = identifier
        self.known_as = identifier
        self.muted = False
        self.on_hold = False
        self.observer = False
        self.conversation: Conversation | None = None
        self.ears: list[Callable[[Frame, float], None]] = []
        self.key_listeners: list[Callable[[str], None]] = []
        self.text_listeners: list[Callable[[str], None]] = []
        self.when_gone: list[Callable[[], None]] = []
        self._gone = False

    @property
    def raw_id(self) -> str:
        """Its raw id."""
        return str(self.identifier["rawId"])

    @property
    def known_id(self) -> str:
        """The raw id under which the others know it."""
        return str(self.known_as["rawId"])

    @property
    def rate_wanted(self) -> int:
        """The sample rate (Hz) that a conversation takes which begins with it."""
        return PLAIN_SAMPLE_RATE

    @property
    def connection(self) -> "Call | None":
        """The app's connection that it is, or None."""
        return None

    @property
    def is_gone(self) -> bool:
        """Whether it has left for good."""
        return self._gone

    @property
    def waiting_ms(self) -> float:
        """How much of what it says is already known and waits to be heard (ms)."""
        return 0.0

    def joined(self, conversation: "Conversation") -> None:
        """It has a seat in `conversation` now; everybody who sat down at the same time has one, too."""
        self.conversation = conversation

    def next_frame(self, now: float) -> Frame:
        """What it says now."""
        return None

    def hear(self, pcm: Frame, waiting_ms: float, now: float) -> None:
        """What it hears now; `waiting_ms` more waits to be played."""

    def hear_each(self, spoken: Spoken, now: float) -> None:
        """What the others say now, one by one."""

    def hear_key(self, key: str) -> None:
        """Somebody else's key reaches it."""

    def flushed(self, now: float) -> None:
        """Somebody threw away what waited to be heard."""

    def media_started(self) -> None:
        """An app's media connection stands."""

    def media_lost(self, reason: str) -> None:
        """An app's media connection broke, or could not be made."""

    def roster_changed(self) -> None:
        """Somebody came, went, was muted or put on hold."""

    def press(self, key: str) -> None:
        """It presses a key: everybody else in the conversation gets it."""
        for listener in list(self.key_listeners):
            listener(key)
        if self.conversation is not None and not self._gone:
            for other in self.conversation.others(self):
                other.hear_key(key)

    def hold(self, *, on: bool) -> None:
        """It is put on hold, or taken off."""
        self.on_hold = on
        if self.conversation is not None:
            self.conversation.changed()

    def mute(self) -> None:
        """It is muted by an app."""
        self.muted = True

    def transferred(self, to: str) -> None:
        """It was handed to another address."""

    def saying(self, text: str) -> None:
        """It begins to say this."""
        for listener in list(self.text_listeners):
            listener(text)

    def gone(self, reason: str, by: str) -> None:
        """It has left for good (`reason`, by the `caller`, the `agent`, the `service` or an `other`). Idempotent."""
        if self._gone:
            return
        self._gone = True
        for listener in list(self.when_gone):
            listener()
        self.when_gone.clear()
        self.ears.clear()
        self.key_listeners.clear()
        self.text_listeners.clear()


class PhoneLeg(Leg):
    """A telephone: a scripted person, or somebody outside the emulator.

    Args:
        identifier: its number or user.
        handset: what is at its end.
        faults: of its call.

    Attributes:
        calls: the apps' connections that it has talked to, in order.
    """

    def __init__(self, identifier: Identifier, handset: Handset, faults: Faults) -> None:
        super().__init__(identifier)
        self.handset = handset
        self.faults = faults
        self.calls: list[Call] = []
        self._rate = 0
        self._in: Resampler | None = None
        self._out: Resampler | None = None

    def joined(self, conversation: "Conversation") -> None:
        """The first conversation sets the telephone's rate; in a later one of another rate it is carried over."""
        super().joined(conversation)
        rate = conversation.rate
        self.roster_changed()
        if not self._rate:
            self._rate = rate
            self.handset.answered(rate)
        differs = rate != self._rate
        self._in = Resampler(rate, self._rate) if differs else None
        self._out = Resampler(self._rate, rate) if differs else None

    @property
    def call(self) -> "Call | None":
        """The last app's connection that it talked to, or None."""
        return self.calls[-1] if self.calls else None

    def roster_changed(self) -> None:
        """See `Leg`."""
        if self.conversation is not None:
            for other in self.conversation.others(self):
                if other.connection is not None and other.connection not in self.calls:
                    self.calls.append(other.connection)

    def next_frame(self, now: float) -> Frame:
        """See `Leg`."""
        frame = self.handset.next_frame(now)
        return frame if self._out is None else self._out.convert(frame)

    def hear(self, pcm: Frame, waiting_ms: float, now: float) -> None:
        """See `Leg`."""
        self.handset.hear(pcm if self._in is None else self._in.convert(pcm), waiting_ms, now)

    def hear_key(self, key: str) -> None:
        """See `Leg`."""
        self.handset.heard_key(key)

    def flushed(self, now: float) -> None:
        """See `Leg`."""
        self.handset.flushed(now)

    def media_started(self) -> None:
        """See `Leg`."""
        self.handset.media_started()

    def media_lost(self, reason: str) -> None:
        """See `Leg`."""
        self.handset.media_lost(reason)

    def hold(self, *, on: bool) -> None:
        """See `Leg`."""
        super().hold(on=on)
        self.handset.held(on=on)

    def mute(self) -> None:
        """See `Leg`."""
        super().mute()
        self.handset.muted()

    def transferred(self, to: str) -> None:
        """See `Leg`."""
        self.handset.transferred(to)

    def hang_up(self, reason: str = "caller_hung_up", by: str = "caller") -> None:
        """The person hangs up; with fewer than two left the call ends."""
        if self.conversation is not None and not self._gone:
            left = ("other_hung_up", "other") if by == "caller" else (reason, by)
            self.conversation.leave(self, reason, by, left)

    def gone(self, reason: str, by: str) -> None:
        """See `Leg`."""
        if not self._gone:
            super().gone(reason, by)
            self.handset.over(reason, by)
