"""A conversation: everybody in it hears everybody else, 20 ms at a time (acs.md 8)."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from emulator.acs.errors import RestError
from emulator.acs.legs import Leg, Spoken
from emulator.acs.mixing import Frame, everybody_else, mix
from emulator.acs.sounds import Sound
from emulator.pacing import Ticker

log = logging.getLogger(__name__)

type Json = dict[str, Any]

MAX_PARTICIPANTS = 350


class Tap(Protocol):
    """Listens to all of a conversation: a recorder. Nothing here may block."""

    def frame(self, now: float, spoken: Spoken) -> None:
        """20 ms: what each participant said, at the conversation's rate."""

    def over(self) -> None:
        """The conversation has ended; called once."""


class Conversation:
    """Legs that talk to each other. It begins to tick with the first leg and ends when fewer than two are left.

    Args:
        server_call_id: as in events and callbacks.
        correlation_id: likewise.
        ticker: the heartbeat of the process.
        rate: sample rate (Hz); 0 leaves it to `join`.

    Attributes:
        legs: who talks.
        over: it has ended.
        when_over: called once at the end.
    """

    def __init__(self, server_call_id: str, correlation_id: str, ticker: Ticker, rate: int = 0) -> None:
        self.server_call_id = server_call_id
        self.correlation_id = correlation_id
        self.rate = rate
        self.legs: list[Leg] = []
        self.over = False
        self.when_over: list[Callable[[], None]] = []
        self._ticker = ticker
        self._taps: list[Tap] = []
        self._sounds: list[tuple[Leg, Sound]] = []

    # --- who is there ---

    def find(self, raw_id: str) -> Leg | None:
        """The participant, or None; an app is found by the number at which the others know it, too."""
        return next((leg for leg in self.legs if raw_id in (leg.raw_id, leg.known_id)), None)

    def others(self, leg: Leg) -> list[Leg]:
        """Everybody but `leg`."""
        return [other for other in self.legs if other is not leg]

    def roster(self, viewer: Leg | None = None) -> list[Json]:
        """CallParticipant objects, as `viewer` sees them."""
        return [participant(leg, viewer) for leg in self.legs]

    def require_room(self) -> None:
        """See that one more can come in.

        Raises:
            RestError: 400/8523: there are 350 participants already (acs.md 7; the code is guessed).
        """
        if len(self.legs) >= MAX_PARTICIPANTS:
            raise RestError(400, "8523", f"A call has at most {MAX_PARTICIPANTS} participants.")

    def join(self, *legs: Leg) -> None:
        """Take in new participants, all at once."""
        there = list(self.legs)
        if not self.legs:
            self._ticker.add(self.tick)
        self.legs.extend(legs)
        for leg in legs:
            leg.joined(self)
        for leg in there:
            leg.roster_changed()

    def leave(self, leg: Leg, reason: str, by: str, left: tuple[str, str] | None = None) -> None:
        """A participant goes for good. `left` is the reason that the others are told if the call ends with it."""
        if leg in self.legs:
            self._remove(leg)
            leg.gone(reason, by)
            self.settle(*(left or (reason, by)))

    def release(self, leg: Leg) -> None:
        """A participant goes to another conversation; `settle` is for the caller to do."""
        if leg in self.legs:
            self._remove(leg)

    def settle(self, reason: str, by: str) -> None:
        """After somebody went: tell the others, or end it when fewer than two are left."""
        if sum(not leg.observer for leg in self.legs) < 2:
            self.end(reason, by)
        else:
            self.changed()

    def changed(self) -> None:
        """Tell everybody that the roster is another."""
        for leg in list(self.legs):
            leg.roster_changed()

    def _remove(self, leg: Leg) -> None:
        self.legs.remove(leg)
        for owner, sound in list(self._sounds):
            if owner is leg:
                sound.cancel()

    def end(self, reason: str, by: str) -> None:
        """Everybody's call ends. Idempotent."""
        if self.over:
            return
        self.over = True
        self._ticker.remove(self.tick)
        for _, sound in list(self._sounds):
            sound.cancel()
        self._sounds.clear()
        legs, self.legs = self.legs, []
        for leg in legs:
            leg.gone(reason, by)
        for tap in list(self._taps):
            tap.over()
        for listener in list(self.when_over):
            listener()
        self._taps.clear()
        self.when_over.clear()

    # --- what is heard ---

    def add_tap(self, tap: Tap) -> None:
        """Let a recorder listen."""
        self._taps.append(tap)

    def remove_tap(self, tap: Tap) -> None:
        """No longer; does nothing when it is not there."""
        if tap in self._taps:
            self._taps.remove(tap)

    def play(self, owner: Leg, sound: Sound) -> None:
        """Play a sound on behalf of `owner`, who does not hear it unless it is played to it alone."""
        self._sounds.append((owner, sound))

    def sounds_ms(self, owner: Leg) -> float:
        """How much of what `owner` plays to everybody is still to be heard (ms)."""
        if not self._sounds:
            return 0.0
        mine = (sound.remaining_ms for who, sound in self._sounds if who is owner and sound.to is None)
        return max(mine, default=0.0)

    def tick(self, now: float) -> None:
        """20 ms of talk."""
        if len(self.legs) == 2 and not self._sounds and not self._taps:
            first, second = self.legs
            self._two(first, second, now)
        else:
            self._many(list(self.legs), now)

    def _two(self, first: Leg, second: Leg, now: float) -> None:
        """Two who talk, with nothing else going on: frames change hands."""
        says, answers = self._speech(first, now), self._speech(second, now)
        first.hear(None if first.on_hold else answers, second.waiting_ms, now)
        second.hear(None if second.on_hold else says, first.waiting_ms, now)
        if first.wants_each:
            first.hear_each([(second, answers)], now)
        if second.wants_each:
            second.hear_each([(first, says)], now)

    def _many(self, legs: list[Leg], now: float) -> None:
        said = [self._speech(leg, now) for leg in legs]
        whispers = self._sound(legs, said) if self._sounds else ()
        heard = everybody_else(said)
        waits = [leg.waiting_ms for leg in legs]
        longest = max(waits, default=0.0)
        spoken = list(zip(legs, said, strict=True))
        for index, leg in enumerate(legs):
            waiting = longest if waits[index] < longest or waits.count(longest) > 1 else _second(waits)
            frame = None if leg.on_hold else heard[index]
            for sound, extra in whispers:
                if sound.to is not None and not sound.to.isdisjoint((leg.raw_id, leg.known_id)):
                    frame = mix((frame, extra))
                    waiting = max(waiting, sound.remaining_ms)
            leg.hear(frame, waiting, now)
            if leg.wants_each:
                leg.hear_each([entry for entry in spoken if entry[0] is not leg], now)
        for tap in list(self._taps):
            tap.frame(now, spoken)

    @staticmethod
    def _speech(leg: Leg, now: float) -> Frame:
        frame = leg.next_frame(now)
        if leg.muted or leg.on_hold:
            frame = None
        if leg.ears:
            for ear in tuple(leg.ears):
                ear(frame, now)
        return frame

    def _sound(self, legs: list[Leg], said: list[Frame]) -> list[tuple[Sound, Frame]]:
        """Mix what is played to everybody into its owner's speech; returns what is played to some."""
        whispers: list[tuple[Sound, Frame]] = []
        for owner, sound in list(self._sounds):
            frame = sound.next_frame()
            if frame is None or owner not in legs:
                continue
            if sound.to is None:
                index = legs.index(owner)
                said[index] = mix((said[index], frame))
            else:
                whispers.append((sound, frame))
        self._sounds = [entry for entry in self._sounds if not entry[1].ended]
        return whispers


def participant(leg: Leg, viewer: Leg | None) -> Json:
    """A CallParticipant object, as `viewer` sees it."""
    who = leg.identifier if leg is viewer else leg.known_as
    return {"identifier": who, "isMuted": leg.muted, "isOnHold": leg.on_hold}


def _second(waits: list[float]) -> float:
    """The longest wait but one."""
    return sorted(waits)[-2] if len(waits) > 1 else 0.0
