"""Deliveries: the schedule, what is retried, what is given up, dead letters."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from emulator.event_grid.delivery import Delivery, EventGrid
from emulator.event_grid.subscriptions import Subscription
from tests.support.serving import serving
from tests.support.timing import patience

EVENT = {
    "id": "e1", "topic": "/t", "subject": "/s", "eventType": "A.B", "eventTime": "2026-11-20T00:00:00Z",
    "data": {"a": 1}, "dataVersion": "1.0", "metadataVersion": "1",
}  # fmt: skip


async def deliver(statuses: list[int], *, dead: Path | None = None, copies: int = 1, **more: object):
    """Publish one event to an endpoint that answers `statuses` in turn; returns its deliveries and the requests' headers."""
    seen: list[dict] = []

    async def answer(request: web.Request) -> web.Response:
        assert json.loads(await request.read()) == [EVENT]
        seen.append(dict(request.headers))
        return web.Response(status=statuses.pop(0))

    async with serving(answer) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic", time_scale=0.001, dead_letter=dead)
        grid.subscriptions.append(Subscription(name="s1", endpoint=base, **more))
        deliveries = grid.publish(EVENT, copies=copies)
        async with asyncio.timeout(patience(10)):
            while not all(item.delivered or item.dead for item in deliveries):
                await asyncio.sleep(0.002)
        await grid.close()
    return deliveries, seen


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
async def test_success(status: int) -> None:
    [delivery], seen = await deliver([status])
    assert delivery.delivered
    assert len(seen) == 1


@pytest.mark.parametrize("status", [205, 302, 404, 408, 429, 500, 503])
async def test_other_answers_are_retried(status: int) -> None:
    [delivery], seen = await deliver([status, 200])
    assert delivery.delivered
    assert [item["aeg-delivery-count"] for item in seen] == ["0", "1"]


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_some_answers_end_it(status: int) -> None:
    [delivery], seen = await deliver([status, 200])
    assert (delivery.dead, len(seen)) == ("NotRetried", 1)


async def test_attempts_are_limited() -> None:
    [delivery], seen = await deliver([500] * 9, max_attempts=3)
    assert (delivery.dead, len(seen)) == ("MaxDeliveryAttemptsExceeded", 3)


async def test_old_events_are_given_up() -> None:
    [delivery], seen = await deliver([500] * 9, ttl_s=60)  # 10 s and 30 s fit in, a further 60 s do not
    assert (delivery.dead, len(seen)) == ("TimeToLiveExceeded", 3)


async def test_dead_letters_tell_why(tmp_path: Path) -> None:
    await deliver([500, 400], dead=tmp_path / "dead")
    [path] = (tmp_path / "dead").iterdir()
    [letter] = json.loads(path.read_text())
    assert letter["id"] == "e1"
    assert letter["deadLetterReason"] == "NotRetried"
    assert letter["deliveryAttempts"] == 2
    assert letter["lastDeliveryOutcome"] == "400"
    assert {"publishTime", "lastDeliveryAttemptTime"} <= letter.keys()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_duplicates_on_demand() -> None:
    deliveries, seen = await deliver([200] * 3, copies=3)
    assert len(deliveries) == len(seen) == 3


async def test_nobody_listens() -> None:
    async with aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic", time_scale=0.0001)
        grid.subscriptions.append(Subscription(name="s1", endpoint="http://127.0.0.1:1/", max_attempts=2))
        [delivery] = grid.publish(EVENT)
        async with asyncio.timeout(patience(10)):
            while not delivery.dead:
                await asyncio.sleep(0.002)
    assert delivery.outcome == "ConnectionError"


async def test_a_slow_endpoint_times_out() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with serving(slow) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic", time_scale=0.0001, response_timeout_s=0.05)
        grid.subscriptions.append(Subscription(name="s1", endpoint=base, max_attempts=1))
        [delivery] = grid.publish(EVENT)
        async with asyncio.timeout(patience(10)):
            while not delivery.dead:
                await asyncio.sleep(0.002)
    assert delivery.outcome == "Timeout"


@pytest.mark.parametrize(
    ("attempts", "status", "wait"),
    [
        (1, 500, 10), (2, 500, 30), (3, 500, 60), (4, 500, 300), (5, None, 600), (6, 500, 1800), (7, 500, 3600),
        (8, 500, 3600), (1, 503, 30), (1, 408, 120), (1, 404, 300), (5, 503, 600),
    ],
)  # fmt: skip
def test_the_schedule(attempts: int, status: int | None, wait: float) -> None:
    grid = EventGrid(None, "/topic", now=lambda: 1000.0)
    delivery = Delivery(Subscription("s1", "http://x"), EVENT, attempts=attempts, published=1000.0)
    assert grid._wait(delivery, status) == wait


async def test_only_subscriptions_that_want_it() -> None:
    grid = EventGrid(None, "/topic")
    grid.subscriptions.append(Subscription("s1", "http://x", included_event_types=["C.D"]))
    assert grid.publish(EVENT) == []
