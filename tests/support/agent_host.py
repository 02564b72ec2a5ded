"""A host for one agent in tests: it notes all that it is given, and plays only when the test says so."""

import asyncio
import base64
from collections.abc import Callable

from media_host.agents.base import AgentEvent, Heard, TurnEnded, TurnStarted
from tests.support.timing import patience


class Changing:
    """Something that changes while a test waits; whoever changes it calls `changed`. `so_far` stands in a failure."""

    def __init__(self, so_far: Callable[[], object]) -> None:
        self._so_far = so_far
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Look again whether it is true."""
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to be true."""
        try:
            async with asyncio.timeout(patience(10)):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never came; so far: {self._so_far()}") from None


class NotingHost(Changing):
    """`events`, and the audio of each turn; `heard_ms` is what it says of every turn that is cut off."""

    def __init__(self, history=(), heard_ms=500) -> None:
        super().__init__(lambda: (self.events, list(self.sound)))
        self.events: list[AgentEvent] = []
        self.sound: dict[str, bytes] = {}
        self.said = list(history)
        self.heard_ms = heard_ms
        self.open: dict[str, None] = {}

    def audio(self, turn: str, data: bytes) -> None:
        self.sound[turn] = self.sound.get(turn, b"") + base64.b64decode(data, validate=True)
        self.changed()

    def event(self, event: AgentEvent) -> None:
        self.events.append(event)
        if isinstance(event, TurnStarted):
            self.open[event.turn] = None
        elif isinstance(event, TurnEnded):
            self.open.pop(event.turn, None)
        self.changed()

    def interrupt(self) -> list[Heard]:
        turns, self.open = self.open, {}
        return [Heard(turn, self.heard_ms, 2 * self.heard_ms) for turn in turns]

    def history(self):
        return self.said

    @property
    def quiet(self) -> bool:
        return not self.open

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    async def got(self, kind: type, count: int = 1) -> list:
        """The first `count` events of a kind."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)
