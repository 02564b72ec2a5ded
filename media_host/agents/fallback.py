"""A chain of agents as one: when one cannot be started, or fails in the middle of a call, the next one takes over.

The next one is told that the call goes on (`AgentStart.resumed`, once anything was spoken) and finds in the host's history
what was said. The caller's words of the time between are kept for it, 2 s at most. What the dead one has already given to
the host is still heard; nothing that it does afterwards gets through, and what its tools find out goes nowhere.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from media_host.agents.base import (
    AgentCapabilities,
    AgentHost,
    AgentStart,
    Codec,
    Delayed,
    Fault,
    Heard,
    VoiceAgent,
)
from media_host.agents.border import Border
from shared.errors import AgentUnavailable, PatchcordError

log = logging.getLogger(__name__)

KEPT_FRAMES = 100
"""Caller frames (2 s) kept while no agent hears, the newest ones."""
KEPT_KEYS = 64
CLOSE_S = 1.8
"""How long all agents of the chain together may take to close (s)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One agent of a chain: its name in patchcord.yaml, and how to make it."""

    name: str
    make: Callable[[], VoiceAgent]


class FallbackAgent:
    """A `VoiceAgent` (see `agents.base`) made of several, used one after the other.

    Args:
        chain: in the order of use, two at least.
        attempt_s: how long each may take to start (s).
    """

    def __init__(self, chain: Sequence[Link], *, attempt_s: float) -> None:
        self._chain = chain
        self._attempt_s = attempt_s
        self._at = 0
        self._host: AgentHost
        self._start: AgentStart
        self._agent: VoiceAgent | None = None  # the one that lives, or is being started
        self._border: Border | None = None
        self._capabilities = AgentCapabilities(tuple(Codec), detects_speech=True, exact_say=False)
        self._deaf = True  # nobody hears yet: what the caller says is kept
        self._kept: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self._keys: deque[str] = deque(maxlen=KEPT_KEYS)
        self._spoke = False
        self._listens_only = False
        self._over = False
        self._attempting = False  # `_attempt` runs
        self._settled = asyncio.Event()  # there is an agent, or there will be none any more
        self._moving: asyncio.Task[None] | None = None
        self._burials: set[asyncio.Task[None]] = set()

    @property
    def capabilities(self) -> AgentCapabilities:
        """Those of the agent that lives: they change when another takes over."""
        return self._capabilities if self._agent is None else self._agent.capabilities

    async def start(self, start: AgentStart, host: AgentHost) -> None:
        """Start the first agent that can be started, each within `attempt_s`.

        Raises:
            PatchcordError: why the last one cannot serve this call; other exceptions are its own mistakes.
        """
        self._start, self._host = start, host
        await self._advance()

    # --- from the host ---------------------------------------------------------------------------------------

    def send_audio(self, data: bytes) -> None:
        """To the agent that lives; kept while there is none."""
        if self._deaf:
            self._kept.append(data)
            return
        try:
            self._agent.send_audio(data)  # type: ignore[union-attr]  # who hears is there
        except Exception as error:  # whatever it is, this agent has failed and the next one may do better
            self._kept.append(data)
            self._crashed(error)

    def send_key(self, key: str) -> None:
        """To the agent that lives; kept while there is none."""
        if self._deaf:
            self._keys.append(key)
        else:
            self._tell(lambda agent, border: agent.send_key(key))

    def flushed(self, heard: Sequence[Heard]) -> None:
        """To the agent that lives, its own turns only."""
        self._tell(lambda agent, border: agent.flushed(border.own(heard)))

    def played(self, turn: str) -> None:
        """To the agent that lives, if the turn is its own."""

        def tell(agent: VoiceAgent, border: Border) -> None:
            if (name := border.name(turn)) is not None:
                agent.played(name)

        self._tell(tell)

    async def send_text(self, text: str) -> None:
        """To the agent that lives, or the next one."""
        await self._ask(lambda agent: agent.send_text(text))

    async def listen_only(self) -> None:
        """To the agent that lives, or the next one. After that nobody takes over: nobody would speak."""
        self._listens_only = True
        await self._ask(lambda agent: agent.listen_only())

    async def say(self, text: str) -> None:
        """To the agent that lives, or the next one."""
        await self._ask(lambda agent: agent.say(text))

    async def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """To the agent that asked, if it still lives."""
        agent, border = self._agent, self._border
        name = None if border is None else border.name(id)
        if agent is None or name is None:
            return
        try:
            await agent.tool_result(name, output)
        except Exception as error:  # an agent that cannot take its result has failed
            if border is self._border:
                self._crashed(error)

    async def close(self) -> None:
        """Close all of them, in 2 s at most; idempotent."""
        self._over = self._deaf = True
        if self._border is not None:
            self._border.dead = True  # the host has closed: it is not told of turns that end
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait({self._moving})
        self._bury(None)
        self._settled.set()
        if self._burials:
            _, left = await asyncio.wait(self._burials, timeout=CLOSE_S)
            for task in left:
                task.cancel()

    # --- failing ---------------------------------------------------------------------------------------------

    def _tell(self, call: Callable[[VoiceAgent, Border], None]) -> None:
        if self._agent is None or self._border is None:
            return
        try:
            call(self._agent, self._border)
        except Exception as error:  # an agent that cannot take what it is told has failed, and is replaced
            self._crashed(error)

    async def _ask(self, call: Callable[[VoiceAgent], Awaitable[None]]) -> None:
        """Have it done by the agent that lives; one that fails at it gives way to the next, which is asked too."""
        while True:
            await self._settled.wait()
            agent, border = self._agent, self._border
            if agent is None:
                raise AgentUnavailable("no agent is left")
            try:
                await call(agent)
                return
            except Exception as error:  # whoever fails at what it is asked gives way
                if self._over:
                    raise
                if border is self._border:
                    self._crashed(error)

    def _crashed(self, error: Exception) -> None:
        if self._border is not None:
            log.error("agent %s crashed", self._chain[self._at].name, exc_info=error)
            self._border.lose(_fault_of(error))

    def _lost(self, border: Border, fault: Fault) -> None:
        """An agent is lost. While it was being started `_attempt` sees to it; otherwise the next one is started."""
        if self._attempting or self._over:
            return
        self._deaf = True
        self._settled.clear()
        self._bury(None)
        if border.ended or self._listens_only or not self._give_way(fault):
            self._host.event(fault)
            self._settled.set()
        else:
            self._moving = asyncio.create_task(self._replace(), name="agent fallback")

    def _give_way(self, fault: Fault) -> bool:
        """Tell the host that the next agent takes over; False if there is none."""
        self._spoke = self._spoke or (self._border is not None and self._border.spoke)
        if self._over or self._at + 1 == len(self._chain):
            return False
        old, new = self._chain[self._at].name, self._chain[self._at + 1].name
        self._at += 1
        log.warning("agent %s gives way to %s: %s: %s", old, new, fault.code, fault.message)
        self._host.event(replace(fault, fatal=False))
        self._host.event(Fault("agent_fallback", f"{old} failed, {new} takes over", fatal=False))
        self._host.event(Delayed("agent_fallback"))
        return True

    async def _replace(self) -> None:
        try:
            await self._advance()
        except Exception as error:  # nobody is left, and the host must know
            self._host.event(_fault_of(error))

    async def _advance(self) -> None:
        """Start the first that can be started, from `_at` on; raises what the last one failed with."""
        while True:
            try:
                await self._attempt(self._chain[self._at])
            except Exception as error:  # whatever keeps it from starting, the next may do
                if self._give_way(_fault_of(error)):
                    continue
                self._settled.set()
                raise
            self._settled.set()
            return

    async def _attempt(self, link: Link) -> None:
        prefix = f"~{self._at}~" if self._at else ""
        border = self._border = Border(self._host, prefix, self._lost)
        starting: asyncio.Task[None] | None = None
        self._attempting = True
        try:
            agent = self._agent = link.make()
            start = replace(self._start, resumed=self._start.resumed or self._spoke)
            starting = asyncio.create_task(agent.start(start, border), name=f"start of agent {link.name}")
            first: set[asyncio.Future[Any]] = {starting, border.lost}
            await asyncio.wait(first, timeout=self._attempt_s, return_when=asyncio.FIRST_COMPLETED)
            if not border.dead and not starting.done():
                raise AgentUnavailable(f"not started within {self._attempt_s:g} s")
            if not border.dead:
                await starting
                self._catch_up(agent)
            if border.lost.done():
                raise _Lost(border.lost.result())
            if self._over:
                raise AgentUnavailable("closed before it had started")
            self._deaf = False
        except BaseException:  # cancelled too: no agent is left behind; raised on
            border.die()
            self._bury(starting)
            raise
        finally:
            self._attempting = False

    def _catch_up(self, agent: VoiceAgent) -> None:
        """Hand over what the caller said and pressed meanwhile. An agent that fails at it leaves it to the next one."""
        for frame in self._kept:
            agent.send_audio(frame)
        for key in self._keys:
            agent.send_key(key)
        self._kept.clear()
        self._keys.clear()

    def _bury(self, starting: asyncio.Task[None] | None) -> None:
        """Close the present agent in the background: the next one does not wait for it."""
        agent, self._agent = self._agent, None
        if agent is not None:
            self._capabilities = agent.capabilities
            task = asyncio.create_task(_close(agent, starting), name="close of an agent")
            self._burials.add(task)
            task.add_done_callback(self._burials.discard)


class _Lost(AgentUnavailable):
    """An agent reported a fatal fault while it was being started."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(f"{fault.code}: {fault.message}")


def _fault_of(error: Exception) -> Fault:
    """A fatal fault for whatever an agent raised; the text of a crash may be anything and is left out."""
    if isinstance(error, _Lost):
        return error.fault
    if isinstance(error, PatchcordError):
        return Fault("agent_unavailable", error.message, fatal=True)
    return Fault("agent_crashed", type(error).__name__, fatal=True)


async def _close(agent: VoiceAgent, starting: asyncio.Task[None] | None) -> None:
    try:
        if starting is not None:
            starting.cancel()
            await asyncio.wait({starting}, timeout=CLOSE_S)
            if starting.done() and not starting.cancelled():
                starting.exception()  # retrieved: whoever waited for it knows it already
        async with asyncio.timeout(CLOSE_S):
            await agent.close()
    except Exception:  # a time-out, or the agent's mistake: nobody uses it any more
        log.exception("an agent did not close")
