"""One call: line and agent joined, and everything between them that is neither's: playout, barge-in, keys, recording, tools.

The session ends for one reason, the first that comes (`End`); `ending.Ending` then does what that reason asks for.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from media_host.agents.base import (
    AgentEvent,
    AgentStart,
    Ended,
    Fault,
    Heard,
    Said,
    SpeechStarted,
    ToolCall,
    Transcript,
    TurnEnded,
    VoiceAgent,
)
from media_host.audio import ACS_CODECS
from media_host.ending import CLOSE_S, End, Ending, EndKind
from media_host.event_log import EventLog
from media_host.lines.acs import AcsLine
from media_host.playout import Playout
from media_host.services import Services
from media_host.transcript import TranscriptLog
from media_host.websocket import WebSocketConnection
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.errors import PatchcordError

log = logging.getLogger(__name__)

MAX_TOOLS = 8
"""Tools of one call that may run at the same time."""

EARLY_FRAMES = 100
"""Frames of the line (2 s) kept until there is an agent to hear them."""

BROKEN_RULES = frozenset({1002, 1003, 1007, 1008, 1009, 1011})
"""Close codes that tell of a mistake, the peer's or ours: the record says so, because no caller has hung up."""

KEYS_TOGETHER_S = 1.0
LAST_EVENTS_S = 10.0


