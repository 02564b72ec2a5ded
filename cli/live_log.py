"""The live log of `patchcord emulate`: what happens in every call, as a story that is told while it goes on."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from cli.app_story import told_of_app
from cli.story import tell
from emulator.phone.scripted import ScriptedCall

type Json = Mapping[str, Any]


class LiveLog:
    """Writes lines that begin with the call's number: `#2`.

    Args:
        out: where they go.
        now: loop or monotonic time (s), for what the app does.
    """

    def __init__(self, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._now = now
        self._numbers: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, text: str) -> None:
        """A line of no call."""
        self._out.write(text + "\n")
        self._out.flush()

    def _number(self, correlation_id: str) -> int:
        if correlation_id not in self._numbers:
            self._numbers[correlation_id] = len(self._numbers) + 1
            self._began[correlation_id] = self._now()
        return self._numbers[correlation_id]

    def _line(self, correlation_id: str, text: str) -> None:
        self.say(f"#{self._number(correlation_id):<3}{text}")

    def watch(self, call: ScriptedCall) -> None:
        """Follow a telephone's call until it ends."""
        self._number(call.correlation_id)
        task = asyncio.create_task(self._follow(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, call: ScriptedCall) -> None:
        correlation_id = call.correlation_id
        async for event in call.story():
            text = tell(event, more=True)
            if text is not None:
                self._line(correlation_id, text)

    def wire(self, record: Json) -> None:
        """A record of the wire trace: what the app asked for, and what it was told."""
        call = record.get("call")
        if call is None:
            return
        number = str(call)
        self._number(number)
        text = told_of_app(record, self._now() - self._began[number])
        if text is not None:
            self._line(number, text)

    async def close(self) -> None:
        """Follow no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
