"""What the host does for an agent's built-in tools (`tools.HostActions`), and for keys that lead to a person.

Results are objects that a model can speak from; none holds a secret or a pressed digit.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from media_host.agent_life import AgentLife
from media_host.agents.base import Ended, TransferType
from media_host.ending import End, EndKind
from media_host.handover import Handover, HandoverResult
from media_host.lent import is_lent
from media_host.lines.base import Line
from media_host.notices import TEXTS
from media_host.secure_digits import SecureDigits
from media_host.voice import HostVoice
from shared.calls.control import CallControl
from shared.calls.record import CallRecord
from shared.config.agent import SYSTEM
from shared.errors import AgentUnavailable, CallGone, PatchcordError

log = logging.getLogger(__name__)

type Result = Mapping[str, object]

UNDO_S = 8.0
"""How long a handover may take to undo what it has begun (s)."""

GONE_S = 3.0
"""How long a handover may take to notice that the line is closed (s)."""

KEY = "key_pressed"
"""Reason of a handover that the caller chose by a key."""

NOT_REACHED: Mapping[HandoverResult, str] = {
    HandoverResult.REFUSED: "The telephone system refused the transfer.",
    HandoverResult.DECLINED: "They declined the call.",
    HandoverResult.NO_ANSWER: "Nobody answered.",
    HandoverResult.NOT_CONFIRMED: "Nobody took the call; perhaps a voicemail answered.",
    HandoverResult.UNKNOWN_TARGET: "There is no such target.",
    HandoverResult.FAILED: "The transfer failed.",
}


class Conversation(Protocol):
    """What actions need of the session."""

    def end(self, end: End) -> None:
        """End the conversation; the first reason counts."""

    def hush(self) -> None:
        """Nothing of the agent's is heard any more."""

    def deafen(self) -> None:
        """The agent hears no more."""

    def changed(self) -> None:
        """Something has begun or ended."""


