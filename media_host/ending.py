"""How a call ends: what is still said, what is recorded, and what the line is asked to do; never with silence."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from media_host.agents.base import Ended, Heard, TransferType
from media_host.call_part import CallPart
from media_host.departure import Departure
from media_host.event_log import EventLog
from media_host.handover import Handover, HandoverVoice
from media_host.lent import is_lent
from media_host.lines.base import Line
from media_host.playout import Playout
from media_host.services import Services
from shared.calls.events import EventKind, Json
from shared.calls.record import CallRecord
from shared.config.agent import FALLBACK, SYSTEM
from shared.config.agents import AgentConfig

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""How long an agent may take to close (s)."""

PLAY_OUT_S = 35.0
"""The longest farewell that is played to its end (s): playout's bound and a little."""

STORE_S = 2.0
"""How long the caller's line waits for the store before the call is ended all the same (s)."""

ECHO_S = 3.0
"""How long a line that tells what it has played may take to tell of the farewell's end (s)."""

LOST = "media_lost"
"""The audio is gone while the caller is not, as far as we know."""

LOST_ID = "twilio-media-lost"
"""Of the event that says so, where the host itself records it: the function app may write it too, the first counts."""


class EndKind(StrEnum):
    """Who or what ends a conversation."""

    LINE = "line"
    AGENT = "agent"
    FAULT = "fault"
    LIMIT = "limit"
    DRAIN = "drain"
    PERSON = "person"
    """The caller was with a person; `person_left` or `caller_left` says who hung up."""


@dataclass(frozen=True, slots=True)
class End:
    """Why a conversation ends.

    Attributes:
        kind: by whom.
        reason: machine name for the record.
        ended: the agent's own last word.
        message: for people, of a fault.
    """

    kind: EndKind
    reason: str
    ended: Ended | None = None
    message: str = ""


