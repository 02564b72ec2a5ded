"""From a call's events to a subscriber: the function app, Microsoft's client, the emulator's Event Grid."""

import asyncio
import base64
import json

import pytest

from emulator.event_grid.subscriptions import Subscription
from emulator.service import Emulator
from shared.calls.events import EventKind
from shared.calls.repository import all_rows
from shared.errors import StoreUnavailable
from shared.http import request
from shared.publishing.outbox import PAGE, PARTITION, TABLE, Announcement, Kind
from shared.publishing.publisher import AT_ONCE, KEPT_S, LEFT_S
from shared.publishing.topic import EventRefused, TopicUnavailable
from shared.transfers.numbers import NumberPool
from tests.emulator.event_grid.test_topics import Subscriber
from tests.support.api_schemas import event_problems
from tests.support.app import emulator_config
from tests.support.call_world import open_world
from tests.support.serving import serving
from tests.support.timing import patience

K = EventKind
KEY = base64.b64encode(b"the key of a topic in the tests!").decode()
NUMBER = "+18005550100"


@pytest.fixture
async def grid(tmp_path):
    config = emulator_config(topics={"outcomes": KEY}, dead_letter=tmp_path / "dead")
    async with Emulator(config) as emulator:
        yield emulator


@pytest.fixture
async def subscriber(grid):
    found = Subscriber()
    async with serving(found.answer) as base:
        await grid.subscribe(Subscription("s", base, "cloudevents", topic="outcomes", max_attempts=3))
        yield found


@pytest.fixture
async def world(tmp_path, monkeypatch, grid):
    monkeypatch.setenv("EVENTS_KEY", KEY)
    address = grid.topic_endpoint("outcomes")
    more = {"PATCHCORD_EVENTS_TOPIC": address, "PATCHCORD_EVENTS_KEY": "env:EVENTS_KEY"}
    async with open_world(tmp_path, monkeypatch, **more) as opened:
        yield opened


async def waiting(world):
    return [row.row.partition(".")[2] for row in await all_rows(world.store, TABLE, PARTITION)]


async def empty(world):
    async with asyncio.timeout(patience(5)):
        while await waiting(world):
            await asyncio.sleep(0.005)


async def test_a_subscriber_gets_each_event_once_it_has_happened(world, subscriber):
    subscriber.statuses = [500]  # one that is away for a moment gets it all the same
    await NumberPool(world.store, world.clock).add(NUMBER, "US")
    credentials = await world.app.door.issue("default")
    headers = {
        "api-id": credentials.api_id, "api-secret": credentials.api_secret, "content-type": "application/json"
    }  # fmt: skip
    asked = {
        "id": "t1", "externalConversationId": "c1", "type": "PHONE_NUMBER", "phoneNumber": {"country": "US"},
        "inputContext": {"inputVariables": {"iban": "very-private"}},
    }  # fmt: skip
    await world.app.create_call_transfer(request("r", headers, json.dumps(asked).encode()))
    record = await world.answered(NUMBER)
    [answered] = await subscriber.has(1)
    await world.event(record, "r", K.RECORDING, 5, file="call.wav", ms=4000, consent=True)
    said = {
        "transferType": "SYSTEM",
        "reason": "done",
        "task": "refund",
        "transferVariables": {"pin": "secret-1"},
    }
    await world.event(record, "o", K.OUTCOME, 6, **said)
    await world.event(record, "s", K.CALLER_SAID, 6, text="very private words")
    await world.event(record, "d", K.DISCONNECTED, 7, code=200)
    taken = {event["type"]: event for event in await subscriber.has(4)}
    assert set(taken) == {f"io.patchcord.{kind}" for kind in Kind}
    for event in taken.values():
        assert event_problems(event) == []
        assert event["subject"] == event["data"]["callId"] == record.call_id
        assert (event["source"], event["data"]["tenant"]) == ("/patchcord/test", "default")
        assert event["data"]["callTransferId"] == "t1"
    assert answered["data"]["state"] == "answered"
    assert answered["id"] == f"{record.call_id}.call.answered"
    ended = taken["io.patchcord.call.ended"]["data"]
    assert (ended["state"], ended["endedReason"], ended["transferType"]) == (
        "ended",
        "caller_hung_up",
        "SYSTEM",
    )
    completed = taken["io.patchcord.call-transfer.completed"]["data"]
    assert (completed["type"], completed["transferType"], completed["currentTaskName"]) == (
        "PHONE_NUMBER", "SYSTEM", "refund",
    )  # fmt: skip
    assert taken["io.patchcord.recording.ready"]["data"]["recording"] == {
        "file": "call.wav", "ms": 4000, "consent": True,
    }  # fmt: skip
    for private in ("private", "secret-1", "very"):
        assert private not in json.dumps(list(taken.values()))
    await empty(world)


