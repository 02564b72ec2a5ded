"""What stands between the host and one agent of a chain: the host must not hear a dead agent, nor mix up two agents' names."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from media_host.agents.base import (
    AgentEvent,
    AgentHost,
    Ended,
    Fault,
    Heard,
    Said,
    ToolCall,
    Transcript,
    TurnEnded,
    TurnStarted,
)


class Border:
    """The host, as one agent of a chain sees it.

    Args:
        host: the real one.
        prefix: put before the agent's names of turns and tool calls: two agents may both have a turn "1".
        on_lost: called with the agent's fatal fault, once; it is not passed on.

    Attributes:
        dead: nothing passes any more.
        spoke: the agent has given audio.
        ended: the agent has ended the conversation in good order.
        lost: done when the agent is lost, with its fault.
    """

    def __init__(self, host: AgentHost, prefix: str, on_lost: Callable[["Border", Fault], None]) -> None:
        self.dead = False
        self.spoke = False
        self.ended = False
        self.lost: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self._host = host
        self._prefix = prefix
        self._on_lost = on_lost
        self._open: dict[str, None] = {}  # turns begun, and neither ended nor flushed; the host's names

    # --- the agent's host ------------------------------------------------------------------------------------

    def audio(self, turn: str, data: bytes) -> None:
        """Speak."""
        if not self.dead:
            self.spoke = True
            self._host.audio(self._prefix + turn, data)

    def event(self, event: AgentEvent) -> None:
        """Report."""
        if self.dead:
            return
        match event:
            case TurnStarted(turn=turn):
                self._open[self._prefix + turn] = None
                event = replace(event, turn=self._prefix + turn)
            case TurnEnded(turn=turn):
                self._open.pop(self._prefix + turn, None)
                event = TurnEnded(self._prefix + turn)
            case Transcript(turn=turn) if turn:
                event = replace(event, turn=self._prefix + turn)
            case ToolCall(id=id):
                event = replace(event, id=self._prefix + id)
            case Ended():
                self.ended = True
            case Fault(fatal=True):
                self.lose(event)
                return
            case _:
                pass  # has no name in it
        self._host.event(event)

    def interrupt(self) -> Sequence[Heard]:
        """Flush."""
        return [] if self.dead else self.own(self._host.interrupt())

    def history(self) -> Sequence[Said]:
        """The whole call's, whoever spoke."""
        return self._host.history()

    @property
    def quiet(self) -> bool:
        """Whether nothing waits to be heard, whoever made it."""
        return self._host.quiet

    # --- the chain's side ------------------------------------------------------------------------------------

    def name(self, name: str) -> str | None:
        """What the agent calls the host's `name` of a turn or tool call; None if it is another agent's."""
        return name.removeprefix(self._prefix) if name.startswith(self._prefix) else None

    def own(self, heard: Sequence[Heard]) -> list[Heard]:
        """Those of `heard` that are this agent's turns, by its own names; they are over."""
        found = []
        for part in heard:
            self._open.pop(part.turn, None)
            if (name := self.name(part.turn)) is not None:
                found.append(Heard(name, part.heard_ms, part.made_ms))
        return found

    def lose(self, fault: Fault) -> None:
        """The agent has failed; once."""
        if not self.dead:
            self.die()
            self.lost.set_result(fault)
            self._on_lost(self, fault)

    def die(self) -> None:
        """Let nothing pass from now on. What the agent has said so far is heard: its turns end here."""
        self.dead = True
        for turn in self._open:
            self._host.event(TurnEnded(turn))
        self._open.clear()
