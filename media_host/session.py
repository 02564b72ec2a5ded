"""One call, from the line's connection to the last event of its record.

The session ends for one reason, the first that comes (`End`); `ending.Ending` then does what that reason asks for.
"""

import asyncio
import logging

from media_host.agents.base import AgentStart
from media_host.earlier import earlier_lines
from media_host.ending import LOST, End, Ending, EndKind
from media_host.exchange import Exchange
from media_host.lines.base import Line
from media_host.services import Services
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.errors import PatchcordError
from shared.telemetry import metrics

log = logging.getLogger(__name__)

LAST_EVENTS_S = 60.0
"""How long the last events of a call may wait for a store that is away (s)."""

RECOVER_S = 8.0
"""How long a handover of before may take to be taken back (s)."""

DISCONNECTED_ID = "twilio-disconnected"
"""Of the event by which the host itself records that a call is over: the function app may write it too, the first counts."""


class Session(Exchange):
    """One connection of one call; see `Exchange` for the arguments."""

    def __init__(
        self, services: Services, record: CallRecord, connection_id: str, line: Line, *, resumed: bool = False
    ) -> None:
        super().__init__(services, record, connection_id, line, resumed=resumed)
        self._ending = Ending(
            services,
            record,
            self._config,
            connection_id,
            line=line,
            playout=self._floor.playout,
            log=self._log,
            gone=self.gone,
            voice=self._voice,
        )

    async def run(self) -> None:
        """The whole call, to its last event; returns when nothing of it is left."""
        services = self._services
        self._log.start()
        self._log.note(
            EventKind.MEDIA_CONNECTED,
            hostId=services.host_id,
            callConnectionId=self._connection_id,
            audioFormat=self.line.audio_format,
            resumed=self._resumed,
        )
        limit = End(EndKind.LIMIT, "max_duration")
        timer = asyncio.get_running_loop().call_later(services.max_call_s, self.end, limit)
        reason = "internal"
        try:
            await self._begin()
            end = await self._end
            reason = end.reason
            await self._actions.close(gone=self.gone.is_set())
            await self._ending.run(end, flush=self._floor.flush, joined=self._actions.joined)
        except PatchcordError as error:
            log.error("call %s: %s", self.call_id, error)
        finally:
            timer.cancel()
            try:
                await self._close(reason)
            finally:
                self.line.close()
                if not self.line.reports_end:
                    self._note_disconnected()
                await self._log.close(LAST_EVENTS_S)
                services.post_call.begin(self._record.tenant, self.call_id, self._record.agent)

    async def _begin(self) -> None:
        began, record = self._clock(), self._record
        if self._resumed:
            await self._recover()
        if record.previous_calls:
            self._transcript.recall(await earlier_lines(self._services.calls, record))
        if self._pick_up is not None:
            await self._pick_up.begin(self._end)
        start = AgentStart(
            record.call_id,
            self.line.codec,
            record.task,
            record.input_variables,
            self._tools.specs,
            self._resumed or bool(record.moved_from),
        )
        failure = await self._agent.start(start, self._end)
        if failure is not None:
            self.end(End(EndKind.FAULT, failure.code, message=failure.message))
            return
        ms = round(self._clock() - began, 1)
        self._log.note(EventKind.AGENT_READY, agent=record.agent, ms=ms)
        if self._pick_up is not None:
            self._pick_up.agent_started()
        self._silence.start()

    async def _recover(self) -> None:
        """Take back a handover in whose middle the call lost its host."""
        try:
            async with asyncio.timeout(RECOVER_S):
                await self._handover.recover()
        except Exception:  # the caller is there, and whatever is left of a handover is not worth the call
            log.exception("call %s: a handover was not taken back", self.call_id)

    async def _close(self, reason: str) -> None:
        """Give back everything; each part has its own bound."""
        await self._agent.close()
        await self._actions.close(gone=False)
        await self._silence.close()
        if self._pick_up is not None:
            self._pick_up.close()
        self._waiting.stop()
        self.line.close()
        self._floor.playout.close()
        self._keys.note()
        self._digits.forget()
        self._transcript.close()
        await self._note_last(reason)

    async def _note_last(self, reason: str) -> None:
        config, playout = self._config, self._floor.playout
        duration_ms = (self._clock() if self._gone_ms is None else self._gone_ms) - self._began_ms
        if self._recorder is not None:
            file, ms = await self._recorder.close(duration_ms)
            consent = config.recording_consent
            log.info("call %s: recorded, consent: %s", self.call_id, "yes" if consent else "not stated")
            self._log.note(EventKind.RECORDING, file=file, ms=ms, consent=consent)
            if self._recorder.failed:
                self._log.note(EventKind.FAULT, code="recording_failed", message=self._recorder.failed)
        if playout.dropped_ms or self.line.dropped:
            dropped = f"{playout.dropped_ms:.0f} ms by the agent, {self.line.dropped} frames by the line"
            self._log.note(EventKind.FAULT, code="audio_dropped", message=dropped)
            metrics.PLAYOUT_DROPPED.add(playout.dropped_ms / 1000)
            metrics.LINE_DROPPED.add(self.line.dropped)
        self._log.note(
            EventKind.MEDIA_CLOSED,
            hostId=self._services.host_id,
            reason=reason,
            durationMs=round(duration_ms, 1),
        )

    def _note_disconnected(self) -> None:
        """Nobody else will tell: the record is final with the end of its audio."""
        if self._ending.regular:
            self._log.note(EventKind.DISCONNECTED, id=DISCONNECTED_ID)
        else:
            self._ending.note_lost()
            self._log.note(EventKind.DISCONNECTED, id=DISCONNECTED_ID, reason=LOST)