async def test_a_subscriber_that_stays_away_has_a_dead_letter(world, subscriber, tmp_path):
    subscriber.statuses = [500] * 3
    await world.answered()
    async with asyncio.timeout(patience(5)):
        while not (tmp_path / "dead").exists() or not list((tmp_path / "dead").iterdir()):
            await asyncio.sleep(0.01)
    [path] = (tmp_path / "dead").iterdir()
    [letter] = json.loads(path.read_text())
    assert (letter["type"], letter["deliveryAttempts"]) == ("io.patchcord.call.answered", 3)


class Scripted:
    """In the topic's place: answers what it is told to."""

    def __init__(self, *problems) -> None:
        self.problems, self.sent = list(problems), []

    async def send(self, events):
        if self.problems and (problem := self.problems.pop(0)) is not None:
            raise problem
        self.sent.append([event["id"].partition(".")[2] for event in events])

    async def close(self):
        pass


async def idle(publisher):
    async with asyncio.timeout(patience(5)):
        while publisher._running:
            await asyncio.sleep(0.002)


async def test_a_topic_that_is_away_costs_no_callback_and_the_sweep_makes_up(world, subscriber):
    publisher = world.app.publisher
    real, publisher.topic = publisher.topic, Scripted(TopicUnavailable("away"))
    record = await world.answered()
    await idle(publisher)
    assert record.answered_at is not None
    assert await waiting(world) == ["call.answered"]
    assert await publisher.sweep() == 0  # young: somebody may be about to publish it
    world.clock.at += LEFT_S
    await world.host()
    await real.close()
    publisher.topic = Scripted(TopicUnavailable("still away"))
    await world.app.sweep()
    assert await waiting(world) == ["call.answered"]
    publisher.topic = topic = Scripted()
    await world.app.sweep()
    assert (topic.sent, await waiting(world)) == ([["call.answered"]], [])


async def test_a_mistake_of_ours_leaves_it_to_the_sweep(world, caplog):
    publisher = world.app.publisher
    await publisher.topic.close()
    publisher.topic = Scripted(ValueError("odd"))
    await world.answered()
    await idle(publisher)
    assert await waiting(world) == ["call.answered"]
    assert "its events wait for the sweep" in caplog.text


async def test_at_the_end_what_is_on_its_way_is_left_to_another_process(world):
    publisher = world.app.publisher
    await publisher.topic.close()
    publisher.topic = Stuck()
    await world.answered()
    await asyncio.wait_for(publisher.topic.begun.wait(), patience(5))
    await publisher.close()
    assert await waiting(world) == ["call.answered"]


class Stuck:
    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def send(self, _events):
        self.begun.set()
        await asyncio.Event().wait()

    async def close(self):
        pass


async def test_a_crowd_is_left_to_the_sweep(world):
    publisher = world.app.publisher
    for number in range(AT_ONCE + 5):
        publisher.soon(f"c{number}")
    assert len(publisher._running) == AT_ONCE
    await idle(publisher)


