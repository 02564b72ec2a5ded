"""A host for agents in tests: it plays what it is given in no time unless told to hold, and notes every event."""

import asyncio
import base64
from collections.abc import Sequence

from media_host.agents.base import (
    AgentEvent,
    Ended,
    Heard,
    SpeechStarted,
    ToolCall,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.tools.samples import lookup_order
from tests.support.agent_host import Changing


class FakeHost(Changing):
    """Plays turns at once (or holds them, as a paced line would), flushes on speech, runs the sample tool."""

    def __init__(self) -> None:
        super().__init__(lambda: self.events)
        self.agent = None
        self.events: list[AgentEvent] = []
        self.audio_bytes: dict[str, int] = {}
        self.pieces: list[bytes] = []
        self.hold = False
        self.held: list[str] = []
        self.flushes = 0
        self._tasks: set[asyncio.Task] = set()

    def audio(self, turn: str, data: bytes) -> None:
        self.pieces.append(data)
        self.audio_bytes[turn] = self.audio_bytes.get(turn, 0) + len(base64.b64decode(data))

    def event(self, event: AgentEvent) -> None:
        self.events.append(event)
        match event:
            case TurnEnded(turn=turn):
                self.held.append(turn)
                if not self.hold:
                    asyncio.get_running_loop().call_soon(self.play)
            case SpeechStarted():
                if heard := self.interrupt():
                    self.agent.flushed(heard)
            case ToolCall():
                task = asyncio.create_task(self._run(event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self.changed()

    async def _run(self, call: ToolCall) -> None:
        output = {"error": "unknown tool"}
        if call.name == "lookup_order":
            output = await lookup_order(call.arguments)
        await self.agent.tool_result(call.id, output)

    def play(self) -> None:
        """All held turns have been heard."""
        turns, self.held = self.held, []
        for turn in turns:
            self.agent.played(turn)
        self.changed()

    def interrupt(self) -> Sequence[Heard]:
        turns, self.held = self.held, []
        self.flushes += bool(turns)
        return [Heard(turn, 0, 0) for turn in turns]

    def history(self):
        return ()

    @property
    def quiet(self) -> bool:
        return not self.held

    def said(self, who: str = "agent") -> list[str]:
        return [e.text for e in self.events if isinstance(e, Transcript) and e.who == who]

    @property
    def ended(self) -> Ended | None:
        return next((e for e in self.events if isinstance(e, Ended)), None)

    @property
    def turns(self) -> list[str]:
        return [e.turn for e in self.events if isinstance(e, TurnStarted)]
