"""A host and a configuration for tests of the realtime agent."""

import asyncio
import base64
from collections import Counter

from media_host.agents.base import AgentStart, Codec, Heard, SpeechStarted, ToolSpec, TurnEnded
from media_host.agents.realtime.access import ModelAccess
from media_host.agents.realtime.agent import RealtimeAgent
from shared.config.realtime import RealtimeAgentConfig, Transcription
from tests.support.timing import patience

TOOLS = (
    ToolSpec("look_up", "Look an order up.", {"type": "object"}),
    ToolSpec("slow", "Takes long.", {"type": "object"}, while_running="hold"),
)
START = AgentStart("call-1", Codec.PCM16_24K, tools=TOOLS)
SERVICES = ["openai", "voice-live"]
FRAME = base64.b64encode(bytes(960))


class NoSecrets:
    """An emulated model needs none."""

    async def get(self, reference):
        raise AssertionError(reference)


def config(endpoint, **changes):
    """Of an emulated model."""
    values = {
        "service": "openai",
        "endpoint": endpoint,
        "model": "model-1",
        "auth": "none",
        "transcription": Transcription(model="t"),
        "connections_per_minute": 10_000,
    }
    return RealtimeAgentConfig(**values | changes)


def agent(endpoint, *, mcp=None, now=None, **changes):
    """A fresh agent, by itself."""
    more = {name: value for name, value in (("mcp", mcp), ("now", now)) if value is not None}
    return RealtimeAgent(config(endpoint, **changes), ModelAccess(NoSecrets()), **more)


class Host:
    """Takes what an agent says; tests wait for it, and decide what is heard.

    Nothing is played out by itself: what has been said waits until `play`, `barge_in` or `interrupt`.
    """

    def __init__(self):
        self.log = []
        self.past = []
        self.unheard = Counter()  # turn -> bytes
        self.interrupts = 0
        self.agent = None  # barge-in at SpeechStarted, as hosts do
        self._news = asyncio.Event()

    def audio(self, turn, data):
        self.log.append((turn, data))
        self.unheard[turn] += len(base64.b64decode(data))
        self._news.set()

    def event(self, event):
        self.log.append(event)
        self._news.set()
        if isinstance(event, SpeechStarted) and self.agent is not None and not self.quiet:
            self.barge_in(self.agent)

    def interrupt(self):
        self.interrupts += 1
        return self.flush()

    def history(self):
        return self.past

    @property
    def quiet(self):
        return not self.unheard

    # --- for tests

    def flush(self, heard_ms=0):
        """Everything is silent; `heard_ms` of each turn were heard."""
        heard = [Heard(turn, min(heard_ms, size // 48), size // 48) for turn, size in self.unheard.items()]
        self.unheard.clear()
        return heard

    def barge_in(self, agent, heard_ms=0):
        agent.flushed(self.flush(heard_ms))

    def play(self, agent):
        """All that has ended was heard."""
        ended = {event.turn for event in self.of(TurnEnded)}
        for turn in [turn for turn in self.unheard if turn in ended]:
            del self.unheard[turn]
            agent.played(turn)

    def of(self, kind):
        return [entry for entry in self.log if isinstance(entry, kind)]

    @property
    def heard(self):
        return b"".join(base64.b64decode(entry[1]) for entry in self.log if isinstance(entry, tuple))

    async def until(self, condition):
        async with asyncio.timeout(patience(10)):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def wait_for(self, kind, count=1):
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]


async def settled(agent, session):
    """Everything that the agent had to say before has arrived at the model."""
    agent.send_audio(FRAME)
    before = len(session.of("input_audio_buffer.append"))
    async with asyncio.timeout(patience(10)):
        while len(session.of("input_audio_buffer.append")) <= before:
            await asyncio.sleep(0.001)
