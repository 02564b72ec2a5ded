"""The story of a call: what happened, in order, for everybody who follows it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

type StoryEvent = dict[str, Any]
"""`{"t": ms since dialled, "kind": …, …}`."""


class Story:
    """Events of one call; readers may come late and see everything from the start.

    Attributes:
        events: all so far.
    """

    def __init__(self) -> None:
        self.events: list[StoryEvent] = []
        self._started = time.monotonic()
        self._changed = asyncio.Event()
        self._closed = False

    def elapsed_ms(self) -> float:
        """Milliseconds since the story began, one decimal."""
        return round((time.monotonic() - self._started) * 1000, 1)

    def tell(self, kind: str, **data: object) -> StoryEvent:
        """Add an event; nothing is added after `close`."""
        event: StoryEvent = {"t": self.elapsed_ms(), "kind": kind, **data}
        if not self._closed:
            self.events.append(event)
            self._wake()
        return event

    def close(self) -> None:
        """No more events: readers end. Idempotent."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self) -> AsyncIterator[StoryEvent]:
        """All events from the start, as they come, until the story is closed."""
        seen = 0
        while True:
            while seen < len(self.events):
                yield self.events[seen]
                seen += 1
            if self._closed:
                return
            await self._changed.wait()

    async def first(self, kind: str) -> StoryEvent:
        """The first event of a kind, waited for.

        Raises:
            LookupError: the story ended without one.
        """
        async for event in self.read():
            if event["kind"] == kind:
                return event
        raise LookupError(f"the call had no {kind!r}")
