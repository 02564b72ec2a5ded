"""What the agent says: the model's audio and words, as turns of the host's.

A turn is one item of one response. Audio of the usual shape goes through untouched; all else is looked at.
"""

import base64
import binascii
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from media_host.agents.base import (
    AgentHost,
    Codec,
    Heard,
    SpokenWord,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime import server_events as model
from media_host.agents.realtime.audio_frames import WholeSamples, delta_ids, ids_mark
from shared.config.agent import BargeIn

KEPT_TURNS = 64
KEPT_RESPONSES = 32
_NONE = b"\0"


@dataclass(slots=True)
class Turn:
    """One item of one response.

    Attributes:
        name: the host's name for it.
        session: number of the session that made it.
        response, item: the model's names.
        spoken: audio of it has come.
        open: more may come.
        heard: the caller has heard it, or it was flushed.
        told: its words have gone to the host.
    """

    name: str
    session: int
    response: str
    item: str
    spoken: bool = False
    open: bool = True
    heard: bool = False
    told: bool = False
    text: str = ""
    parts: list[str] = field(default_factory=list)
    words: list[SpokenWord] = field(default_factory=list)

    @property
    def said(self) -> str:
        """Its words so far."""
        return self.text or "".join(self.parts).strip()


class Speaking:
    """One call's.

    Args:
        host: hears it.
        codec: the line's.
        barge_in: how a turn of that response may be interrupted.
        on_voice: called when a turn begins to be heard of.
        bad: called with what was wrong with a frame.

    Attributes:
        session: number of the session whose audio this is; ids of another session mean other things.
        spoken: whether anything was ever said.
        response: that which was heard of last.
    """

    def __init__(
        self,
        host: AgentHost,
        codec: Codec,
        *,
        barge_in: Callable[[str], BargeIn],
        on_voice: Callable[[], None],
        bad: Callable[[str], None],
    ) -> None:
        self.session = 1
        self.spoken = False
        self.response = ""
        self._host = host
        self._barge_in = barge_in
        self._on_voice = on_voice
        self._bad = bad
        self._samples = WholeSamples(codec)
        self._turns: dict[str, Turn] = {}
        self._turn = ""
        self._mark = _NONE
        self._dropped: deque[str] = deque(maxlen=KEPT_RESPONSES)
        self._ignored: dict[str, list[str]] = {}  # response -> items that came when it was no longer wanted
        self._stopped = False

    # --- audio -----------------------------------------------------------------------------------------------

    def audio(self, frame: bytes, start: int) -> None:
        """A delta in the usual shape, its text beginning at `start`."""
        if frame.find(self._mark, 0, start) < 0:
            try:
                ids = delta_ids(frame, start)
            except msgspec.DecodeError:
                self._bad("an audio delta without ids")
                return
            if not self._begin(ids.response_id, ids.item_id):
                return
        data = frame[start:-2]
        if self._samples.are_whole(data):
            self._host.audio(self._turn, data)
        else:
            self._pieces(data)

    def delta(self, event: model.AudioDelta) -> None:
        """A delta in another shape; decoded and encoded again, so that nothing but base64 goes on."""
        try:
            data = base64.b64encode(base64.b64decode(event.audio, validate=True))
        except ValueError:
            self._bad("an audio delta that is no base64")
            return
        if data and self._begin(event.response_id, event.item_id):
            if self._samples.are_whole(data):
                self._host.audio(self._turn, data)
            else:
                self._pieces(data)

    def _pieces(self, text: bytes) -> None:
        try:
            data = self._samples.take(text)
        except binascii.Error:
            self._bad("an audio delta that is no base64")
            return
        if data:
            self._host.audio(self._turn, data)

    def _begin(self, response: str, item: str) -> bool:
        """Audio of this item comes next. False when it is not wanted (any more)."""
        if self._stopped:
            return False
        if response in self._dropped:
            items = self._ignored.setdefault(response, [])
            if item not in items:
                items.append(item)
            return False
        turn = self._of(response, item)
        if turn.heard:
            return False
        if turn.name != self._turn:
            self._turn = turn.name
            self._samples.drop()
        self._mark = ids_mark(response, item)
        if not turn.spoken:
            turn.spoken = self.spoken = True
            self.response = response
            self._host.event(TurnStarted(turn.name, self._barge_in(response)))
            self._on_voice()
        return True

    def _of(self, response: str, item: str) -> Turn:
        name = f"{response}/{item}" if self.session == 1 else f"{response}/{item}#{self.session}"
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = Turn(name, self.session, response, item)
            if len(self._turns) > KEPT_TURNS:
                del self._turns[next(iter(self._turns))]
        return turn

    def done(self, event: model.AudioDone) -> None:
        """An item has all its audio."""
        self._end(self._of(event.response_id, event.item_id))

    def _end(self, turn: Turn) -> None:
        if turn.open and turn.spoken and not turn.heard and not self._stopped:
            self._host.event(TurnEnded(turn.name))
        turn.open = False

    # --- words -----------------------------------------------------------------------------------------------

    def words(self, event: model.AgentWordsDelta | model.AgentWords | model.WordTime) -> None:
        """What the audio says, in one of three ways."""
        if event.response_id in self._dropped:
            return
        turn = self._of(event.response_id, event.item_id)
        match event:
            case model.AgentWords():
                turn.text = event.text.strip()
            case model.AgentWordsDelta():
                turn.parts.append(event.text)
            case model.WordTime():
                turn.words.append(SpokenWord(event.text, event.at_ms, event.ms))

    def _tell(self, turn: Turn) -> None:
        """Its words, once: when they are complete, or when no more of it can be heard."""
        if not turn.told and turn.spoken and turn.said and not self._stopped:
            self._host.event(Transcript("agent", turn.said, turn.name, tuple(turn.words)))
        turn.told = True
        if turn.heard:
            self._turns.pop(turn.name, None)

    # --- ends ------------------------------------------------------------------------------------------------

    def response_done(self, response: str) -> list[Turn]:
        """Nothing more of `response` comes; its turns of which audio has come."""
        turns = [
            turn
            for turn in self._turns.values()
            if turn.response == response and turn.session == self.session
        ]
        for turn in turns:
            self._end(turn)
            self._tell(turn)
            if not turn.spoken:
                self._turns.pop(turn.name, None)
        return [turn for turn in turns if turn.spoken]

    def drop(self, response: str) -> None:
        """What still comes of `response` is not wanted."""
        if response not in self._dropped:
            self._dropped.append(response)
        if self._turn and self._turns.get(self._turn, _NOBODY).response == response:
            self._forget_mark()

    def ignored(self, response: str) -> list[str]:
        """Items of a dropped response of which audio came all the same."""
        return self._ignored.pop(response, [])

    def flushed(self, heard: Heard) -> Turn | None:
        """The host has flushed: no more of this turn will be heard."""
        turn = self._turns.get(heard.turn)
        if turn is None:
            return None
        turn.heard = True
        turn.open = False
        if turn.name == self._turn:
            self._forget_mark()
        self._tell(turn)
        return turn

    def played(self, name: str) -> None:
        """The caller has heard all of it."""
        turn = self._turns.get(name)
        if turn is not None:
            turn.heard = True
            if turn.told:
                del self._turns[name]

    @property
    def unheard(self) -> Iterable[Turn]:
        """Turns that are on their way to the caller's ear."""
        return [turn for turn in self._turns.values() if turn.spoken and not turn.heard]

    def lost(self) -> None:
        """The session is gone, with all that it might have said."""
        self._forget_mark()
        for turn in list(self._turns.values()):
            self._end(turn)
            self._tell(turn)
        self.session += 1
        self._dropped.clear()
        self._ignored.clear()

    def stop(self) -> None:
        """The host takes no more."""
        for turn in list(self._turns.values()):
            self._tell(turn)
        self._stopped = True
        self._forget_mark()

    def _forget_mark(self) -> None:
        self._turn, self._mark = "", _NONE


_NOBODY = Turn("", 0, "", "")
