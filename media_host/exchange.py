"""Line and agent joined, and everything between them that is neither's.

The parts stand beside it: `floor` (who is heard), `barge_in`, `caller_audio`, `keys`, `silence`, `waiting`, `voice` (what the
host says itself), `tool_runs`, `call_actions` (what tools and keys make the host do), `agent_life`. When they begin and end is
`session.Session`'s.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence

from media_host.agent_life import AgentLife
from media_host.agents.base import (
    AgentEvent,
    Delayed,
    Ended,
    Fault,
    Heard,
    Said,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
    TransferType,
    TurnEnded,
    TurnStarted,
)
from media_host.call_actions import CallActions
from media_host.call_telemetry import call_telemetry
from media_host.caller_audio import CallerAudio
from media_host.earlier import said_in
from media_host.ending import End, EndKind
from media_host.event_log import EventLog
from media_host.floor import Floor
from media_host.handover import Handover
from media_host.keys import Keys
from media_host.lines.base import Line
from media_host.picked_up import PickUp
from media_host.second_opinion import second_opinion
from media_host.secure_digits import SecureDigits
from media_host.services import Services
from media_host.silence import Silence
from media_host.tool_runs import Result, ToolRuns
from media_host.transcript import TranscriptLog
from media_host.voice import HostVoice
from media_host.waiting import Waiting
from media_host.websocket import WebSocketConnection
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.config.agent import ConversationalAgent
from shared.config.agent import Silence as SilenceConfig
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

BROKEN_RULES = frozenset({1002, 1003, 1007, 1008, 1009, 1011})
"""Close codes that tell of a mistake, the peer's or ours: the record says so, because no caller has hung up."""

ENDED = "ended"
"""Why an agent is deaf whose conversation is over."""


