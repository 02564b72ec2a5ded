"""Publishes what the outbox holds: a call's rows soon after they were added, everything else in the sweep.

Nobody waits for it: a callback, and the answer to a caller, are done before. What fails stays for the next sweep, for a day.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.calls.poison import put_aside
from shared.calls.repository import Calls
from shared.errors import NotFound, PatchcordError
from shared.publishing.events import cloud_event
from shared.publishing.outbox import PAGE, Announcement, Kind, Outbox
from shared.publishing.topic import EventRefused, Topic
from shared.telemetry import metrics
from shared.transfers.record import CallTransfer
from shared.transfers.transfers import Transfers

logger = logging.getLogger(__name__)

AT_ONCE = 50
"""Calls whose events are being published in the background; those of further ones wait for the sweep."""

LEFT_S = 10.0
"""A row this old (s) was left by somebody: nobody else is about to publish it."""

KEPT_S = 86_400.0
"""A row this old (s) is given up: Event Grid itself keeps events for so long."""

ROUND_S = 10.0
"""So long (s) a sweep publishes at most; the next one goes on."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Publisher:
    """Publishes.

    Args:
        outbox: what is to be published.
        topic: where to.
        calls: to read records.
        transfers: by tenant.
        environment: name of the deployment.
        now: Unix seconds.
        backlog: events that had waited too long when the last sweep looked.
    """

    outbox: Outbox
    topic: Topic
    calls: Calls
    transfers: Mapping[str, Transfers]
    environment: str
    now: Callable[[], float]
    backlog: int = 0
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def soon(self, call_id: str) -> None:
        """Publish what a call has in the outbox, in the background; a full house leaves it to the sweep."""
        if len(self._running) < AT_ONCE:
            before = self._running.get(call_id)
            task = self._running[call_id] = asyncio.create_task(self._call(call_id, before))
            task.add_done_callback(lambda done: self._done(call_id, done))

    def _done(self, call_id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(call_id) is task:
            del self._running[call_id]

    async def _call(self, call_id: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])  # or it would publish the same rows at the same time
        try:
            await self._publish(await self.outbox.of_call(call_id))
        except PatchcordError as error:
            logger.warning("call %s: its events wait for the sweep: %s", call_id, error.message)
        except Exception:  # a background task has nobody to raise to; the sweep tries again
            logger.exception("call %s: its events wait for the sweep", call_id)

    async def sweep(self) -> int:
        """Publish what was left; the number of events. A topic that is away ends the round.

        Raises:
            StoreUnavailable: nothing can be read now.
        """
        published, waiting, after = 0, 0, ""
        metrics.PUBLISH_BACKLOG.watch(self, lambda publisher: publisher.backlog)
        end = asyncio.get_running_loop().time() + ROUND_S
        while asyncio.get_running_loop().time() < end:
            page = await self.outbox.page(after)
            left = [told for told in page if self.now() - told.at >= LEFT_S]
            waiting += len(left)
            for told in [told for told in left if self.now() - told.at > KEPT_S]:
                logger.error("call %s: %s could not be published for a day", told.call_id, told.kind)
                await self.outbox.delete(told)
                left.remove(told)
            try:
                published += await self._publish(left)
            except PatchcordError as error:
                logger.error("events wait for the next sweep: %s", error.message)
                break
            if len(page) < PAGE:
                break
            after = page[-1].row
        self.backlog = waiting
        return published

    async def _publish(self, rows: Sequence[Announcement]) -> int:
        events = []
        for told in rows:
            event = await self._event(told)
            if event is None:
                await self.outbox.delete(told)
            else:
                events.append((told, event))
        if events:
            await self._send(events)
        return len(events)

    async def _event(self, told: Announcement) -> Mapping[str, Any] | None:
        """The CloudEvent, or None when the thing it is about is gone."""
        record = await self.calls.get(told.tenant, told.call_id)
        if record is None:
            return None
        transfer: CallTransfer | None = None
        if told.kind is Kind.TRANSFER_COMPLETED:
            transfers = self.transfers.get(told.tenant)
            try:
                transfer = None if transfers is None else await transfers.get(told.tenant, record.transfer_id)
            except NotFound:
                transfer = None
            if transfer is None:
                return None
        return cloud_event(told, record, transfer, self.environment)

    async def _send(self, events: Sequence[tuple[Announcement, Mapping[str, Any]]]) -> None:
        """All in one request; when the topic will not have them, halves, until the wrong one stands alone."""
        try:
            await self.topic.send([event for _, event in events])
            metrics.PUBLISHED.add(len(events), result="ok")
        except EventRefused as error:
            if len(events) > 1:
                middle = len(events) // 2
                await self._send(events[:middle])
                await self._send(events[middle:])
                return
            [(told, event)] = events
            metrics.PUBLISHED.add(result="refused")
            await put_aside(
                self.outbox.store,
                event_id=str(event["id"]),
                event_type=str(event["type"]),
                reason="refused",
                detail=error.message,
                at=self.now(),
            )
        for told, _ in events:
            await self.outbox.delete(told)

    async def close(self) -> None:
        """Give up what is on its way (the sweep of another process finds it) and give back connections; idempotent."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self.topic.close()