class Session:
    """One connection of one call. It is the agent's host (`agents.base.AgentHost`).

    Args:
        services: what calls share.
        record: the call as it stood when the line connected.
        connection_id: ACS's id of the call.
        resumed: the call was talking before, over another connection.
    """

    def __init__(
        self, services: Services, record: CallRecord, connection_id: str, *, resumed: bool = False
    ) -> None:
        self.call_id = record.call_id
        self.gone = asyncio.Event()
        self._services = services
        self._record = record
        self._connection_id = connection_id
        self._resumed = resumed
        config = services.config.agents[record.agent]
        self._config = config
        self._codec = ACS_CODECS[config.audio]
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._clock = services.clock_ms
        self._began_ms = self._clock()
        self._gone_ms: float | None = None
        name = f"{services.host_id}-{secrets.token_hex(4)}"
        self._log = EventLog(
            lambda event: services.calls.append(record.tenant, record.call_id, event), services.now, name
        )
        self._transcript = TranscriptLog(self._log, services.now)
        self._recorder = services.make_recorder(record.call_id, self._codec) if config.recording else None
        self._agent: VoiceAgent | None = None
        self._starting: asyncio.Task[None] | None = None
        self._turn = ""
        self._spoken = False
        self._early: list[bytes] = []
        self._keys = 0
        self._keys_timer: asyncio.TimerHandle | None = None
        self._tools: set[asyncio.Task[None]] = set()
        self.line = AcsLine(
            self._codec,
            on_audio=self._caller_early,
            on_key=self._key,
            on_fault=lambda reason: self.end(End(EndKind.FAULT, reason)),
            name=record.call_id,
        )
        self.playout = Playout(
            self._codec,
            self.line.send_audio,
            services.clock_ms,
            ticker=services.ticker,
            recorder_tap=None if self._recorder is None else self._agent_recorded,
            on_played=self._played,
        )

    # --- the line --------------------------------------------------------------------------------------------

    def attach(self, connection: WebSocketConnection) -> None:
        """Use `connection`, before it is accepted."""
        self.line.attach(connection)

    def on_text(self, frame: bytes) -> None:
        """A frame of the line. A fault of ours or of the agent's ends the conversation, not the line: the caller must be told."""
        try:
            self.line.on_text(frame)
        except Exception:  # whatever it is, the caller gets an apology and not silence
            log.exception("call %s: the caller's audio met a fault", self.call_id)
            self._deafen()
            self.end(End(EndKind.FAULT, "agent_crashed"))

    def on_close(self, code: int, reason: str) -> None:
        """The line is closed: the caller has hung up, or ACS has lost us."""
        self._gone_ms = self._clock()
        if code in BROKEN_RULES:  # the number only: the reason may be the peer's own words
            self._log.note(EventKind.FAULT, code="line_refused", message=f"WebSocket close code {code}")
        self._flushed(self.playout.flush())
        self.gone.set()
        self.end(End(EndKind.LINE, "line_closed"))

    def _caller_early(self, data: bytes) -> None:
        """The line may speak before `run` has had its first turn on the loop."""
        self._caller_recorded(data)
        if len(self._early) < EARLY_FRAMES:
            self._early.append(data)

    def _caller_recorded(self, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.caller(self._clock() - self._began_ms, data)

    def _agent_recorded(self, at_ms: float, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.agent(at_ms - self._began_ms, data)

    def _listen(self, agent: VoiceAgent) -> None:
        """From now on the caller's audio goes to the agent, by the shortest way there is."""
        for early in self._early:
            agent.send_audio(early)
        self._early.clear()
        if self._recorder is None:
            self.line.on_audio = agent.send_audio
            return
        record, send, began, clock = self._recorder.caller, agent.send_audio, self._began_ms, self._clock

        def both(data: bytes) -> None:
            record(clock() - began, data)
            send(data)

        self.line.on_audio = both

    def _deafen(self) -> None:
        """The agent hears no more; the recording does."""
        self.line.on_audio = self._caller_recorded

    def _key(self, key: str) -> None:
        """Counted for the record in bundles; the key itself goes to the agent and nowhere else."""
        self._keys += 1
        if self._keys_timer is None:
            self._keys_timer = asyncio.get_running_loop().call_later(KEYS_TOGETHER_S, self._note_keys)
        if self._agent is not None and not self._end.done():
            self._agent.send_key(key)

    def _note_keys(self) -> None:
        if self._keys_timer is not None:
            self._keys_timer.cancel()
            self._keys_timer = None
        if self._keys:
            self._log.note(EventKind.KEYS, count=self._keys)
            self._keys = 0

    # --- the agent's host ------------------------------------------------------------------------------------

    def audio(self, turn: str, data: bytes) -> None:
        """The agent speaks."""
        if turn != self._turn:
            if self._end.done():
                return
            self._turn = turn
            self._transcript.began(turn, self.playout.lead_ms)
            if not self._spoken:
                self._spoken = True
                self._log.note(EventKind.FIRST_AUDIO, ms=round(self._clock() - self._began_ms, 1))
        self.playout.push(turn, data)

    def event(self, event: AgentEvent) -> None:
        """The agent reports."""
        if self._end.done():
            return
        match event:
            case SpeechStarted(ago_ms=ago_ms):
                self._barge_in(ago_ms)
            case Transcript():
                self._transcript.said(event)
            case TurnEnded(turn=turn):
                self.playout.end(turn)
            case ToolCall():
                self._run_tool(event)
            case Ended():
                self.end(End(EndKind.AGENT, event.reason, event))
            case Fault(code=code, message=message, fatal=fatal):
                log.warning("call %s: agent: %s: %s", self.call_id, code, message)
                if fatal:
                    self.end(End(EndKind.FAULT, code, message=message))
                else:
                    self._log.note(EventKind.FAULT, code=code, message=message)
            case _:
                pass  # turns that begin and silence that begins need nothing of us

    def interrupt(self) -> Sequence[Heard]:
        """The agent wants to be silent at once (a key, a new prompt)."""
        return self._flush()

    def history(self) -> Sequence[Said]:
        """The conversation so far, as it was heard."""
        return self._transcript.history()

    @property
    def quiet(self) -> bool:
        """Whether nothing of the agent's is waiting to be heard."""
        return self.playout.idle

    def _barge_in(self, ago_ms: int) -> None:
        """The caller talks over the agent: silence first, then everybody is told (realtime.md section 6)."""
        if self.playout.idle:
            return
        began = self._clock()
        heard = self._flush()
        if self._agent is not None:
            self._agent.flushed(heard)
        self._log.note(
            EventKind.BARGE_IN,
            heardMs=heard[-1].heard_ms if heard else 0,
            silenceMs=round(ago_ms + self._clock() - began, 1),
        )

    def _flush(self) -> list[Heard]:
        if self.playout.idle:
            return []
        self.line.stop_audio()
        heard = self.playout.flush()
        self._turn = ""
        if self._recorder is not None:
            self._recorder.cut(self._clock() - self._began_ms)
        self._flushed(heard)
        return heard

    def _flushed(self, heard: Sequence[Heard]) -> None:
        for item in heard:
            self._transcript.heard(item, interrupted=item.heard_ms < item.made_ms)

    def _played(self, heard: Heard) -> None:
        self._transcript.heard(heard, interrupted=False)
        if self._agent is not None and not self._end.done():
            self._agent.played(heard.turn)

    def _run_tool(self, call: ToolCall) -> None:
        if len(self._tools) >= MAX_TOOLS:
            self.end(End(EndKind.FAULT, "too_many_tools"))
            return
        task = asyncio.create_task(self._answer_tool(call), name=f"tool {call.name}")
        self._tools.add(task)
        task.add_done_callback(self._tools.discard)

    async def _answer_tool(self, call: ToolCall) -> None:
        began = self._clock()
        result = await self._services.tools.run(call.name, call.arguments)
        self._log.note(
            EventKind.TOOL, name=call.name, ms=round(self._clock() - began, 1), ok="error" not in result
        )
        if self._agent is None or self._end.done():
            return
        try:
            await self._agent.tool_result(call.id, result)
        except Exception:  # an agent that cannot take its result has failed; the caller is told
            log.exception("call %s: the agent did not take a tool's result", self.call_id)
            self.end(End(EndKind.FAULT, "agent_crashed"))

    # --- life ------------------------------------------------------------------------------------------------

    def end(self, end: End) -> None:
        """End the conversation; the first reason counts."""
        if not self._end.done():
            log.info("call %s: ends: %s (%s)", self.call_id, end.reason, end.kind)
            self._deafen()
            self._turn = "\0"  # no turn has this name, so audio() looks at `_end` again
            self._end.set_result(end)

    async def run(self) -> None:
        """The whole call, to its last event; returns when nothing of it is left."""
        services, record = self._services, self._record
        self._log.start()
        self._log.note(
            EventKind.MEDIA_CONNECTED,
            hostId=services.host_id,
            callConnectionId=self._connection_id,
            audioFormat=self._config.audio,
            resumed=self._resumed,
        )
        limit = End(EndKind.LIMIT, "max_duration")
        timer = asyncio.get_running_loop().call_later(services.max_call_s, self.end, limit)
        reason = "internal"
        try:
            await self._start_agent()
            end = await self._end
            reason = end.reason
            await Ending(
                services,
                record,
                self._config,
                self._connection_id,
                line=self.line,
                playout=self.playout,
                log=self._log,
                gone=self.gone,
                codec=self._codec,
            ).run(end, flush=self._flush)
        except PatchcordError as error:
            log.error("call %s: %s", self.call_id, error)
        finally:
            timer.cancel()
            try:
                await self._close(reason)
            finally:
                await self._log.close(LAST_EVENTS_S)

    async def _start_agent(self) -> None:
        began = self._clock()
        code, message = "agent_timeout", f"not started within {self._services.agent_start_s:g} s"
        try:
            agent = self._agent = self._services.make_agent(self._config)
            self._listen(agent)
            starting = asyncio.create_task(agent.start(self._agent_start(), self), name="agent start")
            self._starting = starting
            first: set[asyncio.Future[Any]] = {starting, self._end}
            await asyncio.wait(
                first,
                timeout=self._services.agent_start_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if starting.done():
                await starting
                self._log.note(
                    EventKind.AGENT_READY, agent=self._record.agent, ms=round(self._clock() - began, 1)
                )
                return
        except PatchcordError as error:
            code, message = "agent_unavailable", error.message
        except Exception as error:  # an agent's mistake must not become a caller's silence
            log.exception("call %s: the agent cannot be started", self.call_id)
            code, message = "agent_crashed", type(error).__name__
        if self._starting is not None:
            self._starting.cancel()  # `_close` waits for it: the caller is in silence
        self.end(End(EndKind.FAULT, code, message=message))

    def _agent_start(self) -> AgentStart:
        record = self._record
        return AgentStart(
            record.call_id,
            self._codec,
            record.task,
            record.input_variables,
            self._services.tools.specs,
            self._resumed,
        )

    async def _close(self, reason: str) -> None:
        """Give back everything; each part has its own bound."""
        for task in self._tools:
            task.cancel()
        if self._starting is not None:
            self._starting.cancel()
            done, _ = await asyncio.wait({self._starting}, timeout=CLOSE_S)
            await asyncio.gather(*done, return_exceptions=True)
        if self._agent is not None:
            try:
                await asyncio.wait_for(self._agent.close(), CLOSE_S)
            except Exception:  # a time-out, or the agent's mistake: the call is over either way
                log.exception("call %s: the agent did not close", self.call_id)
        await asyncio.gather(*self._tools, return_exceptions=True)
        self.line.close()
        self.playout.close()
        duration_ms = (self._clock() if self._gone_ms is None else self._gone_ms) - self._began_ms
        self._note_keys()
        self._transcript.close()
        if self._recorder is not None:
            file, ms = await self._recorder.close(duration_ms)
            consent = self._config.recording_consent
            log.info("call %s: recorded, consent: %s", self.call_id, "yes" if consent else "not stated")
            self._log.note(EventKind.RECORDING, file=file, ms=ms, consent=consent)
            if self._recorder.failed:
                self._log.note(EventKind.FAULT, code="recording_failed", message=self._recorder.failed)
        if self.playout.dropped_ms or self.line.dropped:
            self._log.note(
                EventKind.FAULT,
                code="audio_dropped",
                message=f"{self.playout.dropped_ms:.0f} ms by the agent, {self.line.dropped} frames by the line",
            )
        self._log.note(
            EventKind.MEDIA_CLOSED,
            hostId=self._services.host_id,
            reason=reason,
            durationMs=round(duration_ms, 1),
        )
