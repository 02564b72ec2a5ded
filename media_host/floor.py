"""Who has the floor: the agent's audio on its way to the caller, the host's notices, and silence when the caller speaks.

One voice at a time: a notice gives way to the agent, both give way to the caller (realtime.md section 6).
"""

import asyncio
from collections.abc import Callable

from media_host.agents.base import Codec, Heard, VoiceAgent
from media_host.barge_in import BargeIn
from media_host.event_log import EventLog
from media_host.lines.base import Line
from media_host.playout import Playout
from media_host.recorder import Recorder
from media_host.services import Services
from media_host.transcript import TranscriptLog
from shared.calls.events import EventKind

NOTICE = "notice "
"""With this begin the names of turns that are the host's own."""

NO_TURN = "\0"
"""No turn has this name: with it, every piece of audio is looked at whether it may still be heard."""


class Floor:
    """One call's.

    Args:
        services: what calls share.
        line: the telephone side.
        codec: its format.
        recorder: of this call, or None.
        log: the call's events.
        transcript: the call's.
        began_ms: the session's start on the clock of `services`.
        agent: who is to be told what was heard; None when nobody is.
        may_speak: whether the agent may be heard (at all) now; called at each turn's beginning.
        changed: something has begun or ended.

    Attributes:
        playout: what waits to be heard.
        barge_in: what may be interrupted.
        agent_began: set when the agent begins a turn.
    """

    def __init__(
        self,
        services: Services,
        line: Line,
        codec: Codec,
        recorder: Recorder | None,
        *,
        log: EventLog,
        transcript: TranscriptLog,
        began_ms: float,
        agent: Callable[[], VoiceAgent | None],
        may_speak: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self.agent_began = asyncio.Event()
        self._line = line
        self._clock = services.clock_ms
        self._recorder = recorder
        self._log = log
        self._transcript = transcript
        self._began_ms = began_ms
        self._agent = agent
        self._may_speak = may_speak
        self._changed = changed
        self._turn = NO_TURN
        self._spoken = False
        self._notices: set[str] = set()  # that are not heard yet
        self.barge_in = BargeIn(self._clock, self._talked_over)
        self.playout = Playout(
            codec,
            line.send_audio,
            self._clock,
            ticker=services.ticker,
            recorder_tap=None if recorder is None else self._record,
            on_played=self._played,
            path_delay_ms=services.path_delay_ms,
            send_mark=line.send_mark,
        )
        line.on_mark = lambda name: self.playout.marked(name, self._clock())

    def audio(self, turn: str, data: bytes) -> None:
        """The agent speaks: base64 text."""
        if turn == self._turn:
            self.playout.push(turn, data)
        elif self._begin(turn):
            self.playout.push(turn, data)
            self._changed()

    def notice(self, name: str, pieces: list[bytes]) -> None:
        """The host speaks, after what is being said; it gives way to the agent."""
        turn = NOTICE + name
        self._notices.add(turn)
        for piece in pieces:
            self.playout.push(turn, piece)
        self.playout.end(turn)

    def hush(self) -> None:
        """From now on every piece is looked at whether it may still be heard."""
        self._turn = NO_TURN

    @property
    def silent(self) -> bool:
        """Whether nothing of ours is to be heard."""
        return self.playout.left_ms == 0

    def flush(self) -> list[Heard]:
        """Silence, now; what had been heard of each turn of the agent's."""
        if self.playout.idle:
            return []
        self._line.stop_audio()  # before anything else
        return self.cut()

    def cut(self) -> list[Heard]:
        """As `flush`, when the line needs not be told."""
        heard = [item for item in self.playout.flush() if not item.turn.startswith(NOTICE)]
        self._notices.clear()
        self._turn = NO_TURN
        self.barge_in.over((item.turn for item in heard), flushed=True)
        if self._recorder is not None:
            self._recorder.cut(self._clock() - self._began_ms)
        for item in heard:
            self._transcript.heard(item, interrupted=item.heard_ms < item.made_ms)
        self._changed()
        return heard

    def silence_agent(self) -> list[Heard]:
        """Flush for a reason that is not the agent's own: it is told what was heard."""
        heard = self.flush()
        agent = self._agent()
        if heard and agent is not None:
            agent.flushed(heard)
        return heard

    def _begin(self, turn: str) -> bool:
        """Whether `turn` may be heard; then everything else gives way to it."""
        if self.barge_in.is_stale(turn) or not self._may_speak():
            return False
        if self._notices:
            self.flush()
        self._turn = turn
        self.barge_in.audio_came(turn, drained=self.silent)
        self._transcript.began(turn, self.playout.lead_ms)
        if not self._spoken:
            self._spoken = True
            self._log.note(EventKind.FIRST_AUDIO, ms=round(self._clock() - self._began_ms, 1))
        self.agent_began.set()
        return True

    def _talked_over(self, speaking_ms: float) -> None:
        """The caller talks over the agent: silence first, then everybody is told."""
        began = self._clock()
        if heard := self.silence_agent():
            self._log.note(
                EventKind.BARGE_IN,
                heardMs=heard[-1].heard_ms,
                silenceMs=round(speaking_ms + self._clock() - began, 1),
            )

    def _played(self, heard: Heard) -> None:
        if heard.turn.startswith(NOTICE):
            self._notices.discard(heard.turn)
        else:
            self.barge_in.over([heard.turn], flushed=False)
            self._transcript.heard(heard, interrupted=False)
            if (agent := self._agent()) is not None:
                agent.played(heard.turn)
        self._changed()

    def _record(self, at_ms: float, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.agent(at_ms - self._began_ms, data)
