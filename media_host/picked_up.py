"""Who has picked up an outbound call, a person or a machine, from what is heard first; a hint, never a certainty.

A person says something short and waits. A machine talks on: its greeting is longer than `MACHINE_MS` without a pause.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from media_host.agent_life import AgentLife
from media_host.agents.base import Codec
from media_host.caller_audio import CallerAudio
from media_host.event_log import EventLog
from media_host.speech.vad import PRE_ROLL_MS, Onset, Utterance, VoiceActivity
from shared.calls.events import EventKind
from shared.config.agent import OutboundBehaviour
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

MACHINE_MS = 3500
"""Who talks for longer in one go is a machine."""

PAUSE_MS = 1000
"""Silence of this length ends what somebody says; a shorter one is a pause for breath."""

NOTHING_MS = 5000
"""Nobody has said anything for so long after pick-up: then nobody can tell."""

WAIT_S = 12.0
"""How long an agent waits at most that is to speak only after the answer (s): a line without audio would hold it for ever."""

TOLD = (
    "[You have called this number, and by the sound of it an answering machine has picked up. "
    "Leave a short message, or end the call.]"
)


class AnsweredBy(StrEnum):
    """Who has picked up."""

    PERSON = "person"
    MACHINE = "machine"
    UNKNOWN = "unknown"


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


class PickUp:
    """The first seconds of one outbound call.

    Args:
        audio: the person's.
        agent: the session's; it is told of a machine.
        behaviour: what the agent's configuration wants.
        log: the call's events.
        machine: called for a machine on which the call is to be ended.
    """

    def __init__(
        self,
        audio: CallerAudio,
        agent: AgentLife,
        behaviour: OutboundBehaviour,
        *,
        log: EventLog,
        machine: Callable[[], None],
    ) -> None:
        self._audio = audio
        self._agent = agent
        self._behaviour = behaviour
        self._log = log
        self._machine = machine
        self._listening = contextlib.ExitStack()
        self._answer: asyncio.Future[AnsweredBy] = asyncio.get_running_loop().create_future()
        self._agent_is_there = False
        self._telling: asyncio.Task[None] | None = None

    async def begin(self, over: asyncio.Future[Any]) -> None:
        """Listen; return when the agent may begin, or when the call is `over`."""
        from media_host.listening import voice_activity  # it loads the detector

        vad = voice_activity(self._audio.codec)
        if vad is None:
            self._decide(AnsweredBy.UNKNOWN)
            return
        words = FirstWords(vad, self._audio.codec, self._decide)
        self._listening.enter_context(self._audio.overheard(words.feed))
        if self._behaviour.begin == "after_answer":
            first: set[asyncio.Future[Any]] = {self._answer, over}
            await asyncio.wait(first, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)

    def agent_started(self) -> None:
        """The agent can be told things."""
        self._agent_is_there = True
        self._tell()

    def close(self) -> None:
        """The call is over."""
        self._decide(AnsweredBy.UNKNOWN)
        if self._telling is not None:
            self._telling.cancel()

    def _decide(self, who: AnsweredBy) -> None:
        if self._answer.done():
            return
        self._answer.set_result(who)
        self._listening.close()
        self._log.note(EventKind.ANSWERED_BY, id="answered_by", answeredBy=who.value)
        if who is AnsweredBy.MACHINE and self._behaviour.on_machine == "hang_up":
            self._machine()
        else:
            self._tell()

    def _tell(self) -> None:
        known = self._answer.done() and self._answer.result() is AnsweredBy.MACHINE
        if known and self._agent_is_there and self._telling is None:
            self._telling = asyncio.create_task(self._tell_agent(), name="tell of the machine")

    async def _tell_agent(self) -> None:
        try:
            await self._agent.tell(TOLD)
        except AgentUnavailable as error:
            log.info("the agent does not know of the machine: %s", error.message)