class Exchange:
    """The middle of one call. It is the agent's host (`agents.base.AgentHost`).

    Args:
        services: what calls share.
        record: the call as it stood when the line connected.
        connection_id: ACS's id of the call, or "".
        line: the telephone side.
        resumed: the call was talking before, over another connection.
    """

    def __init__(
        self, services: Services, record: CallRecord, connection_id: str, line: Line, *, resumed: bool = False
    ) -> None:
        self.call_id = record.call_id
        self.gone = asyncio.Event()
        self._services = services
        self._record = record
        self._connection_id = connection_id
        self._resumed = resumed
        self._clock = services.clock_ms
        self._began_ms = self._clock()
        self._gone_ms: float | None = None
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._postponed: End | None = None
        self._agent_done = False
        config = self._config = services.config.agents[record.agent]
        self._tools = services.tools.for_agent(config, returns=bool(record.return_to))
        self._log = EventLog(
            lambda event: services.calls.append(record.tenant, record.call_id, event),
            services.now,
            f"{services.host_id}-{secrets.token_hex(4)}",
            call_telemetry(record, services.now, (spec.name for spec in self._tools.specs)),
        )
        self._transcript = TranscriptLog(
            self._log, services.now, redact=config.redact, earlier=said_in(record) if resumed else ()
        )
        codec = line.codec
        self._recorder = services.make_recorder(record.call_id, codec) if config.recording else None
        self.line = line
        line.on_key, line.on_stop = self._key, self._caller_left
        line.on_fault = lambda reason: self.end(End(EndKind.FAULT, reason))
        self._audio = CallerAudio(self.line, codec, self._recorder, self._began_ms, self._clock)
        self._keys = Keys(self._log, self._free_key)
        self._tool_runs = ToolRuns(
            self._run_tool,
            self._answer_tool,
            log=self._log,
            clock=self._clock,
            failed=self._crashed,
            changed=self.changed,
        )
        self._agent = AgentLife(
            lambda: services.make_agent(config),
            self,
            self._audio,
            self._tool_runs,
            start_s=services.agent_start_s,
            attempts=1 + len(config.fallback),
            name=record.call_id,
        )
        self._floor = Floor(
            services,
            self.line,
            codec,
            self._recorder,
            log=self._log,
            transcript=self._transcript,
            began_ms=self._began_ms,
            agent=lambda: None if self._end.done() else self._agent.agent,
            may_speak=self._may_speak,
            changed=self.changed,
        )
        second_opinion(config, self._audio, self._floor.barge_in)
        self._voice = HostVoice(
            self._floor,
            services.notices,
            codec,
            audio=self._audio,
            keys=self._keys,
            gone=self.gone,
            say=self._say,
        )
        self._waiting = Waiting(self._nobody_speaks, self._voice.notice)
        self._silence = Silence(
            config.silence if isinstance(config, ConversationalAgent) else SilenceConfig(after_s=0),
            busy=self._something_happens,
            agent=self._agent,
            voice=self._voice,
            end=self._caller_silent,
        )
        self._digits = SecureDigits(config.secure_digits, self._audio, self._keys, self._voice)
        self._pick_up = None
        if record.direction == "outbound" and not resumed:
            self._pick_up = PickUp(
                self._audio, self._agent, config.outbound, log=self._log, machine=self._machine_answered
            )
        self._handover = Handover(services, record, config, connection_id, log=self._log, voice=self._voice)
        self._actions = CallActions(
            self,
            record,
            connection_id,
            control=services.control,
            line=line,
            handover=self._handover,
            agent=self._agent,
            voice=self._voice,
            digits=self._digits,
        )

    # --- the line --------------------------------------------------------------------------------------------

    def attach(self, connection: WebSocketConnection) -> None:
        """Use `connection`, before it is accepted."""
        self.line.attach(connection)

    def on_text(self, frame: bytes) -> None:
        """A frame of the line. A fault of ours or of the agent's ends the conversation, not the line: the caller must be told."""
        try:
            self.line.on_text(frame)
        except Exception as error:  # whatever it is, the caller gets an apology and not silence
            self._crashed(error)

    def on_close(self, code: int, reason: str) -> None:
        """The line is closed: the caller has hung up, or the other side has lost us."""
        if code in BROKEN_RULES:  # the number only: the reason may be the peer's own words
            self._log.note(EventKind.FAULT, code="line_refused", message=f"WebSocket close code {code}")
        self._line_over("line_closed")

    def _caller_left(self) -> None:
        """The line says that the caller has gone; its WebSocket is closed by us in a moment."""
        self._line_over("caller_hung_up")

    def _line_over(self, reason: str) -> None:
        if self.gone.is_set():
            return
        self._gone_ms = self._clock()
        self._floor.cut()
        self.gone.set()
        self.line.over()
        self.end(End(EndKind.LINE, reason))
        self._agent.close()  # at once: a model's connection costs money for as long as it is open

    def _key(self, key: str) -> None:
        self._agent.key_pressed()
        self._keys.press(key)
        self._silence.caller_is_there()

    def _free_key(self, key: str) -> None:
        """A key that nobody waits for: some lead to a person by themselves, the others are the agent's."""
        if self._end.done() or self._actions.handing_over:
            return
        if key in self._config.keys:
            self._floor.silence_agent()
            self._actions.key(self._config.keys[key])
        elif self._agent.agent is not None:
            self._agent.agent.send_key(key)

    # --- the agent's host ------------------------------------------------------------------------------------

    def audio(self, turn: str, data: bytes) -> None:
        """The agent speaks."""
        self._floor.audio(turn, data)

    def event(self, event: AgentEvent) -> None:
        """The agent reports."""
        if self._agent_done:
            return
        match event:
            case ToolCall():
                self._tool_runs.start(event)
            case Transcript():
                self._transcript.said(event)
            case _ if self._end.done():
                pass
            case SpeechStarted(ago_ms=ago_ms):
                self._floor.barge_in.speech_started(ago_ms)
                self._transcript.caller_speaks(ago_ms)
                self._silence.caller_is_there()
            case SpeechStopped():
                self._floor.barge_in.speech_stopped()
                self.changed()
            case TurnStarted(turn=turn, barge_in=mode):
                self._floor.barge_in.turn_started(turn, mode)
            case TurnEnded(turn=turn):
                self._floor.barge_in.turn_ended(turn)
                self._floor.playout.end(turn)
            case Ended():
                self._agent_over(End(EndKind.AGENT, event.reason, event))
            case Fault(code=code, message=message, fatal=fatal):
                log.warning("call %s: agent: %s: %s", self.call_id, code, message)
                if fatal:
                    self._agent_over(End(EndKind.FAULT, code, message=message))
                else:
                    self._log.note(EventKind.FAULT, code=code, message=message)
            case Delayed(code=code):
                self._delayed(code)

    def interrupt(self) -> Sequence[Heard]:
        """The agent wants to be silent at once (a key, a new prompt)."""
        return self._floor.flush()

    def history(self) -> Sequence[Said]:
        """The conversation so far, as it was heard."""
        return self._transcript.history()

    @property
    def quiet(self) -> bool:
        """Whether nothing of the agent's is waiting to be heard."""
        return self._floor.playout.idle

    def _may_speak(self) -> bool:
        """The agent begins a turn."""
        if self._end.done() or self._actions.joined:
            return False
        self._waiting.stop()
        self._agent.look()
        return True

    def _agent_over(self, end: End) -> None:
        """The agent's last word. A person whom the caller is about to reach, or talks to, is not cut off by it."""
        self._agent_done = True
        self.deafen()
        if self._actions.handing_over:
            self._log.note(EventKind.FAULT, code=end.reason, message="the agent has ended during a handover")
            self._postponed = end
        else:
            self.end(end)

    def _crashed(self, error: Exception) -> None:
        """A fault of ours or of the agent's."""
        log.error("call %s: the agent has failed", self.call_id, exc_info=error)
        self._agent_over(End(EndKind.FAULT, "agent_crashed"))

    async def _say(self, text: str) -> None:
        if self._agent.agent is None or self._agent_done or self._end.done():
            raise AgentUnavailable("the agent has ended")
        await self._agent.agent.say(text)

    async def _run_tool(self, call: ToolCall) -> Result:
        if self._actions.joined:
            return {"error": "a person has taken over"}
        return await self._tools.run(call, self._actions, say=self._tool_says, secure=self._digits.values)

    async def _tool_says(self, text: str) -> None:
        """A slow tool asks for patience; whoever hears something already needs no more of it."""
        if self._nobody_speaks():
            await self._voice.say(text)

    async def _answer_tool(self, id: str, result: Result) -> None:
        if self._agent.agent is not None:
            await self._agent.agent.tool_result(id, result)

    # --- what goes on ----------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something has begun or ended: the silence is another one, and what was put off may come."""
        if self._postponed is not None and not self._actions.handing_over:
            self.end(self._postponed)
        self._silence.changed()

    def _nobody_speaks(self) -> bool:
        busy = self._floor.barge_in.speaking or self._actions.handing_over
        return self._floor.silent and not busy

    def _something_happens(self) -> bool:
        """Whether the caller's silence means nothing."""
        return (
            not self._floor.playout.idle
            or self._floor.barge_in.speaking
            or self._tool_runs.busy
            or self._actions.handing_over
            or self._waiting.on
            or self._agent.minds_silence
        )

    def _delayed(self, code: str) -> None:
        if not self._waiting.on and not self._actions.handing_over:
            self._log.note(EventKind.FAULT, code=code, message="the caller is asked to wait")
            self._waiting.start()

    def hush(self) -> None:
        """Nothing of the agent's is heard any more."""
        self._floor.hush()
        self._waiting.stop()
        self._silence.stop()
        self._floor.barge_in.speech_stopped()

    def deafen(self) -> None:
        """The agent hears no more."""
        self._audio.deafen(ENDED)

    def _machine_answered(self) -> None:
        """Nobody wants our words on an answering machine."""
        self._floor.flush()
        ended = Ended(TransferType.SYSTEM, "answering_machine", task=self._record.task)
        self.end(End(EndKind.AGENT, ended.reason, ended))

    def _caller_silent(self) -> None:
        ended = Ended(TransferType.SYSTEM, "caller_silent", task=self._record.task)
        self.end(End(EndKind.AGENT, ended.reason, ended))

    # --- life ------------------------------------------------------------------------------------------------

    def end(self, end: End) -> None:
        """End the conversation; the first reason counts."""
        if not self._end.done():
            log.info("call %s: ends: %s (%s)", self.call_id, end.reason, end.kind)
            self.deafen()
            self.hush()
            self._end.set_result(end)
