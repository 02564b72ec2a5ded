"""The validation handshake: by code, by address, by CloudEvents `OPTIONS`."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from emulator.event_grid.delivery import EventGrid
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.validation import SubscriptionRefused, Validator
from tests.support.serving import serving


def subscription(endpoint: str = "http://127.0.0.1:1/x?code=hidden", **more: object) -> Subscription:
    return Subscription(name="s1", endpoint=endpoint, **more)


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


async def by_address(handler, *, wait_s: float = 5, confirm: bool = True, **more: object) -> list[str]:
    """Validate with an address; whoever is at it confirms at once, or not at all. Returns the addresses that were handed out."""
    given: list[str] = []

    def address(key: str) -> str:
        given.append(key)
        if confirm:
            asyncio.get_running_loop().call_later(0.02, lambda: seen.append(validator.confirm(key)))
        return f"http://127.0.0.1:1/validate/{key}"

    seen: list[bool] = []
    async with serving(handler) as base, aiohttp.ClientSession() as session:
        validator = Validator(session, "/topic", address, wait_s)
        await validator.validate(subscription(f"{base}/hook", **more))
        assert seen == ([True] if given and confirm else [])
        assert not validator.confirm(given[0]), "an address is good for one handshake"
    return given


async def test_an_address_in_the_event_can_be_asked_instead() -> None:
    urls = []

    async def polite(request: web.Request) -> web.Response:
        [event] = await request.json()
        urls.append(event["data"]["validationUrl"])
        return web.Response(text="will ask")

    given = await by_address(polite)
    assert urls == [f"http://127.0.0.1:1/validate/{given[0]}"]


async def test_nobody_asks_for_the_address_in_time() -> None:
    async def polite(request: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(SubscriptionRefused, match="nobody asked"):
        await by_address(polite, wait_s=0.05, confirm=False)


async def test_a_wrong_code_is_not_waited_for() -> None:
    async def wrong(request: web.Request) -> web.Response:
        return web.json_response({"validationResponse": "other"})

    with pytest.raises(SubscriptionRefused, match="code"):
        await by_address(wrong, wait_s=60)


async def test_cloud_events_can_call_back() -> None:
    async def options(request: web.Request) -> web.Response:
        assert request.headers["WebHook-Request-Callback"].startswith("http://127.0.0.1:1/validate/")
        return web.Response()

    await by_address(options, schema="cloudevents")


def test_an_unknown_address_is_nobodys() -> None:
    assert not Validator(None, "/topic").confirm("guess")
