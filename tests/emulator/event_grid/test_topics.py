"""Custom topics, published to with Microsoft's own client."""

import asyncio
import base64
import io
import json
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from azure.core.credentials import AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import generate_sas
from azure.eventgrid.aio import EventGridPublisherClient

from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.topics import MAX_BYTES, is_topic_key
from emulator.service import Emulator
from shared.errors import ConfigurationError
from tests.support.app import emulator_config
from tests.support.serving import serving
from tests.support.timing import patience

KEY = base64.b64encode(b"the key of a topic in the tests!").decode()


class Subscriber:
    """A webhook for CloudEvents that answers `statuses` first, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.taken: list[dict] = []
        self.requests = 0

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers={"WebHook-Allowed-Origin": "*"})
        self.requests += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            found = json.loads(await request.read())
            self.taken.extend(found if isinstance(found, list) else [found])
        return web.Response(status=status)

    async def has(self, count: int) -> list[dict]:
        async with asyncio.timeout(patience(5)):
            while len(self.taken) < count:
                await asyncio.sleep(0.005)
        return self.taken


@pytest.fixture
async def emulator(tmp_path):
    config = emulator_config(topics={"outcomes": KEY, "others": KEY}, dead_letter=tmp_path / "dead")
    async with Emulator(config) as started:
        yield started


@pytest.fixture
async def subscriber(emulator):
    found = Subscriber()
    async with serving(found.answer) as base:
        found.base = base
        yield found


def subscription(subscriber, **more) -> Subscription:
    values = {"name": "s1", "endpoint": subscriber.base, "schema": "cloudevents", "topic": "outcomes", **more}
    return Subscription(**values)


def event(ident="e1", kind="a.b", **more) -> CloudEvent:
    return CloudEvent(source="/here", type=kind, id=ident, subject="s", data={"n": 1}, **more)


async def publish(emulator, events, credential=None, topic="outcomes") -> None:
    credential = credential or AzureKeyCredential(KEY)
    address = emulator.topic_endpoint(topic)
    async with EventGridPublisherClient(address, credential, retry_total=0) as client:
        await client.send(events)


async def raw(emulator, body, headers) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(emulator.topic_endpoint("outcomes"), data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status


async def test_a_batch_reaches_its_own_topics_subscribers_only(emulator, subscriber):
    other = Subscriber()
    async with serving(other.answer) as base:
        await emulator.subscribe(subscription(subscriber))
        await emulator.subscribe(Subscription("s2", base, "cloudevents", topic="others"))
        await emulator.subscribe(Subscription("s3", base, "cloudevents"))  # the resource's own topic
        await publish(emulator, [event("e1", extensions={"traceparent": "00-1"}), event("e2")])
        taken = {one["id"]: one for one in await subscriber.has(2)}
        assert set(taken) == {"e1", "e2"}
        assert taken["e1"]["traceparent"] == "00-1"  # the event as it was published
        assert (taken["e1"]["source"], taken["e1"]["data"]) == ("/here", {"n": 1})
        assert other.taken == []


async def test_filters(emulator, subscriber):
    only = AdvancedFilter("NumberIn", "data.n", [1])
    wanted = subscription(subscriber, included_event_types=["a.c"], filters=[only])
    await emulator.subscribe(wanted)
    await publish(
        emulator,
        [
            event("e1"),
            event("e2", "a.c"),
            event(
                "e3",
                "a.c",
            ),
        ],
    )
    assert {one["id"] for one in await subscriber.has(2)} == {"e2", "e3"}


async def test_it_is_tried_again_and_given_up(emulator, subscriber, tmp_path):
    subscriber.statuses = [500, 503]
    await emulator.subscribe(subscription(subscriber))
    await publish(emulator, event())
    assert [one["id"] for one in await subscriber.has(1)] == ["e1"]
    assert subscriber.requests == 3
    subscriber.statuses = [500] * 3
    await emulator.subscribe(subscription(subscriber, max_attempts=3))
    await publish(emulator, event("../e2"))
    async with asyncio.timeout(patience(5)):
        while not (tmp_path / "dead").exists() or not list((tmp_path / "dead").iterdir()):
            await asyncio.sleep(0.01)
    [path] = (tmp_path / "dead").iterdir()
    [letter] = json.loads(path.read_text())
    assert (letter["id"], letter["specversion"], letter["deliveryAttempts"]) == ("../e2", "1.0", 3)
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"


async def test_a_shared_access_signature(emulator, subscriber):
    await emulator.subscribe(subscription(subscriber))
    address = emulator.topic_endpoint("outcomes")

    def sas(endpoint=address, key=KEY, minutes=5) -> AzureSasCredential:
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        return AzureSasCredential(generate_sas(endpoint, key, until))

    await publish(emulator, event(), sas())
    await subscriber.has(1)
    wrong = base64.b64encode(b"another key of thirty-two bytes!").decode()
    for refused in (
        sas(key=wrong),
        sas(minutes=-1),
        sas(emulator.topic_endpoint("others")),
        AzureSasCredential("nothing"),
        AzureKeyCredential(wrong),
    ):
        with pytest.raises(ClientAuthenticationError):
            await publish(emulator, event(), refused)
    assert await raw(emulator, b"[]", {}) == 401


async def test_what_is_not_taken(emulator):
    batch = {"aeg-sas-key": KEY, "Content-Type": "application/cloudevents-batch+json"}
    with pytest.raises(ResourceNotFoundError):
        await publish(emulator, event(), topic="nowhere")
    assert await raw(emulator, b"[]", {"aeg-sas-key": KEY}) == 400  # not CloudEvents
    for body in (
        b"[]",
        b"{",
        b"{}",
        b"[1]",
        b'[{"specversion": "1.0", "id": "", "source": "x", "type": "y"}]',
    ):
        assert await raw(emulator, body, batch) == 400
    assert await raw(emulator, b" " * (MAX_BYTES + 1), batch) == 413
    with pytest.raises(HttpResponseError):
        await publish(emulator, CloudEvent(source="", type="t"))


async def test_a_signature_with_an_odd_end_is_refused(emulator):
    import hashlib
    import hmac
    from urllib.parse import quote

    unsigned = f"r={quote(emulator.topic_endpoint('outcomes'), safe='')}&e=soon"
    signed = base64.b64encode(hmac.digest(base64.b64decode(KEY), unsigned.encode(), hashlib.sha256))
    token = f"{unsigned}&s={quote(signed, safe='')}"
    assert await raw(emulator, b"[]", {"aeg-sas-token": token}) == 401


async def test_a_wrong_topic_is_named(emulator, subscriber):
    with pytest.raises(ConfigurationError, match=r"s1\.topic"):
        await emulator.subscribe(subscription(subscriber, topic="nowhere"))
    with pytest.raises(ConfigurationError, match=r"s1\.schema"):
        await emulator.subscribe(subscription(subscriber, schema="eventgrid"))
    for topics in ({"x": KEY}, {"outcomes": "no base64!"}):
        with pytest.raises(ConfigurationError, match=r"topics\."):
            Emulator(emulator_config(topics=topics))
    assert is_topic_key(KEY)


async def test_keys_are_not_shown(emulator):
    assert KEY not in repr(emulator.config)
