"""The REST interface as raw requests and through Microsoft's client: errors, repeatability, faults, keys."""

import asyncio
import base64
import email.utils
import json
import uuid

import aiohttp
import jwt
import pytest
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from yarl import URL

from emulator.acs.auth import content_hash, signature
from emulator.faults import Faults
from tests.support.app import ACCESS_KEY, RESOURCE, App, emulated_app

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

ANSWER = "/calling/callConnections:answer?api-version=2026-03-12"
WAIT = {"steps": [{"wait_ms": 60_000}]}


@pytest.fixture
async def app():
    async with emulated_app() as app:
        app.on_call = ignore
        yield app


async def ignore(data: dict) -> None:
    return None


async def send(
    app: App, method: str, path: str, body: object = None, *, key: str = ACCESS_KEY, **headers: str
) -> tuple[int, dict]:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    date, digest = email.utils.formatdate(usegmt=True), content_hash(data)
    host = app.emulator.endpoint.removeprefix("http://")
    signed = signature(base64.b64decode(key), method, path, date, host, digest)
    headers = {
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signed}",
        "x-ms-date": date,
        "x-ms-content-sha256": digest,
        **headers,
    }
    url = URL(app.emulator.endpoint + path, encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=data, headers=headers) as reply,
    ):
        text = await reply.text()
        return reply.status, json.loads(text) if text else {}


async def context_of_a_call(app: App) -> str:
    await app.emulator.dial(WAIT)
    await app.until(lambda: bool(app.events))
    return app.events[-1]["data"]["incomingCallContext"]


def answer_body(app: App, context: str, **more: object) -> dict:
    return {"incomingCallContext": context, "callbackUri": f"http://{app.base}/callbacks/c1", **more}


async def test_an_answer(app: App) -> None:
    context = await context_of_a_call(app)
    status, body = await send(app, "POST", ANSWER, answer_body(app, context))
    assert status == 200
    assert body["callConnectionState"] == "connecting"
    assert body["targets"] == [app.events[-1]["data"]["to"]]
    assert body["correlationId"] == app.events[-1]["data"]["correlationId"]
    connected = await app.callback("CallConnected")
    assert connected["callConnectionId"] == body["callConnectionId"]
    assert connected["version"] == "2026-03-12"
    roster = await app.callback("ParticipantsUpdated")
    assert roster["sequenceNumber"] == 1
    assert [item["identifier"]["kind"] for item in roster["participants"]] == [
        "phoneNumber",
        "communicationUser",
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"incomingCallContext": "unknown"}, (404, "8522")),
        ({"incomingCallContext": None}, (400, "8523")),
        ({"callbackUri": None}, (400, "8523")),
        ({"callbackUri": "http://public.example/cb"}, (400, "8523")),
        ({"callbackUri": "not an address"}, (400, "8523")),
        ({"operationContext": 7}, (400, "8523")),
        ({"mediaStreamingOptions": {}}, (400, "8523")),
    ],
)
async def test_a_wrong_answer_leaves_the_call_ringing(app: App, change: dict, code: tuple) -> None:
    context = await context_of_a_call(app)
    status, body = await send(app, "POST", ANSWER, {**answer_body(app, context), **change})
    assert (status, body["error"]["code"]) == code
    assert body["error"].keys() == {"code", "message", "target", "details", "innererror"}
    status, _ = await send(app, "POST", ANSWER, answer_body(app, context))
    assert status == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_object(app: App, body: bytes) -> None:
    status, answer = await send(app, "POST", ANSWER, body)
    assert (status, answer["error"]["code"]) == (400, "8523")


async def test_a_wrong_key_is_refused(app: App) -> None:
    context = await context_of_a_call(app)
    other = base64.b64encode(b"another key of 32 bytes, or more").decode()
    status, body = await send(app, "POST", ANSWER, answer_body(app, context), key=other)
    assert (status, body["error"]["code"]) == (401, "7509")
    assert context not in json.dumps(body)


async def test_microsofts_client_with_a_wrong_key(app: App) -> None:
    other = base64.b64encode(b"another key of 32 bytes, or more").decode()
    async with CallAutomationClient(app.emulator.endpoint, AzureKeyCredential(other)) as client:
        with pytest.raises(ClientAuthenticationError):
            await client.answer_call("ctx", "http://127.0.0.1:1/")


async def test_an_endpoint_with_a_trailing_slash(app: App) -> None:
    endpoint = app.emulator.endpoint + "/"
    async with CallAutomationClient(endpoint, AzureKeyCredential(ACCESS_KEY)) as client:
        with pytest.raises(ResourceNotFoundError) as caught:
            await client.get_call_connection("unknown").get_call_properties()
    assert caught.value.error.code == "8522"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("DELETE", ""), ("POST", ":terminate"), ("POST", ":transferToParticipant"),
        ("POST", "/participants:add"), ("GET", "/participants"), ("GET", "/participants/4%3A%2B1"),
        ("POST", ":startMediaStreaming"), ("POST", ":stopMediaStreaming"),
    ],
)  # fmt: skip
async def test_an_unknown_call(app: App, method: str, path: str) -> None:
    status, body = await send(app, method, f"/calling/callConnections/nope{path}")
    assert (status, body["error"]["code"]) == (404, "8522")


