"""Who has picked up an outbound call, a person or a machine, from what is heard first; a hint, never a certainty.

A person says something short and waits. A machine talks on: its greeting is longer than `first_words.MACHINE_MS` without a pause.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from media_host.agent_life import AgentLife
from media_host.caller_audio import CallerAudio
from media_host.event_log import EventLog
from shared.calls.events import EventKind
from shared.config.agent import OutboundBehaviour
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

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
        from media_host.first_words import FirstWords  # it loads the detector
        from media_host.listening import voice_activity

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
