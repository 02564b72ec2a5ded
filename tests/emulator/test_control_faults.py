"""The control API's faults, subscriptions and telephones."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from emulator.faults import Faults
from tests.support.app import App
from tests.support.serving import serving
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

WAIT = {"wait_ms": 60_000}


async def send(
    http: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, object]:
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json() if response.content_type == "application/json" else None


async def test_faults_of_new_calls_are_replaced_as_a_whole(app: App, http: aiohttp.ClientSession) -> None:
    status, faults = await send(http, "PUT", "/emulator/faults", {"duplicate_callbacks": 1, "odd_frames": 3})
    assert (status, faults["duplicate_callbacks"], faults["odd_frames"]) == (200, 1, 3)
    call = await app.emulator.dial({"steps": [WAIT]})
    await app.until(lambda: app.kinds().count("CallConnected") == 2)
    assert await send(http, "PUT", "/emulator/faults", {}) == (200, Faults().to_json())
    assert await send(http, "GET", "/emulator/faults") == (200, Faults().to_json())
    assert call.faults.duplicate_callbacks == 1, "calls keep theirs"


async def test_faults_of_a_call_in_progress(app: App, http: aiohttp.ClientSession) -> None:
    call = await app.emulator.dial({"steps": [WAIT]})
    media = await app.connected()
    one = f"/emulator/calls/{call.id}/faults"
    status, faults = await send(http, "POST", one, {"media_fault": "abort"})
    assert (status, faults["media_fault"]) == (200, "abort")
    await media.until(lambda media: media.close_code is not None)
    assert (await send(http, "GET", one))[1]["media_fault"] == "", "it has happened"
    assert app.emulator.faults == Faults()


@pytest.mark.parametrize("body", [{"speed": 1}, {"odd_frames": -1}, [1], "abort"])
@pytest.mark.parametrize("whose", ["call", "emulator"])
async def test_a_wrong_fault_is_refused(
    app: App, http: aiohttp.ClientSession, body: object, whose: str
) -> None:
    call = await app.emulator.dial({"steps": [WAIT]})
    await app.until(lambda: bool(app.answers))
    path, method = (
        ("/emulator/faults", "PUT") if whose == "emulator" else (f"/emulator/calls/{call.id}/faults", "POST")
    )
    status, answer = await send(http, method, path, body)
    assert (status, answer["error"]["code"]) == (400, "400-01")
    assert call.faults == app.emulator.faults == Faults()


async def test_subscribing(app: App, http: aiohttp.ClientSession) -> None:
    body = {
        "name": "more", "endpoint": f"http://{app.base}/events?code=hidden", "headers": {"api-secret": "hush"},
        "filters": [{"operator": "StringIn", "key": "data.to.rawId", "values": ["4:+1"]}],
    }  # fmt: skip
    status, shown = await send(http, "POST", "/emulator/subscriptions", body)
    assert (status, shown["headers"], shown["name"]) == (201, ["api-secret"], "more")
    _, listed = await send(http, "GET", "/emulator/subscriptions")
    assert [item["name"] for item in listed["subscriptions"]] == ["calls", "more"]
    assert "hush" not in str(listed) + str(shown)
    assert "hidden" not in str(listed) + str(shown)
    assert (await send(http, "DELETE", "/emulator/subscriptions/more"))[0] == 204
    assert (await send(http, "DELETE", "/emulator/subscriptions/more"))[0] == 404


@pytest.mark.parametrize(
    "change", [{"endpoint": "nowhere"}, {"endpoint": "http://127.0.0.1:1/?code=hidden"}, {"x": 1}]
)
async def test_what_event_grid_does_not_take(http: aiohttp.ClientSession, change: dict) -> None:
    body = {"name": "s", "endpoint": "http://127.0.0.1:1/", **change}
    status, answer = await send(http, "POST", "/emulator/subscriptions", body)
    assert status == 400
    assert "hidden" not in str(answer)


async def test_a_subscription_is_confirmed_at_its_address(app: App, http: aiohttp.ClientSession) -> None:
    urls: asyncio.Queue[str] = asyncio.Queue()

    async def later(request: web.Request) -> web.Response:
        [event] = await request.json()
        urls.put_nowait(event["data"]["validationUrl"])
        return web.Response()

    async with serving(later) as base:
        body = {"name": "slow", "endpoint": f"{base}/hook"}
        subscribing = asyncio.create_task(send(http, "POST", "/emulator/subscriptions", body))
        url = await asyncio.wait_for(urls.get(), patience(5))
        async with aiohttp.ClientSession() as anybody, anybody.get(url) as response:
            assert response.status == 200
        assert (await asyncio.wait_for(subscribing, patience(5)))[0] == 201
        async with aiohttp.ClientSession() as anybody, anybody.get(url) as response:
            assert response.status == 404, "it is good for one handshake"


async def test_telephones(app: App, http: aiohttp.ClientSession) -> None:
    status, phone = await send(http, "POST", "/emulator/phones", {"at": "+14255550111", "on_ring": "busy"})
    assert (status, phone["at"], phone["onRing"]) == (201, "+14255550111", "busy")
    assert await send(http, "GET", "/emulator/phones") == (200, {"phones": ["+14255550111"]})
    assert (await send(http, "POST", "/emulator/phones", {"at": "nobody"}))[0] == 400
    assert (await send(http, "DELETE", "/emulator/phones/+14255550111"))[0] == 204
    assert (await send(http, "DELETE", "/emulator/phones/+14255550111"))[0] == 404
