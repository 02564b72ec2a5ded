"""The topic's client: what is sent, and how what goes wrong is told apart."""

import asyncio

import pytest
from aiohttp import web

from shared.errors import ConfigurationError
from shared.publishing.topic import EventRefused, Topic, TopicUnavailable
from shared.security.secrets import Secrets
from tests.support.serving import serving

EVENT = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "a.b", "subject": "c", "data": {"n": "ü"}}


class Place:
    def __init__(self) -> None:
        self.statuses, self.seen = [], []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.json()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def place():
    made = Place()
    async with serving(made.answer) as base:
        made.base = base
        yield made


@pytest.fixture
async def environment():
    return {"KEY": "the-first-key"}


@pytest.fixture
async def topic(place, environment):
    made = Topic(f"{place.base}/t/api/events", "env:KEY", Secrets(environment=environment))
    yield made
    await made.close()
    await made.close()


async def test_events_are_sent_as_a_batch_with_the_key(place, topic, environment):
    await topic.send([EVENT, EVENT | {"id": "e2"}])
    environment["KEY"] = "the-second-key"
    await topic.send([EVENT])
    (headers, body), (later, _) = place.seen
    assert headers["aeg-sas-key"] == "the-first-key"
    assert headers["Content-Type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert [event["id"] for event in body] == ["e1", "e2"]
    assert body[0]["data"] == {"n": "ü"}
    assert later["aeg-sas-key"] == "the-second-key"  # a rotated key needs no restart


@pytest.mark.parametrize("status", [400, 413])
async def test_refused(place, topic, status):
    place.statuses = [status]
    with pytest.raises(EventRefused, match=str(status)):
        await topic.send([EVENT])


@pytest.mark.parametrize(
    ("status", "said"), [(401, "401"), (403, "403"), (404, "ResourceNotFoundError"), (501, "501")]
)
async def test_not_now(place, topic, status, said):
    place.statuses = [status] * 3
    with pytest.raises(TopicUnavailable, match=said) as caught:
        await topic.send([EVENT])
    assert caught.value.retryable
    assert "the-first-key" not in str(caught.value)


async def test_nobody_there():
    topic = Topic("http://127.0.0.1:9/t/api/events", "env:KEY", Secrets(environment={"KEY": "k"}))
    with pytest.raises(TopicUnavailable, match="ServiceRequestError"):
        await topic.send([EVENT])
    await topic.close()


async def test_no_key(place):
    topic = Topic(place.base, "env:KEY", Secrets(environment={}))
    with pytest.raises(ConfigurationError, match="env:KEY"):
        await topic.send([EVENT])
    await topic.close()


async def test_the_managed_identity_is_asked_without_a_key(place, monkeypatch):
    """A bearer token goes over https only: the client says so before anything is sent."""
    topic = Topic(f"{place.base}/t/api/events", "", Secrets(environment={}))
    with pytest.raises(TopicUnavailable):
        await topic.send([EVENT])
    with pytest.raises(TopicUnavailable):
        await topic.send([EVENT])
    assert place.seen == []
    await topic.close()
    await asyncio.sleep(0)
