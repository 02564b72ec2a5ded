"""Tools at work for an agent: each call is answered exactly once, whatever happens, and the audio waits for none of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from media_host.agents.base import ToolCall
from media_host.event_log import EventLog
from shared.calls.events import EventKind
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

MAX_TOOLS = 8
"""Tools of one call that may run at the same time."""

MAX_CALLS = 64
"""Calls that may wait for an agent to take their results; one that only asks has failed."""

ANSWER_S = 0.3
"""How long the answers to what is still running may take at the end (s)."""

NAME_CHARS = 64
"""An agent may ask for a tool of any name; the record keeps so much of it."""

type Result = Mapping[str, object]


class ToolRuns:
    """One call's.

    Args:
        run: runs a tool; it does not raise for what the tool or the agent did wrong.
        answer: gives the agent a result.
        log: the call's events.
        clock: milliseconds that never go back.
        failed: the agent did not take its results.
        changed: a tool has begun or ended.
    """

    def __init__(
        self,
        run: Callable[[ToolCall], Awaitable[Result]],
        answer: Callable[[str, Result], Awaitable[None]],
        *,
        log: EventLog,
        clock: Callable[[], float],
        failed: Callable[[Exception], None],
        changed: Callable[[], None],
    ) -> None:
        self._run = run
        self._answer = answer
        self._log = log
        self._clock = clock
        self._failed = failed
        self._changed = changed
        self._calls: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[Result]] = set()
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def busy(self) -> bool:
        """Whether any runs."""
        return bool(self._running)

    def start(self, call: ToolCall) -> None:
        """Run a tool and answer; what may not run any more is answered with an error."""
        if len(self._calls) >= MAX_CALLS:
            self._failed(AgentUnavailable("asks for tools and takes no results"))
            return
        task = asyncio.create_task(self._serve(call), name="tool call")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def close(self, why: str) -> None:
        """Answer what is still running with the error `why`, and run nothing more; within half a second."""
        if not self._over.done():
            self._over.set_result(why)
        for tasks in (self._calls, self._running):
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=ANSWER_S)
                for task in late:
                    task.cancel()

    async def _serve(self, call: ToolCall) -> None:
        began = self._clock()
        result = await self._result(call)
        self._log.note(
            EventKind.TOOL,
            name=call.name[:NAME_CHARS],
            ms=round(self._clock() - began, 1),
            ok="error" not in result,
        )
        try:
            await self._answer(call.id, result)
        except Exception as error:  # an agent that cannot take its result has failed, whatever it raised
            self._failed(error)

    async def _result(self, call: ToolCall) -> Result:
        if self._over.done():
            return {"error": self._over.result()}
        if len(self._running) >= MAX_TOOLS:
            return {"error": "too many tools at the same time"}
        running = asyncio.create_task(_awaited(self._run(call)), name=f"tool {call.name[:NAME_CHARS]}")
        self._running.add(running)
        self._changed()
        running.add_done_callback(self._ended)
        first: set[asyncio.Future[Any]] = {running, self._over}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        running.cancel()
        return {"error": self._over.result()}

    def _ended(self, task: asyncio.Task[Result]) -> None:
        self._running.discard(task)
        self._changed()


async def _awaited(result: Awaitable[Result]) -> Result:
    try:
        return await result
    except Exception:  # a fault of ours in a tool must not leave the agent without an answer
        log.exception("a tool failed")
        return {"error": "failed"}