class CallActions:
    """One call's.

    Args:
        session: the conversation.
        record: the call as it stood when the line connected.
        connection_id: ACS's id of the call.
        control: ACS.
        line: the telephone side.
        handover: of this call.
        agent: the session's.
        voice: the session's.
        digits: the caller's secret ones.
    """

    def __init__(
        self,
        session: Conversation,
        record: CallRecord,
        connection_id: str,
        *,
        control: CallControl,
        line: Line,
        handover: Handover,
        agent: AgentLife,
        voice: HostVoice,
        digits: SecureDigits,
    ) -> None:
        self._session = session
        self._record = record
        self._connection_id = connection_id
        self._control = control
        self._line = line
        self._handover = handover
        self._agent = agent
        self._voice = voice
        self._digits = digits
        self._moving: asyncio.Task[HandoverResult] | None = None
        self._with_person: asyncio.Task[None] | None = None
        self.joined = False
        """A person has taken the call, and the agent only listens."""

    @property
    def handing_over(self) -> bool:
        """Whether a handover runs, or has been successful."""
        return self._moving is not None

    # --- tools.HostActions -----------------------------------------------------------------------------------

    async def transfer_to_human(self, target: str, reason: str, variables: Mapping[str, str]) -> Result:
        """Hand the caller over to a name under the agent's `transfers`; a second one while one runs is ignored."""
        return await self._hand_over(target, reason, variables, TransferType.AGENT)

    async def return_to_system(self, reason: str, variables: Mapping[str, str]) -> Result:
        """Hand the caller back to the system: the transfer `system`."""
        return await self._hand_over(SYSTEM, reason, variables, TransferType.SYSTEM)

    async def end_call(self, reason: str) -> Result:
        """Hang up as soon as what is being said has been heard."""
        if self.handing_over:
            return {"error": "the caller is being transferred"}
        await self._voice.play_out()
        self._session.end(
            End(EndKind.AGENT, reason, Ended(TransferType.SYSTEM, reason, task=self._record.task))
        )
        return {"status": "ended"}

    async def send_dtmf(self, digits: str) -> Result:
        """Press keys on the line, if it is one on which that can be done."""
        if not self._line.sends_keys:
            return {"error": "keys cannot be pressed in this call"}
        try:
            await self._control.send_dtmf(self._connection_id, digits, self._record.person)
        except CallGone:
            return {"error": "the caller has hung up"}
        except PatchcordError as error:
            log.warning("call %s: keys not sent: %s", self._record.call_id, type(error).__name__)
            return {"error": "the keys could not be sent"}
        return {"status": "sent"}

    async def collect_digits(self, name: str) -> Result:
        """Let the caller key in secret digits."""
        if self.handing_over:
            return {"error": "the caller is being transferred"}
        return await self._digits.collect(name)

    # --- handing over ----------------------------------------------------------------------------------------

    def key(self, target: str) -> None:
        """The caller has pressed a key that leads to `target`."""
        if is_lent(self._record):
            self._give_back(target, KEY, {}, TransferType.AGENT)
        elif not self.handing_over:
            self._start(target, KEY, {}, TransferType.AGENT, asked=False)

    def _give_back(
        self, target: str, reason: str, variables: Mapping[str, str], outcome: TransferType
    ) -> None:
        """End our part of a call that another system has lent us: it takes the caller where the outcome says."""
        ended = Ended(outcome, reason, target, task=self._record.task, transfer=variables)
        self._session.end(End(EndKind.AGENT, reason, ended))

    async def close(self, *, gone: bool) -> None:
        """Give up a handover that runs, and undo what it has begun; once the line is `gone` it soon ends by itself."""
        if self._moving is not None and gone:
            await asyncio.wait({self._moving}, timeout=GONE_S)
        tasks = [task for task in (self._moving, self._with_person) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=UNDO_S)

    async def _hand_over(
        self, target: str, reason: str, variables: Mapping[str, str], outcome: TransferType
    ) -> Result:
        if self.handing_over:
            return {
                "status": "already_transferring",
                "message": "The transfer is under way. Say nothing more.",
            }
        if is_lent(self._record):
            await self._voice.play_out()
            self._give_back(target, reason, variables, outcome)
            return {"status": "transferred"}
        moving = self._start(target, reason, variables, outcome, asked=True)
        await asyncio.wait({moving})
        if moving.cancelled():
            return {"error": "the call is ending"}
        match moving.result():
            case HandoverResult.LEFT:
                return {"status": "transferred"}
            case HandoverResult.JOINED:
                return {"status": "joined", "message": "A person has taken over. Say nothing more."}
            case result:
                return {
                    "error": result.value,
                    "message": f"{NOT_REACHED[result]} The caller is with you again: "
                    "tell them so, and offer what you can do.",
                }

    def _start(
        self,
        target: str,
        reason: str,
        variables: Mapping[str, str],
        outcome: TransferType,
        *,
        asked: bool,
    ) -> asyncio.Task[HandoverResult]:
        """Begin a handover; `asked`: the agent waits for its result."""
        if not asked:
            self._voice.deafen()  # it would answer to what it still hears
        move = self._move(target, reason, variables, outcome, asked=asked)
        self._moving = asyncio.create_task(move, name="handover")
        self._session.changed()
        return self._moving

    async def _move(
        self, target: str, reason: str, variables: Mapping[str, str], outcome: TransferType, *, asked: bool
    ) -> HandoverResult:
        result = HandoverResult.FAILED
        told = {**self._record.input_variables, **variables, "reason": reason, "caller": self._record.person}
        try:
            if not asked:
                self._voice.notice("connecting")
            result = await self._handover.run(target, variables, told, outcome=outcome, reason=reason)
        except Exception:  # a fault of ours: the caller is still there, and so is the agent
            log.exception("call %s: a handover failed", self._record.call_id)
        match result:
            case HandoverResult.LEFT:
                self._session.end(End(EndKind.LINE, "handed_over"))
            case HandoverResult.JOINED:
                self.joined = True
                await self._only_listen()
                self._with_person = asyncio.create_task(self._accompany(), name="call with a person")
            case _:
                self._moving = None
                self._voice.undeafen()
                self._session.changed()
                if not asked:
                    await self._come_back(NOT_REACHED[result])
        return result

    async def _only_listen(self) -> None:
        """A person has joined: the agent is silent from now on, and goes on transcribing."""
        self._session.hush()
        try:
            await self._agent.listen_only()
        except AgentUnavailable:  # then it must not hear what it would answer
            self._session.deafen()
        self._voice.undeafen()

    async def _come_back(self, why: str) -> None:
        """A handover that the agent did not ask for has failed: have the caller told."""
        agent = self._agent.agent
        if agent is not None and agent.capabilities.exact_say:
            await self._voice.say(TEXTS["not_connected"])
            return
        told = self._agent.tell(
            f"[The caller pressed a key to reach a person. {why} The caller is with you again: say so, and offer what "
            "you can do.]"
        )
        await self._voice.prompt(told, "not_connected")

    async def _accompany(self) -> None:
        """The agent listens until one of the two has hung up."""
        why = await self._handover.accompany()
        self._session.end(End(EndKind.LINE if why == "line_closed" else EndKind.PERSON, why))
