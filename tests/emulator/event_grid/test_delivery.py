"""Deliveries: the schedule, what is retried, what is given up, dead letters."""

import asyncio
import itertools
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from emulator.event_grid.delivery import Delivery, EventGrid
from emulator.event_grid.subscriptions import Subscription
from emulator.faults import Faults
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


async def publish(count: int, statuses: tuple[int, ...] = (), **more: object):
    """Publish `count` events at once to a batching subscription; returns the ids of each request."""
    requests: list[list[str]] = []
    left = list(statuses)

    async def answer(request: web.Request) -> web.Response:
        requests.append([event["id"] for event in json.loads(await request.read())])
        return web.Response(status=left.pop(0) if left else 200)

    async with serving(answer) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic", time_scale=0.001)
        grid.subscriptions.append(Subscription(name="s1", endpoint=base, **more))
        deliveries = [
            grid.publish({**EVENT, "id": f"e{number}", "data": {"text": "x" * 600}})[0]
            for number in range(count)
        ]
        async with asyncio.timeout(patience(10)):
            while not all(item.delivered or item.dead for item in deliveries):
                await asyncio.sleep(0.002)
        await grid.close()
    return requests


async def test_batches_have_a_largest_count() -> None:
    requests = await publish(7, max_events=3)
    assert sorted(itertools.chain(*requests)) == [f"e{number}" for number in range(7)]
    assert max(map(len, requests)) == 3


async def test_batches_have_a_preferred_size() -> None:
    requests = await publish(4, max_events=100, preferred_batch_kb=1)  # each event has more than 600 bytes
    assert all(len(request) == 1 for request in requests)
    assert len(requests) == 4


async def test_without_batching_each_comes_alone() -> None:
    assert sorted(await publish(3)) == [["e0"], ["e1"], ["e2"]]


async def test_a_batch_is_taken_or_not_as_a_whole() -> None:
    requests = await publish(3, statuses=(500,), max_events=3)
    assert requests[0] == ["e0", "e1", "e2"]
    assert sorted(itertools.chain(*requests[1:])) == ["e0", "e1", "e2"]


async def test_dead_letters_come_after_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "dead"

    async def no(request: web.Request) -> web.Response:
        return web.Response(status=400)

    async with serving(no) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic", time_scale=0.0005, dead_letter=folder)  # 5 minutes become 150 ms
        grid.subscriptions.append(Subscription(name="s1", endpoint=base))
        [delivery] = grid.publish(EVENT)
        await asyncio.wait_for(delivery.tried.wait(), patience(10))
        assert not folder.exists()
        async with asyncio.timeout(patience(10)):
            while not folder.exists() or not list(folder.iterdir()):
                await asyncio.sleep(0.01)
        await grid.close()
    assert len(list(folder.iterdir())) == 1


async def with_faults(*faults: Faults | None) -> list[dict]:
    """Publish one event for each of `faults`; returns what came, in order."""
    seen: list[dict] = []

    async def take(request: web.Request) -> web.Response:
        seen.extend(json.loads(await request.read()))
        return web.Response()

    async with serving(take) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic")
        grid.subscriptions.append(Subscription(name="s1", endpoint=base))
        deliveries = [
            delivery
            for number, fault in enumerate(faults)
            for delivery in grid.publish({**EVENT, "id": f"e{number}"}, faults=fault)
        ]
        async with asyncio.timeout(patience(10)):
            while not all(item.delivered or item.dead for item in deliveries):
                await asyncio.sleep(0.002)
        await grid.close()
    return seen


async def test_an_event_is_doubled() -> None:
    assert [event["id"] for event in await with_faults(Faults(duplicate_events=2))] == ["e0"] * 3


async def test_an_event_is_late() -> None:
    seen = await with_faults(Faults(late_events_s=0.1), None)
    assert [event["id"] for event in seen] == ["e1", "e0"]


async def test_an_event_is_lost() -> None:
    faults = Faults(lost_events=1)
    assert [event["id"] for event in await with_faults(faults, faults)] == ["e1"]
    assert faults.lost_events == 0


async def test_an_event_comes_after_the_next_one() -> None:
    seen = await with_faults(Faults(reorder_events=True), None)
    assert [event["id"] for event in seen] == ["e1", "e0"]


async def test_an_event_is_old() -> None:
    [event] = await with_faults(Faults(event_age_s=120))
    assert event["eventTime"] == "2026-11-19T23:58:00Z"


async def test_only_subscriptions_that_want_it() -> None:
    grid = EventGrid(None, "/topic")
    grid.subscriptions.append(Subscription("s1", "http://x", included_event_types=["C.D"]))
    assert grid.publish(EVENT) == []
