"""How a call ends: what is still said, what is recorded, and what ACS is asked to do; never with silence."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from media_host.agents.base import Codec, Ended, Heard, TransferType
from media_host.event_log import EventLog
from media_host.handover import Handover, HandoverVoice
from media_host.lent import is_lent
from media_host.lines.acs import AcsLine
from media_host.playout import Playout
from media_host.services import Services
from shared.calls.events import EventKind, Json
from shared.calls.record import CallRecord
from shared.config.agent import FALLBACK, SYSTEM
from shared.config.agents import AgentConfig
from shared.errors import CallGone, PatchcordError

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""How long an agent may take to close (s)."""

PLAY_OUT_S = 35.0
"""The longest farewell that is played to its end (s): playout's bound and a little."""

STORE_S = 2.0
"""How long the caller's line waits for the store before the call is ended all the same (s)."""

HANG_UP_TRIES_S = (0.3, 1.0)


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


class Ending:
    """The last steps of one session."""

    def __init__(
        self,
        services: Services,
        record: CallRecord,
        config: AgentConfig,
        connection_id: str,
        *,
        line: AcsLine,
        playout: Playout,
        log: EventLog,
        gone: asyncio.Event,
        codec: Codec,
        voice: HandoverVoice,
    ) -> None:
        self._services = services
        self._record = record
        self._config = config
        self._connection_id = connection_id
        self._line = line
        self._playout = playout
        self._log = log
        self._gone = gone
        self._codec = codec
        self._voice = voice

    async def run(self, end: End, *, flush: Callable[[], list[Heard]], joined: bool = False) -> None:
        """Do what `end` asks for; the line may be closed at any moment of it.

        `joined`: the caller talks to a person, who need not hear of our troubles: only our part of the call ends.
        """
        match end.kind:
            case EndKind.LINE:
                return  # ACS reports what became of the call; the function app acts on it
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
                await self._stop("closing", "drain_deadline", TransferType.SYSTEM, close_code=1001)
            case _:
                self._log.note(EventKind.FAULT, code=end.reason, message=end.message)
                flush()
                await self._failed(end.reason)

    async def _agent_done(self, ended: Ended) -> None:
        reference: dict[str, Json] = {**ended.reference}
        transfer: dict[str, Json] = {**ended.transfer}
        self._log.note(
            EventKind.OUTCOME,
            id="outcome",
            transferType=ended.outcome.value,
            reason=ended.reason,
            task=ended.task,
            referenceVariables=reference,
            transferVariables=transfer,
        )
        back = SYSTEM if self._record.return_to else ""
        if not (target := ended.target or back) or is_lent(self._record):
            await self._hang_up("agent", "agent_done")
            return
        handover = self._handover()
        result = await handover.run(
            target,
            ended.transfer,
            {**self._record.input_variables, **ended.transfer},
            outcome=ended.outcome,
            reason=ended.reason,
            may_stay=False,
        )
        if not result.done:
            await self._say("transfer_failed")
            await self._hang_up("system", "transfer_failed")

    async def _failed(self, reason: str) -> None:
        """The agent is no use any more: apologise, then a person if one is configured."""
        back = bool(self._record.return_to)
        to_person = FALLBACK in self._config.transfers or is_lent(self._record) or back
        outcome = TransferType.AGENT if to_person else TransferType.SYSTEM
        self._note_outcome(outcome, reason, {"error": reason})
        await self._say("sorry_transfer" if to_person else "sorry")
        if to_person and not is_lent(self._record):
            variables = self._record.input_variables
            result = await self._handover().run(FALLBACK, {}, variables, reason=reason, may_stay=False)
            if result.done:
                return
            await self._say("transfer_failed")
        await self._hang_up("system", reason)

    async def _stop(self, notice: str, reason: str, outcome: TransferType, *, close_code: int = 1000) -> None:
        self._note_outcome(outcome, reason)
        await self._say(notice)
        await self._hang_up("system", reason, close_code=close_code)

    def _handover(self) -> Handover:
        return Handover(
            self._services,
            self._record,
            self._config,
            self._connection_id,
            log=self._log,
            voice=self._voice,
        )

    def _note_outcome(
        self, outcome: TransferType, reason: str, reference: Mapping[str, Json] | None = None
    ) -> None:
        known: dict[str, Json] = {**(reference or {})}
        nothing: dict[str, Json] = {}
        self._log.note(
            EventKind.OUTCOME,
            id="outcome",
            transferType=outcome.value,
            reason=reason,
            task=self._record.task,
            referenceVariables=known,
            transferVariables=nothing,
        )

    async def _say(self, notice: str) -> None:
        self._push(notice)
        await self._play_out()

    def _push(self, notice: str) -> None:
        for piece in self._services.notices.pieces(notice, self._codec):
            self._playout.push(f"notice {notice}", piece)
        self._playout.end(f"notice {notice}")

    async def _play_out(self) -> None:
        """Until the caller has heard everything, or is gone."""
        try:
            async with asyncio.timeout(PLAY_OUT_S):
                while not self._gone.is_set() and (left := self._playout.left_ms) > 0:
                    await self._gone_within(left / 1000)
        except TimeoutError:
            log.warning("call %s: the farewell was cut", self._record.call_id)

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    async def _hang_up(self, by: str, reason: str, *, close_code: int = 1000, everyone: bool = True) -> None:
        """For everyone, or only our part; recorded first, so that the callback of its end finds the reason."""
        self._log.note(EventKind.HANG_UP, id="hang_up", by=by, reason=reason)
        await self._log.flush(STORE_S)
        for pause in (*HANG_UP_TRIES_S, 0.0):
            try:
                await self._services.control.hang_up(self._connection_id, everyone=everyone)
                break
            except CallGone:
                break
            except PatchcordError as error:
                log.error("call %s: not hung up: %s", self._record.call_id, error)
                if not pause:
                    self._log.note(EventKind.FAULT, code="hang_up_failed", message=error.message)
                await asyncio.sleep(pause)
        if close_code == 1000:
            await self._gone_within(CLOSE_S)
        self._line.close(close_code)
