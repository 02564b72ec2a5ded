"""An agent of the operator's own, behind the protocol `voice-agent.v1`: we dial it, it answers (docs/voice-agent.md).

Audio goes over the wire as it is, in binary messages; the host's side of the border has it in base64.
"""

import asyncio
import binascii
import logging
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from websockets.exceptions import InvalidStatus, WebSocketException

from media_host.agents import voice_protocol as protocol
from media_host.agents.base import (
    AgentCapabilities,
    AgentHost,
    AgentStart,
    Codec,
    Ended,
    Fault,
    Heard,
    SpeechStarted,
    SpeechStopped,
    SpokenWord,
    ToolCall,
    Transcript,
    TransferType,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.prompting import render, spoken
from media_host.framing import Limits
from media_host.websocket import WebSocketConnection, connect
from shared.config.agents import WebSocketAgentConfig
from shared.errors import AgentUnavailable, InvalidInput, PatchcordError

log = logging.getLogger(__name__)

EARLY_FRAMES = 100
"""Caller frames (2 s) kept until the agent is ready, the newest ones."""
MAX_MISTAKES = 10
"""Messages that are not as the protocol says; the next one is fatal."""
NAMES = 256
"""How many names of turns are remembered: a turn needs one of its own."""
LIMITS = Limits(max_message=protocol.MAX_MESSAGE, write_bound=98_304, rate=5000)
"""2 s of audio at 24 kHz may wait for a slow agent; more is dropped and counted."""


class KeySource(Protocol):
    """Where the bearer token comes from (`shared.security.secrets.Secrets`)."""

    async def get(self, reference: str) -> str:
        """The secret behind a reference."""


class WebSocketAgent:
    """A `VoiceAgent` (see `agents.base`) at the other end of a WebSocket.

    Args:
        config: from patchcord.yaml.
        secrets: where its key comes from.
        start_s: from the dial to `ready` (s).
        limits: what the agent may do.
        fast: see `media_host.websocket`.
    """

    def __init__(
        self,
        config: WebSocketAgentConfig,
        secrets: KeySource,
        *,
        start_s: float,
        limits: Limits = LIMITS,
        fast: bool = True,
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._start_s = start_s
        self._limits = limits
        self._fast = fast
        self._host: AgentHost
        self._start: AgentStart
        self._ready: asyncio.Future[None]
        self._connection: WebSocketConnection | None = None
        self._capabilities = AgentCapabilities(tuple(Codec), detects_speech=True, exact_say=False)
        self._live = False  # ready, and neither ended, failed nor closed
        self._reason = "call_over"
        self._early: deque[bytes] = deque(maxlen=EARLY_FRAMES)
        self._turn = ""  # the one that audio belongs to
        self._cut = False  # audio of no turn is late, not a mistake
        self._names: deque[str] = deque(maxlen=NAMES)
        self._odd = b""  # half a sample
        self._silent = False
        self._slow = False
        self._mistakes = 0

    @property
    def capabilities(self) -> AgentCapabilities:
        """Any format; the rest is what the agent said in `ready`."""
        return self._capabilities

    @property
    def dropped(self) -> int:
        """Frames of the caller that the agent was too slow to take."""
        return 0 if self._connection is None else self._connection.dropped

    async def start(self, start: AgentStart, host: AgentHost) -> None:
        """Dial, tell the agent about the call, and wait until it is ready.

        Raises:
            AgentUnavailable: refused, too slow, or not in the line's format.
        """
        self._start, self._host = start, host
        self._ready = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._start_s):
                await self._dial()
                self._send(self._first_message())
                await self._ready
        except TimeoutError as error:
            self._leave("failed")
            raise AgentUnavailable(f"the voice agent was not ready within {self._start_s:g} s") from error
        except (OSError, WebSocketException) as error:
            self._leave("failed")
            raise AgentUnavailable(f"the voice agent refused the connection ({_refusal(error)})") from error
        except BaseException:  # cancelled, or AgentUnavailable itself: no socket is left behind; raised on
            self._leave("failed")
            raise

    async def _dial(self) -> None:
        config = self._config
        headers = {}
        if config.key:
            try:
                key = await self._secrets.get(config.key)
            except PatchcordError as error:
                raise AgentUnavailable(f"the voice agent's key cannot be read: {error.message}") from error
            if not re.fullmatch("[!-~]+", key):  # a line break would be a header of somebody else's making
                raise AgentUnavailable("the voice agent's key is not visible ASCII on one line")
            headers["Authorization"] = f"Bearer {key}"
        self._connection = await connect(
            config.url,
            headers=headers,
            on_text=self._on_text,
            on_binary=self._on_binary,
            on_close=self._on_close,
            subprotocol=protocol.SUBPROTOCOL,
            open_timeout_s=self._start_s,
            fast=self._fast,
            limits=self._limits,
        )

    def _first_message(self) -> bytes:
        config, start = self._config, self._start
        return protocol.start(
            start,
            self._host.history(),
            instructions=render(config.instructions, start.variables),
            greeting="" if start.resumed else spoken(config.greeting, start.variables),
            barge_in=config.barge_in,
        )

    # --- from the host ---------------------------------------------------------------------------------------

    def send_audio(self, data: bytes) -> None:
        """One frame of the caller's audio; until the agent is ready the last 2 s are kept."""
        connection = self._connection
        if not self._live or connection is None:
            self._early.append(data)
        elif not connection.send_binary(binascii.a2b_base64(data)) and not self._slow and connection.dropped:
            self._slow = True
            self._host.event(
                Fault("agent_slow", "it reads too slowly: audio of the caller is lost", fatal=False)
            )

    def send_key(self, key: str) -> None:
        """Each key at once: what belongs together is the agent's to know."""
        self._tell(protocol.dtmf(key))

    def flushed(self, heard: Sequence[Heard]) -> None:
        """What the caller heard of each turn that was cut off."""
        for part in heard:
            if part.turn == self._turn:
                self._turn, self._cut = "", True
            self._tell(protocol.interrupted(part))

    def played(self, turn: str) -> None:
        """The caller has heard all of it."""
        self._tell(protocol.played(turn))

    async def send_text(self, text: str) -> None:
        """Something that nobody said."""
        self._tell(protocol.text(text))

    async def listen_only(self) -> None:
        """The agent is told, and what it says nevertheless is not heard."""
        self._silent = self._cut = True
        self._turn = ""
        self._tell(protocol.listen_only())

    async def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """Answer one `toolCall`."""
        self._tell(protocol.tool_result(id, output))

    async def say(self, text: str) -> None:
        """Have it say this."""
        self._tell(protocol.say(text))

    async def close(self) -> None:
        """Tell the agent that it is over, in 2 s at most; idempotent."""
        self._leave(self._reason)
        connection = self._connection
        if connection is None:
            return
        try:
            await asyncio.wait_for(connection.wait_closed(), 1.5)
        except TimeoutError:
            connection.abort()

    def _leave(self, reason: str) -> None:
        """Begin to close; what the agent does not answer is cut after `Limits.close_s`."""
        self._live = False
        if self._connection is not None:
            self._connection.send_text(protocol.stop(reason), must=True)
            self._connection.close()

    def _tell(self, frame: bytes) -> None:
        if self._live:
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        connection = self._connection
        if connection is not None and not connection.send_text(frame, must=True) and self._live:
            self._fail("agent_slow", "the voice agent does not read what it is sent")

    # --- from the agent --------------------------------------------------------------------------------------

    def _on_binary(self, data: bytes) -> None:
        """Audio of the turn that has begun."""
        if not self._live:
            return
        if not self._turn:
            if not self._cut:
                self._mistake("audio: expected a turn before it")
            return
        if self._start.codec is not Codec.ULAW_8K:
            data = self._odd + data
            whole = len(data) & ~1
            data, self._odd = data[:whole], data[whole:]
        if data:
            self._host.audio(self._turn, binascii.b2a_base64(data, newline=False))

    def _on_text(self, frame: bytes) -> None:
        try:
            message = protocol.decode(frame)
        except InvalidInput as error:
            self._mistake(error.message)
            return
        if not self._live:
            self._before_ready(message)
        elif message is not None:
            self._on_message(message)

    def _before_ready(self, message: protocol.Message | None) -> None:
        if self._ready.done():
            return
        match message:
            case protocol.Ready(codec=codec) if codec != self._start.codec:
                self._refuse(f"the voice agent does not take {self._start.codec}")
            case protocol.Ready():
                self._capabilities = AgentCapabilities(
                    (self._start.codec,), message.detects_speech, message.exact_say, message.minds_silence
                )
                log.info(
                    "call %s: voice agent ready, session %s", self._start.call_id, _shown(message.session_id)
                )
                self._ready.set_result(None)
                self._live = True  # at once: its next message may be in the same packet
                for frame in self._early:
                    self.send_audio(frame)
                self._early.clear()
            case protocol.Error(fatal=True):
                self._refuse(f"{message.code}: {_shown(message.message)}")
            case protocol.Message():
                self._mistake("message: expected ready first")
            case None:
                pass  # a type that only later versions know

    def _on_message(self, message: protocol.Message) -> None:
        match message:
            case protocol.Turn():
                self._begin_turn(message)
            case protocol.TurnEnd(turn=turn):
                self._end_turn(turn)
            case protocol.SpeechStarted(ago_ms=ago_ms):
                self._host.event(SpeechStarted(ago_ms))
            case protocol.SpeechStopped():
                self._host.event(SpeechStopped())
            case protocol.Interrupt():
                self.flushed(self._host.interrupt())
            case protocol.Transcript():
                words = [SpokenWord(word.text, word.at_ms, word.ms) for word in message.words]
                self._host.event(Transcript(message.who, message.text, message.turn, words))
            case protocol.ToolCall():
                self._host.event(ToolCall(message.call_id, message.name, message.arguments))
            case protocol.Error():
                fault = Fault(message.code, _shown(message.message), message.fatal)
                if message.fatal:
                    self._fail(fault.code, fault.message)
                else:
                    self._host.event(fault)
            case protocol.End():
                self._end(message)
            case _:
                self._mistake("ready: expected only once")

    def _begin_turn(self, message: protocol.Turn) -> None:
        if self._silent:
            return
        if message.turn in self._names:
            self._mistake("turn.turn: expected a name that no other turn has")
            return
        if self._turn:
            self._host.event(TurnEnded(self._turn))
        first = not self._names and not self._start.resumed
        configured = self._config.greeting_barge_in if first else self._config.barge_in
        self._names.append(message.turn)
        self._turn, self._cut, self._odd = message.turn, False, b""
        self._host.event(TurnStarted(message.turn, message.barge_in or configured))

    def _end_turn(self, turn: str) -> None:
        if turn == self._turn:
            self._turn = ""
            self._host.event(TurnEnded(turn))
        elif turn not in self._names and not self._silent:
            self._mistake("turnEnd.turn: expected a turn that has begun")

    def _end(self, message: protocol.End) -> None:
        if self._turn:
            self._end_turn(self._turn)
        self._live = False
        self._reason = "completed"
        self._host.event(
            Ended(
                TransferType(message.outcome),
                message.reason,
                message.target,
                message.task or self._start.task,
                message.reference,
                message.variables,
            )
        )

    def _mistake(self, what: str) -> None:
        """A message that is not as the protocol says: it is skipped and recorded."""
        self._mistakes += 1
        if self._mistakes <= MAX_MISTAKES:
            self._host.event(Fault("agent_message", what, fatal=False))
        elif self._live:
            self._fail(
                "agent_message", f"more than {MAX_MISTAKES} messages that are not as the protocol says"
            )
        elif not self._ready.done():
            self._refuse("the voice agent does not speak the protocol")

    def _refuse(self, why: str) -> None:
        self._ready.set_exception(AgentUnavailable(why))
        self._ready.exception()  # retrieved: `start` may have been cancelled meanwhile

    def _fail(self, code: str, message: str) -> None:
        self._live = False
        self._reason = "failed"
        self._host.event(Fault(code, message, fatal=True))

    def _on_close(self, code: int, reason: str) -> None:
        """The end of the connection: ours to report unless the agent has ended, or we have closed."""
        if self._live:
            self._fail("agent_closed", f"the voice agent closed the connection (code {code})")
        elif not self._ready.done():
            self._refuse(f"the voice agent closed the connection (code {code})")


def _refusal(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__


def _shown(text: str) -> str:
    """A text of the agent's, fit for a record: one line, and no number that a caller may have keyed in."""
    return re.sub(r"\d{5,}", "#", "".join(char if char.isprintable() else " " for char in text))