class Ending(CallPart):
    """The last steps of one session.

    Args:
        services: see `CallPart`, as with `record`, `config`, `connection_id`, `log` and `voice`.
        line: the caller's.
        playout: what the caller is still to hear.
        gone: set when the line is closed.

    Attributes:
        regular: the caller has gone, or we have ended the call; otherwise its audio was lost.
    """

    def __init__(
        self,
        services: Services,
        record: CallRecord,
        config: AgentConfig,
        connection_id: str,
        *,
        line: Line,
        playout: Playout,
        log: EventLog,
        gone: asyncio.Event,
        voice: HandoverVoice,
    ) -> None:
        super().__init__(services, record, config, connection_id, log=log, voice=voice)
        self._line = line
        self._playout = playout
        self._gone = gone
        self.regular = False

    async def run(self, end: End, *, flush: Callable[[], list[Heard]], joined: bool = False) -> None:
        """Do what `end` asks for; the line may be closed at any moment of it.

        `joined`: the caller talks to a person, who need not hear of our troubles: only our part of the call ends.
        """
        match end.kind:
            case EndKind.LINE if self._line.reports_end:
                return  # the function app is told what became of the call, and acts on it
            case EndKind.LINE if self._line.stopped:
                self.regular = True
            case EndKind.LINE:
                self.note_lost()
            case EndKind.PERSON if end.reason == "caller_left":
                await self._hang_up("caller", "caller_hung_up")
            case EndKind.PERSON:
                await self._say("person_left")
                await self._hang_up("system", end.reason)
            case _ if joined:
                await self._hang_up("system", end.reason, everyone=False)
            case EndKind.AGENT if end.ended is not None:
                await self._play_out()
                await self._agent_done(end.ended)
            case EndKind.LIMIT:
                flush()
                await self._stop("time_limit", "max_duration", TransferType.SYSTEM)
            case EndKind.DRAIN:
                flush()
                await self._leave()
            case _:
                self.log.note(EventKind.FAULT, code=end.reason, message=end.message)
                flush()
                await self._failed(end.reason)

    async def _leave(self) -> None:
        """This host has to stop: another one goes on, or a person, or nobody (`recovery.draining`)."""
        if is_lent(self.record):
            self._note_outcome(TransferType.AGENT, "drain", {"error": "drain"})
            await self._say("connecting" if self._somebody_follows() else "closing")
            await self._hang_up("system", "drain", close_code=1001)
            return
        steps = self.services.config.recovery.draining
        for step in steps:
            if step == "self_transfer":
                departure = Departure(
                    self.services,
                    self.record,
                    self.config,
                    self.connection_id,
                    log=self.log,
                    voice=self.voice,
                )
                done = await departure.to_another_host(lambda: self._push("one_moment"))
            else:
                done = step == "fallback" and await self._to_person("drain")
            if done or self._gone.is_set():
                return
        if "notice" in steps:
            await self._stop("closing", "drain_deadline", TransferType.SYSTEM, close_code=1001)
            return
        self._note_outcome(TransferType.SYSTEM, "drain_deadline")
        await self._hang_up("system", "drain_deadline", close_code=1001)

    async def _to_person(self, reason: str) -> bool:
        """Hand the caller over to whoever is there for such days; whether the caller is no longer ours."""
        spare = self.services.config.recovery.fallback
        known = FALLBACK in self.config.transfers or bool(self.record.return_to)
        if not known and not spare:
            return False
        handover = self._handover()
        if not known:
            handover.config = msgspec.structs.replace(self.config, transfers={FALLBACK: spare})
        variables = self.record.input_variables
        result = await handover.run(FALLBACK, {}, variables, reason=reason, may_stay=False)
        return result.done

    async def _agent_done(self, ended: Ended) -> None:
        self._note_outcome(
            ended.outcome,
            ended.reason,
            ended.reference,
            task=ended.task,
            transfer=ended.transfer,
            target=ended.target if is_lent(self.record) else "",
        )
        back = SYSTEM if self.record.return_to else ""
        if not (target := ended.target or back) or is_lent(self.record):
            await self._hang_up("agent", "agent_done")
            return
        handover = self._handover()
        result = await handover.run(
            target,
            ended.transfer,
            {**self.record.input_variables, **ended.transfer},
            outcome=ended.outcome,
            reason=ended.reason,
            may_stay=False,
        )
        if not result.done:
            await self._say("transfer_failed")
            await self._hang_up("system", "transfer_failed")

    async def _failed(self, reason: str) -> None:
        """The agent is no use any more: apologise, then a person if one is configured."""
        back = bool(self.record.return_to)
        to_person = FALLBACK in self.config.transfers or is_lent(self.record) or back
        outcome = TransferType.AGENT if to_person else TransferType.SYSTEM
        self._note_outcome(outcome, reason, {"error": reason})
        await self._say("sorry_transfer" if to_person and self._somebody_follows() else "sorry")
        if to_person and not is_lent(self.record):
            variables = self.record.input_variables
            result = await self._handover().run(FALLBACK, {}, variables, reason=reason, may_stay=False)
            if result.done:
                return
            await self._say("transfer_failed")
        await self._hang_up("system", reason, close_code=self._line.fault_code)

    def _somebody_follows(self) -> bool:
        """Whether the caller may be told so: what Twilio does with the call after a failure is in our configuration."""
        account = None if self._line.reports_end else self.services.config.twilio.get(self.record.tenant)
        if account is None:
            return True
        step = account.step("failed", self.config)
        return step is not None and not step.hangup

    async def _stop(self, notice: str, reason: str, outcome: TransferType, *, close_code: int = 1000) -> None:
        self._note_outcome(outcome, reason)
        await self._say(notice)
        await self._hang_up("system", reason, close_code=close_code)

    def _handover(self) -> Handover:
        return Handover(
            self.services,
            self.record,
            self.config,
            self.connection_id,
            log=self.log,
            voice=self.voice,
        )

    def note_lost(self) -> None:
        """Nobody tells how it ended: the caller, who may be there, is a person's now. An outcome of before stays."""
        self.log.note(EventKind.MEDIA_LOST, id=LOST_ID, hostId=self.services.host_id, reason=LOST)
        self._note_outcome(TransferType.AGENT, LOST, {"error": LOST})

    def _note_outcome(
        self,
        outcome: TransferType,
        reason: str,
        reference: Mapping[str, str] | None = None,
        *,
        task: str | None = None,
        transfer: Mapping[str, str] | None = None,
        target: str = "",
    ) -> None:
        data: dict[str, Json] = {
            "transferType": outcome.value,
            "reason": reason,
            "task": self.record.task if task is None else task,
            "referenceVariables": {**(reference or {})},
            "transferVariables": {**(transfer or {})},
        }
        if target:  # of a lent caller: whom the other system connects
            data["target"] = target
        self.log.note_all(EventKind.OUTCOME, data, id="outcome")

    async def _say(self, notice: str) -> None:
        self._push(notice)
        await self._play_out()

    def _push(self, notice: str) -> None:
        for piece in self.services.notices.pieces(notice, self._line.codec):
            self._playout.push(f"notice {notice}", piece)
        self._playout.end(f"notice {notice}")

    async def _play_out(self) -> None:
        """Until the caller has heard everything, or is gone."""
        try:
            async with asyncio.timeout(PLAY_OUT_S):
                while not self._gone.is_set() and (left := self._playout.left_ms) > 0:
                    await self._gone_within(left / 1000)
                if (
                    not self._gone.is_set()
                    and await self._line.played_out(ECHO_S)
                    and not self._gone.is_set()
                ):
                    self._playout.heard_out()
        except TimeoutError:
            log.warning("call %s: the farewell was cut", self.record.call_id)

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    async def _hang_up(self, by: str, reason: str, *, close_code: int = 1000, everyone: bool = True) -> None:
        """For everyone, or only our part; recorded first, so that the callback of its end finds the reason."""
        self.regular = True
        self.log.note(EventKind.HANG_UP, id="hang_up", by=by, reason=reason)
        await self.log.flush(STORE_S)
        if failure := await self._line.hang_up(everyone=everyone):
            self.log.note(EventKind.FAULT, code="hang_up_failed", message=failure)
        if close_code == 1000 and self._line.ends_by_rest:
            await self._gone_within(CLOSE_S)
        self._line.close(close_code)
