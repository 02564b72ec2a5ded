"""At-least-once delivery: retry schedule, batches, what is not retried, and dead letters (acs.md 5.3)."""

import asyncio
import json
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.validation import BY_ADDRESS_WITHIN_S, Validator
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = Mapping[str, Any]

SCHEDULE_S = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
"""Waits between attempts (s); the last one repeats."""
SHORTEST_WAIT_S: Mapping[int, float] = {404: 300.0, 408: 120.0, 503: 30.0}
"""After these statuses Event Grid waits at least so long (s)."""
NOT_RETRIED = frozenset({400, 401, 403, 413})
"""A webhook's answers that end the delivery at once (functions.md 3.1, the newer text)."""
RESPONSE_TIMEOUT_S = 30.0
DEAD_LETTER_AFTER_S = 300.0
"""Between the last attempt and the dead letter (s)."""
HELD_S = 5.0
"""An event that was told to come after the next one waits at most so long (s)."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One event on its way to one subscription.

    Attributes:
        subscription: where it goes.
        event: in the Event Grid schema.
        attempts: made so far.
        outcome: of the last attempt: an HTTP status as text, `Timeout` or `ConnectionError`; "" before the first.
        delivered: the endpoint has taken it.
        dead: why it was given up, or "".
        tried: set after the first attempt.
    """

    subscription: Subscription
    event: Json
    attempts: int = 0
    outcome: str = ""
    delivered: bool = False
    dead: str = ""
    last_attempt: float = 0.0
    published: float = 0.0
    on_delivered: Callable[["Delivery"], None] | None = None
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class EventGrid:
    """The topic of the emulated ACS resource and custom topics, with their subscriptions.

    Args:
        session: makes the requests.
        topic: resource id of the ACS resource's topic.
        time_scale: factor on the schedule, the time to live and the wait for a validation by address; 1 is real time.
        dead_letter: folder for events that were given up, or None to drop them.
        response_timeout_s: an endpoint that takes longer has failed (s).
        now: Unix time (s).
        validation_address: see `Validator`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        topic: str,
        time_scale: float = 1.0,
        dead_letter: Path | None = None,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
        now: Callable[[], float] = time.time,
        validation_address: Callable[[str], str] | None = None,
    ) -> None:
        self.subscriptions: list[Subscription] = []
        self.validator = Validator(
            session, topic, validation_address, max(1.0, BY_ADDRESS_WITHIN_S * time_scale)
        )
        self._session = session
        self._time_scale = time_scale
        self._dead_letter = dead_letter
        self._response_timeout_s = response_timeout_s
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, deque[Delivery]] = {}
        self._dead: dict[Delivery, asyncio.TimerHandle] = {}
        self._held: list[asyncio.Future[Sequence[Delivery]]] = []

    async def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription after its validation handshake; one of the same name is replaced.

        Raises:
            ConfigurationError: Event Grid would not take it.
            SubscriptionRefused: the endpoint failed the handshake.
        """
        subscription.check()
        await self.validator.validate(subscription)
        self.unsubscribe(subscription.name)
        self.subscriptions.append(subscription)

    def unsubscribe(self, name: str) -> bool:
        """Take a subscription out; returns whether there was one. What is on its way to it still goes."""
        before = len(self.subscriptions)
        self.subscriptions = [item for item in self.subscriptions if item.name != name]
        return len(self.subscriptions) < before

    def publish(
        self,
        event: Json,
        *,
        copies: int = 1,
        faults: Faults | None = None,
        on_delivered: Callable[[Delivery], None] | None = None,
        topic: str = "",
    ) -> list[Delivery]:
        """Deliver `event` to every subscription that wants it; returns at once.

        Args:
            event: in the Event Grid schema.
            copies: deliveries to each subscription, at the same time.
            faults: what goes wrong with it.
            on_delivered: called for each delivery that an endpoint has taken.
            topic: name of the custom topic, or "" for the ACS resource's.
        """
        faults = faults or Faults()
        if faults.event_age_s:
            event = {**event, "eventTime": _earlier(str(event["eventTime"]), faults.event_age_s)}
        deliveries = [
            Delivery(subscription, event, published=self._now(), on_delivered=on_delivered)
            for subscription in self.subscriptions
            if subscription.topic == topic and subscription.wants(event)
            for _ in range(copies + faults.duplicate_events)
        ]
        if not deliveries:
            return []
        if faults.take("lost_events"):
            for delivery in deliveries:
                delivery.dead = "Lost"
        elif faults.reorder_events:
            next_one: asyncio.Future[Sequence[Delivery]] = asyncio.get_running_loop().create_future()
            self._held.append(next_one)
            self._spawn(self._after(next_one, deliveries))
        else:
            for held in self._held:
                held.set_result(deliveries)
            self._held.clear()
            self._spawn(self._send(deliveries, faults.late_events_s))
        return deliveries

    async def close(self) -> None:
        """Give up everything that is on its way; what had been given up before becomes a dead letter now."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for delivery in list(self._dead):
            self._bury(delivery)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _after(
        self, next_one: asyncio.Future[Sequence[Delivery]], deliveries: Sequence[Delivery]
    ) -> None:
        """Send `deliveries` when the first attempt of the event that was published next has been made."""
        try:
            async with asyncio.timeout(HELD_S):
                for delivery in await next_one:
                    await delivery.tried.wait()
        except TimeoutError:
            log.info("no other event came: the one that was held back goes now")
        await self._send(deliveries, 0.0)

    async def _send(self, deliveries: Sequence[Delivery], delay_s: float) -> None:
        if delay_s:
            await asyncio.sleep(delay_s)
        for delivery in deliveries:
            if not delivery.subscription.batching:
                self._spawn(self._deliver([delivery]))
                continue
            queue = self._waiting.get(delivery.subscription.name)
            if queue is None:
                queue = self._waiting[delivery.subscription.name] = deque()
                self._spawn(self._pump(delivery.subscription.name, queue))
            queue.append(delivery)

    async def _pump(self, name: str, queue: deque[Delivery]) -> None:
        """Send what waits for a batching subscription, one request after the other, until nothing waits."""
        try:
            while queue:
                await self._deliver(self._batch(queue))
        finally:
            del self._waiting[name]

    @staticmethod
    def _batch(queue: deque[Delivery]) -> list[Delivery]:
        """As many as fit: up to the subscription's count, and its preferred size."""
        batch = [queue.popleft()]
        subscription = batch[0].subscription
        size = len(subscription.render_one(batch[0].event))
        while queue and len(batch) < subscription.max_events:
            size += 1 + len(subscription.render_one(queue[0].event))
            if size > subscription.preferred_batch_kb * 1024:
                break
            batch.append(queue.popleft())
        return batch

    async def _deliver(self, batch: Sequence[Delivery]) -> None:
        """One request; what was not taken is tried again later, each event by its own schedule."""
        for delivery in batch:
            delivery.attempts += 1
            delivery.last_attempt = self._now()
        status, outcome = await self._attempt(batch)
        for delivery in batch:
            delivery.outcome = outcome
            delivery.tried.set()
            if status is not None and 200 <= status <= 204:
                delivery.delivered = True
                if delivery.on_delivered is not None:
                    delivery.on_delivered(delivery)
                continue
            wait = self._wait(delivery, status)
            if wait is None:
                self._give_up(delivery)
            else:
                self._spawn(self._send([delivery], wait))

    async def _attempt(self, batch: Sequence[Delivery]) -> tuple[int | None, str]:
        """Returns the status, or None when there was no answer, and the outcome as a word."""
        first = batch[0]
        subscription = first.subscription
        status: int | None = None
        try:
            async with (
                asyncio.timeout(self._response_timeout_s),
                self._session.post(
                    subscription.endpoint,
                    data=subscription.render(*(delivery.event for delivery in batch)),
                    headers=subscription.delivery_headers(first.event, first.attempts),
                    allow_redirects=False,
                ) as response,
            ):
                status = response.status
                outcome = str(status)
        except TimeoutError:
            outcome = "Timeout"
        except (aiohttp.ClientError, OSError):
            outcome = "ConnectionError"
        if status is None or not 200 <= status <= 204:
            log.info(
                "event %s: attempt %d at %s: %s",
                first.event["id"],
                first.attempts,
                subscription.name,
                outcome,
            )
        return status, outcome

    def _wait(self, delivery: Delivery, status: int | None) -> float | None:
        """Seconds until the next attempt, or None when there will be none (`delivery.dead` says why)."""
        subscription = delivery.subscription
        if status in NOT_RETRIED:
            delivery.dead = "NotRetried"
            return None
        if delivery.attempts >= subscription.max_attempts:
            delivery.dead = "MaxDeliveryAttemptsExceeded"
            return None
        wait = SCHEDULE_S[min(delivery.attempts, len(SCHEDULE_S)) - 1]
        wait = max(wait, SHORTEST_WAIT_S.get(status or 0, 0.0)) * self._time_scale
        if self._now() + wait - delivery.published > subscription.ttl_s * self._time_scale:
            delivery.dead = "TimeToLiveExceeded"
            return None
        return wait

    def _give_up(self, delivery: Delivery) -> None:
        log.warning(
            "event %s given up at %s after %d attempts: %s",
            delivery.event["id"],
            delivery.subscription.name,
            delivery.attempts,
            delivery.dead,
        )
        if self._dead_letter is not None:
            loop = asyncio.get_running_loop()
            after_s = DEAD_LETTER_AFTER_S * self._time_scale
            self._dead[delivery] = loop.call_later(after_s, self._bury, delivery)

    def _bury(self, delivery: Delivery) -> None:
        """Write the dead letter."""
        self._dead.pop(delivery).cancel()
        if self._dead_letter is None:
            return

        def stamp(at: float) -> str:
            return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

        letter = {
            **delivery.event.get("cloudEvent", delivery.event),
            "deadLetterReason": delivery.dead,
            "deliveryAttempts": delivery.attempts,
            "lastDeliveryOutcome": delivery.outcome,
            "publishTime": stamp(delivery.published),
            "lastDeliveryAttemptTime": stamp(delivery.last_attempt),
        }
        self._dead_letter.mkdir(parents=True, exist_ok=True, mode=0o700)
        event_id = re.sub(r"[^\w.-]", "_", str(delivery.event["id"]))[:128]  # a publisher's own choice
        name = f"{delivery.subscription.name}-{event_id}-{time.time_ns()}.json"
        descriptor = os.open(self._dead_letter / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump([letter], file, indent=2)


def _earlier(stamp: str, seconds: float) -> str:
    """An RFC 3339 time in UTC, `seconds` before `stamp`."""
    earlier = datetime.fromisoformat(stamp) - timedelta(seconds=seconds)
    return earlier.astimezone(UTC).isoformat().replace("+00:00", "Z")
