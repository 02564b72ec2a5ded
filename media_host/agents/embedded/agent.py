"""The embedded demo agent in one call: it hears frames and keys, and lets its engine decide what to say.

A scripted dialogue with grammar speech recognition and a robotic voice: not a language model, and it does not understand free
speech. It exists so that the whole way of a call can be tried and tested offline (`reference/embedded-agent.md`, section 6).
"""

import asyncio
import binascii
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from media_host.agents.base import (
    AgentCapabilities,
    AgentEvent,
    AgentHost,
    AgentStart,
    Codec,
    Fault,
    Heard,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.embedded.dialogue import Dialogue
from media_host.agents.embedded.engine import (
    Action,
    CallerSaid,
    CallTool,
    Engine,
    Finish,
    Interrupt,
    Listen,
    Say,
)
from media_host.speech import Speech
from media_host.speech.vad import Onset, Utterance, VoiceActivity, pocketsphinx_detector
from shared.errors import AgentUnavailable, PatchcordError

log = logging.getLogger(__name__)

FRAME_MS = 20
PIECE_MS = 960
"""Prompts go to the host in pieces of this length: whole frames, and whole groups of base64 at every rate."""
MAX_QUEUE = 64

CAPABILITIES = AgentCapabilities(
    (Codec.PCM16_24K, Codec.PCM16_16K), detects_speech=True, exact_say=True, minds_silence=True
)


def monotonic_ms() -> float:
    """Milliseconds on the monotonic clock."""
    return time.monotonic() * 1000


class EmbeddedAgent:
    """A `VoiceAgent` (see `agents.base`) that follows a dialogue file.

    Args:
        dialogue: what to say and expect.
        speech: the engines of this process, started.
        clock_ms: milliseconds that never go back.
    """

    def __init__(
        self, dialogue: Dialogue, speech: Speech, *, clock_ms: Callable[[], float] = monotonic_ms
    ) -> None:
        self._dialogue = dialogue
        self._speech = speech
        self._clock = clock_ms
        self._host: AgentHost | None = None
        self._engine: Engine | None = None
        self._vad: VoiceActivity | None = None
        self._codec = Codec.PCM16_24K
        self._listen: Listen | None = None
        self._deaf = True  # while an utterance is decoded, a tool works, or it is all over
        self._unheard: dict[str, bool] = {}  # turn -> interruptible, in the order they are spoken
        self._turns = 0
        self._queue: deque[Say | CallTool | Finish] = deque()
        self._wake = asyncio.Event()
        self._speaker: asyncio.Task[None] | None = None
        self._decoding: asyncio.Task[None] | None = None
        self._preparing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def capabilities(self) -> AgentCapabilities:
        """PCM16 at 24 or 16 kHz; speaks exactly what it is told."""
        return CAPABILITIES

    async def start(self, start: AgentStart, host: AgentHost) -> None:
        """Begin the dialogue; the first prompt follows at once.

        Raises:
            AgentUnavailable: another codec, a synthesiser that does not answer, or a second start.
        """
        if self._engine is not None or self._closed:
            raise AgentUnavailable("an agent serves one call")
        if start.codec not in CAPABILITIES.codecs:
            raise AgentUnavailable(f"the embedded agent does not speak {start.codec}")
        head = self._dialogue.head
        speech = self._speech.recogniser is not None
        engine = Engine(self._dialogue, start.variables, task=start.task, speech=speech)
        actions = engine.start(self._clock(), resumed=start.resumed)
        for (
            action
        ) in actions:  # into the cache, so that a dead synthesiser is known before the call counts as served
            if isinstance(action, Say):
                await self._speech.synthesiser.say(
                    action.text, head.voice, start.codec.sample_rate, head.rate
                )
                break
        self._host, self._codec = host, start.codec
        if speech:
            self._vad = VoiceActivity(start.codec.sample_rate, pocketsphinx_detector())
        self._engine = engine
        self._speaker = asyncio.create_task(self._speak(), name=f"embedded agent {start.call_id}")
        self._do(actions)

    def send_audio(self, data: bytes) -> None:
        """One frame of the caller's audio."""
        vad = self._vad
        if self._deaf or vad is None or self._listen is None or self._listen.grammar is None:
            return
        found = vad.feed_base64(data)
        if found is not None:
            self._found(found)

    def send_key(self, key: str) -> None:
        """One key."""
        if self._vad is not None:
            self._vad.key_pressed()
        if self._engine is not None and not self._closed:
            if self._engine.takes_keys:
                self._forget_utterance()
            self._do(self._engine.key(key, self._clock()))

    def flushed(self, heard: Sequence[Heard]) -> None:
        """The host has flushed playout: nothing of it will be heard any more."""
        for item in heard:
            self._unheard.pop(item.turn, None)
        self._drop_prompts()
        self._settle()

    def played(self, turn: str) -> None:
        """A turn has been heard."""
        self._unheard.pop(turn, None)
        self._settle()

    async def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """A tool has answered."""
        if self._engine is not None and not self._closed:
            self._do(self._engine.tool_result(id, output, self._clock()))

    async def say(self, text: str) -> None:
        """Speak a text of the host's, after what is being said; it cannot be interrupted."""
        self._enqueue(Say(text, text, False))

    async def send_text(self, text: str) -> None:
        """Nothing: a dialogue minds silence by itself, and understands nothing but its own words."""

    async def listen_only(self) -> None:
        """Say and hear nothing more."""
        self._deaf, self._listen = True, None
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """End at once; idempotent."""
        self._closed = self._deaf = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in (self._speaker, self._decoding, *self._preparing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _do(self, actions: Sequence[Action]) -> None:
        """Carry out what the engine wants; speaking happens in its own task, in order."""
        for action in actions:
            match action:
                case Listen():
                    self._start_listening(action)
                case Interrupt():
                    self._interrupt()
                case CallerSaid(text=text):
                    self._report(Transcript("caller", text))
                case Finish() | CallTool():
                    self._deaf = True
                    self._enqueue(action)
                case Say():
                    self._enqueue(action)
        self._settle()

    def _start_listening(self, listen: Listen) -> None:
        self._listen, self._deaf = listen, False
        if self._vad is not None:
            self._vad.reset()
            self._vad.hang_ms, self._vad.max_ms = listen.hang_ms, listen.max_ms
        recogniser = self._speech.recogniser
        if listen.grammar is not None and recogniser is not None:
            task = asyncio.create_task(self._prepare(listen.grammar.jsgf))
            self._preparing.add(task)
            task.add_done_callback(self._preparing.discard)

    async def _prepare(self, jsgf: str) -> None:
        """Let the recogniser compile while the prompt is spoken."""
        recogniser = self._speech.recogniser
        try:
            if recogniser is not None:
                await recogniser.prepare(jsgf)
        except AgentUnavailable as error:
            log.warning("grammar not prepared: %s", error)

    def _found(self, found: Onset | Utterance) -> None:
        if isinstance(found, Onset):
            if not all(self._unheard.values()):  # a prompt that must be heard: this is not the caller's turn
                if self._vad is not None:
                    self._vad.reset()
                return
            if self._engine is not None:
                self._engine.speech_started()
                self._set_timer()
            self._drop_prompts()
            self._report(SpeechStarted(found.ago_ms))
            return
        self._report(SpeechStopped())
        if self._listen is not None and self._listen.grammar is not None:
            self._deaf = True
            self._decoding = asyncio.create_task(self._decode(found.pcm, self._listen.grammar.jsgf))

    async def _decode(self, pcm: bytes, jsgf: str) -> None:
        recogniser, engine = self._speech.recogniser, self._engine
        text = None
        if recogniser is None or engine is None:
            return
        try:
            result = await recogniser.recognise(pcm, jsgf, self._codec.sample_rate)
            if result.score >= engine.reject_below:
                text = result.text
        except AgentUnavailable as error:
            log.warning("an utterance was not recognised: %s", error)
        self._decoding = None
        if not self._closed:
            self._do(engine.heard(text, self._clock()))

    def _forget_utterance(self) -> None:
        """A key takes the place of what was being said or recognised."""
        if self._decoding is not None:
            self._decoding.cancel()
            self._decoding = None
            self._deaf = False

    def _interrupt(self) -> None:
        self._drop_prompts()
        if self._unheard and all(self._unheard.values()) and self._host is not None:
            self._unheard.clear()
            self._host.interrupt()

    def _drop_prompts(self) -> None:
        """Prompts that are not spoken yet; what must be heard stays."""
        kept = [item for item in self._queue if not isinstance(item, Say) or not item.interruptible]
        self._queue = deque(kept)

    def _enqueue(self, item: Say | CallTool | Finish) -> None:
        if (
            len(self._queue) >= MAX_QUEUE
        ):  # a dialogue that speaks without end is a fault, not a reason to grow
            self._report(Fault("agent_overflow", "too many prompts are waiting", True))
            return
        self._queue.append(item)
        self._wake.set()

    def _settle(self) -> None:
        """When all prompts have been heard the caller's time runs; keep the timer in step with the engine."""
        engine = self._engine
        if engine is None or self._closed:
            return
        speaking = self._vad is not None and self._vad.speaking
        if (
            not self._unheard
            and not self._queue
            and engine.deadline is None
            and not self._deaf
            and not speaking
        ):
            engine.prompts_played(self._clock())
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._engine is not None and self._engine.deadline is not None and not self._closed:
            delay = max(0.0, self._engine.deadline - self._clock()) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self._engine is not None and not self._closed:
            self._do(self._engine.poll(self._clock()))

    async def _speak(self) -> None:
        """Take what is to be said, one after the other, and give it to the host."""
        try:
            while True:
                while not self._queue:
                    self._wake.clear()
                    self._settle()
                    await self._wake.wait()
                item = self._queue[0]
                if isinstance(item, Say):
                    await self._speak_one(item)
                    continue
                self._queue.popleft()
                if isinstance(item, CallTool):
                    self._report(ToolCall(item.id, item.name, item.arguments))
                else:
                    self._report(item.ended)
        except PatchcordError as error:
            self._report(Fault("agent_unavailable", error.message, True))

    async def _speak_one(self, item: Say) -> None:
        head = self._dialogue.head
        pcm = await self._speech.synthesiser.say(item.text, head.voice, self._codec.sample_rate, head.rate)
        if not self._queue or self._queue[0] is not item:
            return  # the caller interrupted while it was being made
        self._queue.popleft()
        if self._host is None or not pcm:
            return
        self._turns += 1
        turn = f"t{self._turns}"
        self._unheard[turn] = item.interruptible
        self._report(TurnStarted(turn))
        self._report(Transcript("agent", item.shown, turn))
        for piece in frames(pcm, self._codec):
            self._host.audio(turn, piece)
        self._report(TurnEnded(turn))

    def _report(self, event: AgentEvent) -> None:
        if self._host is not None and not self._closed:
            self._host.event(event)


def frames(pcm: bytes, codec: Codec) -> list[bytes]:
    """PCM16 as base64 pieces of 960 ms, the last one filled up with silence to a whole 20 ms."""
    frame = codec.bytes_per_ms * FRAME_MS
    pcm += bytes(-len(pcm) % frame)
    size = codec.bytes_per_ms * PIECE_MS
    return [binascii.b2a_base64(pcm[at : at + size], newline=False) for at in range(0, len(pcm), size)]