async def test_one_call_is_published_by_one_task_at_a_time(world):
    publisher = world.app.publisher
    await publisher.topic.close()
    publisher.topic = topic = Scripted()
    record = await world.answered()
    publisher.soon(record.call_id)
    publisher.soon(record.call_id)
    await idle(publisher)
    assert topic.sent == [["call.answered"]]


async def test_the_one_that_is_refused_is_put_aside_and_the_others_go(world):
    publisher = world.app.publisher
    await publisher.topic.close()
    refused = EventRefused("event", "another one")
    publisher.topic = topic = Scripted(TopicUnavailable("later"), refused, None, refused)
    record = await world.answered()
    await idle(publisher)
    await publisher.outbox.store.insert(TABLE, _row(record, Kind.CALL_ENDED, world.clock()))
    world.clock.at += LEFT_S
    assert await publisher.sweep() == 2
    assert (topic.sent, await waiting(world)) == ([["call.answered"]], [])
    [poison] = await all_rows(world.store, "poison", "events")
    assert (poison.values["reason"], poison.values["type"]) == ("refused", "io.patchcord.call.ended")


def _row(record, kind, at):
    from shared.store.entities import Entity

    told = Announcement(record.tenant, record.call_id, kind, at)
    values = {"tenant": told.tenant, "callId": told.call_id, "kind": kind.value, "at": at}
    return Entity(PARTITION, told.row, values)


async def test_what_is_gone_or_too_old_is_dropped(world):
    publisher = world.app.publisher
    await publisher.topic.close()
    publisher.topic = topic = Scripted(TopicUnavailable("later"))
    record = await world.answered()
    await idle(publisher)
    gone = type(record)(tenant="default", call_id="cgone")
    nobodys = type(record)(tenant="nobody", call_id=record.call_id)
    for other, kind in ((gone, Kind.CALL_ENDED), (record, Kind.TRANSFER_COMPLETED)):
        await world.store.insert(TABLE, _row(other, kind, world.clock()))
    world.clock.at += LEFT_S
    assert await publisher.sweep() == 1  # its transfer is not there either: the call came by a route
    assert topic.sent == [["call.answered"]]
    told = Announcement("nobody", record.call_id, Kind.TRANSFER_COMPLETED, 0.0)
    publisher.calls = Always(nobodys)
    assert await publisher._event(told) is None  # of a tenant that lends us no callers any more
    await world.store.insert(TABLE, _row(record, Kind.CALL_ENDED, world.clock() - KEPT_S - 1))
    assert await publisher.sweep() == 0
    assert await waiting(world) == []


class Always:
    def __init__(self, record) -> None:
        self.record = record

    async def get(self, *_):
        return self.record


async def test_many_are_published_page_by_page(world, monkeypatch):
    publisher = world.app.publisher
    await publisher.topic.close()
    publisher.topic = topic = Scripted(*[TopicUnavailable("later")])
    record = await world.answered()
    await idle(publisher)
    publisher.calls = Always(record)
    for number in range(PAGE):
        other = type(record)(tenant="default", call_id=f"d{number:03}")
        await world.store.insert(TABLE, _row(other, Kind.CALL_ENDED, world.clock()))
    world.clock.at += LEFT_S
    with monkeypatch.context() as patch:
        patch.setattr("shared.publishing.publisher.ROUND_S", -1.0)
        assert await publisher.sweep() == 0  # no time: the next round goes on
    assert await publisher.sweep() == PAGE + 1
    assert [len(batch) for batch in topic.sent] == [PAGE, 1]


async def test_a_store_that_is_away_is_told_by_the_sweep(world):
    world.fail_store(1, TABLE)
    with pytest.raises(StoreUnavailable):
        await world.app.publisher.sweep()


async def test_nothing_is_published_unless_asked(tmp_path, monkeypatch):
    async with open_world(tmp_path, monkeypatch) as world:
        await world.answered()
        await world.app.sweep()
        assert (world.app.publisher, await waiting(world)) == (None, [])
