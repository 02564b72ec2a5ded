"""Subscriptions: both schemas, delivery headers, the validation handshake, secrets."""

import json

import aiohttp
import pytest
from aiohttp import web

from emulator.event_grid.delivery import EventGrid
from emulator.event_grid.subscriptions import Subscription, SubscriptionRefused
from shared.errors import ConfigurationError
from tests.support.serving import serving

EVENT = {
    "id": "e1", "topic": "/t", "subject": "/s", "eventType": "A.B", "eventTime": "2026-11-20T00:00:00Z",
    "data": {"a": 1}, "dataVersion": "1.0", "metadataVersion": "1",
}  # fmt: skip


def subscription(endpoint: str = "http://127.0.0.1:1/x?code=hidden", **more: object) -> Subscription:
    return Subscription(name="s1", endpoint=endpoint, **more)


def test_the_event_grid_schema_is_an_array_of_one() -> None:
    assert json.loads(subscription().render(EVENT)) == [EVENT]


def test_the_cloud_events_schema_is_a_single_event() -> None:
    event = json.loads(subscription(schema="cloudevents").render(EVENT))
    assert event == {
        "id": "e1", "source": "/t", "subject": "/s", "type": "A.B", "specversion": "1.0",
        "time": "2026-11-20T00:00:00Z", "data": {"a": 1},
    }  # fmt: skip


def test_delivery_headers() -> None:
    headers = subscription(headers={"api-id": "me"}).delivery_headers(EVENT, 2)
    assert headers["api-id"] == "me"
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "S1"
    assert headers["aeg-delivery-count"] == "1"
    assert headers["aeg-output-event-id"] == "e1"


def test_cloud_events_carry_their_origin() -> None:
    headers = subscription(schema="cloudevents").delivery_headers(EVENT, 1)
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["Origin"] == "eventgrid.azure.net"


def test_addresses_and_headers_are_not_shown() -> None:
    shown = repr(subscription(headers={"api-secret": "hush"}))
    assert "hidden" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"endpoint": "ftp://x"}, "endpoint"),
        ({"schema": "custom"}, "schema"),
        ({"headers": {f"h{n}": "" for n in range(11)}}, "headers"),
        ({"headers": {"h": "x" * 4097}}, "headers"),
        ({"max_attempts": 31}, "max_attempts"),
    ],
)
def test_what_event_grid_would_not_take(changes: dict, part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        subscription(**changes).check()
    assert caught.value.setting == f"subscriptions.s1.{part}"


async def subscribe(handler, **more: object) -> EventGrid:
    async with serving(handler) as base, aiohttp.ClientSession() as session:
        grid = EventGrid(session, "/topic")
        await grid.subscribe(subscription(f"{base}/hook?code=hidden", **more))
        return grid


async def test_the_endpoint_echoes_the_code_and_sees_the_delivery_headers() -> None:
    seen = {}

    async def echo(request: web.Request) -> web.Response:
        [event] = await request.json()
        seen.update(request.headers)
        assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
        return web.json_response({"validationResponse": event["data"]["validationCode"]})

    grid = await subscribe(echo, headers={"api-id": "me"})
    assert [item.name for item in grid.subscriptions] == ["s1"]
    assert seen["aeg-event-type"] == "SubscriptionValidation"
    assert seen["api-id"] == "me"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"validationResponse": "other"}), (200, []), (200, {}), (202, None), (401, None), (302, None)],
)
async def test_a_wrong_answer_is_refused(status: int, body: object) -> None:
    async def wrong(request: web.Request) -> web.Response:
        [event] = await request.json()
        answer = {"validationResponse": event["data"]["validationCode"]} if body is None else body
        return web.json_response(answer, status=status)

    with pytest.raises(SubscriptionRefused, match="s1") as caught:
        await subscribe(wrong)
    assert "hidden" not in str(caught.value)


async def test_an_answer_that_is_no_json_is_refused() -> None:
    async def wrong(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    with pytest.raises(SubscriptionRefused, match="no JSON"):
        await subscribe(wrong)


async def test_nobody_there() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SubscriptionRefused, match="no answer") as caught:
            await EventGrid(session, "/topic").subscribe(subscription())
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "taken"), [("*", True), ("eventgrid.azure.net", True), ("else", False), ("", False)]
)
async def test_cloud_events_ask_with_options(allowed: str, taken: bool) -> None:
    async def options(request: web.Request) -> web.Response:
        assert request.method == "OPTIONS"
        assert request.headers["WebHook-Request-Origin"] == "eventgrid.azure.net"
        return web.Response(headers={"WebHook-Allowed-Origin": allowed})

    if taken:
        await subscribe(options, schema="cloudevents")
    else:
        with pytest.raises(SubscriptionRefused):
            await subscribe(options, schema="cloudevents")
