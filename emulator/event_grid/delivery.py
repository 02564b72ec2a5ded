"""At-least-once delivery: retry schedule, what is not retried, and dead letters (acs.md 5.3)."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from emulator.event_grid.subscriptions import Subscription, validate

log = logging.getLogger(__name__)

type Json = Mapping[str, Any]

SCHEDULE_S = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
"""Waits between attempts (s); the last one repeats."""
SHORTEST_WAIT_S: Mapping[int, float] = {404: 300.0, 408: 120.0, 503: 30.0}
"""After these statuses Event Grid waits at least so long (s)."""
NOT_RETRIED = frozenset({400, 401, 403, 413})
"""A webhook's answers that end the delivery at once (functions.md 3.1, the newer text)."""
RESPONSE_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Delivery:
    """One event on its way to one subscription.

    Attributes:
        subscription: where it goes.
        event: in the Event Grid schema.
        attempts: made so far.
        outcome: of the last attempt: an HTTP status as text, `Timeout` or `ConnectionError`; "" before the first.
        delivered: the endpoint has taken it.
        dead: why it was given up, or "".
    """

    subscription: Subscription
    event: Json
    attempts: int = 0
    outcome: str = ""
    delivered: bool = False
    dead: str = ""
    last_attempt: float = 0.0
    published: float = 0.0


@dataclass(slots=True)
class EventGrid:
    """The topic of the emulated ACS resource, with its subscriptions.

    Args:
        session: makes the requests.
        topic: its resource id.
        time_scale: factor on the schedule and on the time to live; 1 is real time.
        dead_letter: folder for events that were given up, or None to drop them.
        now: Unix time (s).
    """

    session: aiohttp.ClientSession
    topic: str
    time_scale: float = 1.0
    dead_letter: Path | None = None
    response_timeout_s: float = RESPONSE_TIMEOUT_S
    now: Callable[[], float] = time.time
    subscriptions: list[Subscription] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription after its validation handshake; one of the same name is replaced.

        Raises:
            ConfigurationError: Event Grid would not take it.
            SubscriptionRefused: the endpoint failed the handshake.
        """
        subscription.check()
        await validate(self.session, subscription, self.topic)
        self.subscriptions = [item for item in self.subscriptions if item.name != subscription.name]
        self.subscriptions.append(subscription)

    def publish(
        self, event: Json, *, copies: int = 1, on_delivered: Callable[[Delivery], None] | None = None
    ) -> list[Delivery]:
        """Deliver `event` to every subscription that wants it, `copies` times at once; returns at once.

        Args:
            event: in the Event Grid schema.
            copies: deliveries to each subscription.
            on_delivered: called for each delivery that an endpoint has taken.
        """
        deliveries = [
            Delivery(subscription, event, published=self.now())
            for subscription in self.subscriptions
            if subscription.wants(event)
            for _ in range(copies)
        ]
        for delivery in deliveries:
            task = asyncio.create_task(self._deliver(delivery, on_delivered))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return deliveries

    async def close(self) -> None:
        """Give up everything that is on its way, without dead letters."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery, on_delivered: Callable[[Delivery], None] | None) -> None:
        subscription = delivery.subscription
        body = subscription.render(delivery.event)
        while True:
            delivery.attempts += 1
            delivery.last_attempt = self.now()
            status = await self._attempt(delivery, body)
            if status is not None and 200 <= status <= 204:
                delivery.delivered = True
                if on_delivered is not None:
                    on_delivered(delivery)
                return
            wait = self._wait(delivery, status)
            if wait is None:
                self._give_up(delivery)
                return
            await asyncio.sleep(wait)

    async def _attempt(self, delivery: Delivery, body: bytes) -> int | None:
        """One request; returns the status, or None when there was no answer."""
        subscription = delivery.subscription
        headers = subscription.delivery_headers(delivery.event, delivery.attempts)
        try:
            async with (
                asyncio.timeout(self.response_timeout_s),
                self.session.post(
                    subscription.endpoint, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                status = response.status
                delivery.outcome = str(status)
        except TimeoutError:
            status, delivery.outcome = None, "Timeout"
        except (aiohttp.ClientError, OSError):
            status, delivery.outcome = None, "ConnectionError"
        if status is None or not 200 <= status <= 204:
            log.info(
                "event %s: attempt %d at %s: %s",
                delivery.event["id"],
                delivery.attempts,
                subscription.name,
                delivery.outcome,
            )
        return status

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
        wait = max(wait, SHORTEST_WAIT_S.get(status or 0, 0.0)) * self.time_scale
        if self.now() + wait - delivery.published > subscription.ttl_s * self.time_scale:
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
        if self.dead_letter is None:
            return

        def stamp(at: float) -> str:
            return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

        letter = {
            **delivery.event,
            "deadLetterReason": delivery.dead,
            "deliveryAttempts": delivery.attempts,
            "lastDeliveryOutcome": delivery.outcome,
            "publishTime": stamp(delivery.published),
            "lastDeliveryAttemptTime": stamp(delivery.last_attempt),
        }
        self.dead_letter.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{delivery.subscription.name}-{delivery.event['id']}-{time.time_ns()}.json"
        descriptor = os.open(self.dead_letter / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump([letter], file, indent=2)
