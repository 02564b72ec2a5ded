"""How late this process is: an event loop with too much to do wakes playout late, and callers hear gaps."""

import asyncio
import contextlib
from typing import Self

from shared.telemetry import metrics

EVERY_S = 0.5
"""Between two looks (s)."""


class Lateness:
    """Measures it from `async with` on; only for those who export metrics.

    It looks at its own timer, not at playout's: the same loop wakes both, and audio carries nothing extra.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="lateness")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            metrics.LATE.add(max(0.0, loop.time() - due))
