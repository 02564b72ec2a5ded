"""One call's events on their way to the store: one queue, one task, and the audio never waits for either."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from media_host.redaction import redacted
from shared.calls.events import CallEvent, EventKind, Json
from shared.errors import PatchcordError
from shared.telemetry import metrics

log = logging.getLogger(__name__)

BOUND = 2000
"""Events of one call that may wait while the store is away."""

RETRY_S = (0.1, 0.3, 1.0, 2.0)
"""Pauses between attempts; the last one is repeated."""


class EventLog:
    """Writes events in order; what the store refuses for good is dropped and counted.

    Args:
        append: writes one event (`Calls.append` of this call).
        now: Unix seconds.
        name: prefix of the events' ids: unique for this connection of this call.
        watch: sees each event as it is noted.

    Attributes:
        dropped: events lost: the queue was full, the store refused them, or the time at the end was up.
    """

    def __init__(
        self,
        append: Callable[[CallEvent], Awaitable[object]],
        now: Callable[[], float],
        name: str,
        watch: Callable[[CallEvent], None] | None = None,
    ) -> None:
        self.dropped = 0
        self._append = append
        self._now = now
        self._name = name
        self._count = 0
        self._watch = watch
        self._queue: asyncio.Queue[CallEvent] = asyncio.Queue(BOUND)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write; what was noted before waits until then."""
        self._task = asyncio.create_task(self._run(), name=f"events {self._name}")

    def note(
        self,
        kind: EventKind,
        *,
        id: str = "",
        at: float | None = None,
        **data: Json,
    ) -> None:
        """Record what happened; returns at once. `id` makes it unique within the call (the first one wins).

        A `message` may hold an agent's own words: long numbers in it are masked.
        """
        self.note_all(kind, data, id=id, at=at)

    def note_all(
        self, kind: EventKind, data: dict[str, Json], *, id: str = "", at: float | None = None
    ) -> None:
        """`note` with its data in one piece."""
        self._count += 1
        message = data.get("message")
        if isinstance(message, str):
            data = {**data, "message": redacted(message)}
        event = CallEvent(
            id or f"{self._name}-{self._count}", kind, self._now() if at is None else at, dict(data)
        )
        if self._watch is not None:
            self._tell(self._watch, event)
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    def _tell(self, watch: Callable[[CallEvent], None], event: CallEvent) -> None:
        try:
            watch(event)
        except Exception:  # a call is worth more than what is told of it
            log.exception("%s: event %s was not told", self._name, event.kind)

    async def flush(self, within_s: float) -> bool:
        """Wait until all that was noted is stored; False when that takes longer."""
        try:
            async with asyncio.timeout(within_s):
                await self._queue.join()
        except TimeoutError:
            return False
        return True

    async def close(self, within_s: float) -> None:
        """Write what is left, then end the task, also when this is cancelled."""
        task = self._task
        if task is None:
            return
        try:
            await self.flush(within_s)
        finally:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.dropped += self._queue.qsize()
        if self.dropped:
            metrics.RECORD_DROPPED.add(self.dropped)
            log.error("%s: %d events were not stored", self._name, self.dropped)

    async def _run(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            finally:
                self._queue.task_done()

    async def _write(self, event: CallEvent) -> None:
        attempt = 0
        while True:
            try:
                await self._append(event)
                return
            except PatchcordError as error:
                if not error.retryable:
                    log.error("%s: event %s refused: %s", self._name, event.kind, error)
                    self.dropped += 1
                    return
            except Exception:  # a fault in one event must not stop the ones behind it
                log.exception("%s: event %s failed", self._name, event.kind)
                self.dropped += 1
                return
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