async def test_a_repeated_request_has_one_effect(app: App) -> None:
    context = await context_of_a_call(app)
    ids = {"Repeatability-Request-ID": str(uuid.uuid4())}
    answers = await asyncio.gather(
        *(send(app, "POST", ANSWER, answer_body(app, context), **ids) for _ in range(5))
    )
    assert all(answer == answers[0] for answer in answers)
    assert app.emulator.operations == {("answer", 200): 1}
    assert answers[0][0] == 200
    await app.until(lambda: len(app.callbacks) == 2)
    status, _ = await send(
        app, "POST", ANSWER, answer_body(app, context), **{"Repeatability-Request-ID": str(uuid.uuid4())}
    )
    assert status == 404


async def test_a_response_held_back_after_the_effect_can_be_fetched_by_repeating() -> None:
    async with emulated_app(faults=Faults(rest_delay_s={"answer": 60})) as app:
        app.on_call = ignore
        context = await context_of_a_call(app)
        ids = {"Repeatability-Request-ID": str(uuid.uuid4())}
        first = asyncio.create_task(send(app, "POST", ANSWER, answer_body(app, context), **ids))
        connected = await app.callback("CallConnected")
        assert not first.done()
        status, body = await send(app, "POST", ANSWER, answer_body(app, context), **ids)
        assert (status, body["callConnectionId"]) == (200, connected["callConnectionId"])
        assert app.emulator.operations == {("answer", 200): 1}
        first.cancel()


async def test_a_failed_request_is_not_remembered(app: App) -> None:
    ids = {"Repeatability-Request-ID": str(uuid.uuid4())}
    context = await context_of_a_call(app)
    assert (await send(app, "POST", ANSWER, answer_body(app, "unknown"), **ids))[0] == 404
    assert (await send(app, "POST", ANSWER, answer_body(app, context), **ids))[0] == 200


async def test_an_empty_answer_is_repeated_too(app: App) -> None:
    context = await context_of_a_call(app)
    ids = {"Repeatability-Request-ID": str(uuid.uuid4())}
    path = "/calling/callConnections:reject?api-version=2026-03-12"
    body = {"incomingCallContext": context, "callRejectReason": "busy"}
    assert [await send(app, "POST", path, body, **ids) for _ in range(2)] == [(204, {})] * 2


async def test_a_wrong_reject_reason(app: App) -> None:
    context = await context_of_a_call(app)
    body = {"incomingCallContext": context, "callRejectReason": "tired"}
    assert (await send(app, "POST", "/calling/callConnections:reject", body))[0] == 400


async def test_microsofts_client_gets_over_two_failures() -> None:
    async with emulated_app(faults=Faults(rest_status={"answer": [503, 500]})) as app:
        call = await app.emulator.dial(WAIT)
        await app.until(lambda: bool(app.answers), 20)
        assert len(app.answers) == 1
        assert call.connection_id == app.answers[0].call_connection_id


async def test_a_refusal_on_demand_reaches_the_app() -> None:
    async with emulated_app(faults=Faults(rest_status={"answer": [403]})) as app:

        async def refused(data: dict) -> None:
            with pytest.raises(HttpResponseError) as caught:
                await app.answer(data)
            assert caught.value.status_code == 403
            await app.answer(data)

        app.on_call = refused
        await app.emulator.dial(WAIT)
        await app.until(lambda: bool(app.answers))


async def test_429_says_when_to_come_back() -> None:
    async with emulated_app(faults=Faults(rest_status={"answer": [429]})) as app:
        app.on_call = ignore
        context = await context_of_a_call(app)
        status, body = await send(app, "POST", ANSWER, answer_body(app, context))
        assert (status, body["error"]["code"]) == (429, "8516")


async def test_callbacks_and_media_are_signed_with_the_served_key(app: App) -> None:
    app.on_call = app.answer
    await app.emulator.dial(WAIT)
    media = await app.connected()
    async with aiohttp.ClientSession() as session:
        async with session.get(app.emulator.jwks_url) as response:
            keys = jwt.PyJWKSet.from_dict(await response.json())
        oidc = f"{app.emulator.endpoint}/calling/.well-known/acsopenidconfiguration"
        async with session.get(oidc) as response:
            assert (await response.json())["jwks_uri"] == app.emulator.jwks_url
    for header in [item["Authorization"] for item in app.callback_headers] + [media.headers["Authorization"]]:
        token = header.removeprefix("Bearer ")
        key = keys[jwt.get_unverified_header(token)["kid"]]
        jwt.decode(token, key, algorithms=["RS256"], audience=RESOURCE, issuer=app.emulator.issuer)
    connection_id = app.callbacks[0]["data"]["callConnectionId"]
    assert media.headers["x-ms-call-connection-id"] == connection_id
    assert media.headers["x-ms-call-correlation-id"] == app.callbacks[0]["data"]["correlationId"]
    assert "Sec-WebSocket-Extensions" not in media.headers
