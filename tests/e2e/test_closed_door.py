"""The closed doors of the running system: every way in that must not be one, tried on real sockets while a call goes on."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ed25519
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cli.stack import Stack
from emulator.acs.signing import Signer
from shared.calls.repository import Calls
from shared.security.keyring import KeyRing, open_key_source
from shared.security.tokens import Audience, TokenMinter
from shared.store import open_store
from tests.support.callbacks import callback
from tests.support.stack import answered_call, running_stack
from tests.support.timing import patience

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("closed door"),  # one stack for all of them
]

LONG_CALL = {"steps": [{"wait_ms": {"ms": 280_000, "within_s": 290}}, "hang_up"], "limit_s": 300}


@dataclass
class Doors:
    """A running system with two live calls and two whose audio is still awaited, and the means to knock.

    Media tokens are tried on a call that waits for its audio, so that nothing but the check in question refuses them.
    """

    stack: Stack
    record: Mapping[str, Any]
    other: Mapping[str, Any]
    waiting: tuple[str, str]
    waiting_too: tuple[str, str]
    session: aiohttp.ClientSession

    async def mint(self, audience: Audience, *, age_s: float = 0, call_id: str = "") -> str:
        source = open_key_source(f"file:{self.stack.folder / 'keys' / 'signing.json'}", "")
        now = lambda: time.time() - age_s  # noqa: E731  # a clock
        ring = KeyRing(source, now)
        usual = self.waiting[0] if audience is Audience.ACS_MEDIA else self.record["callId"]
        return await TokenMinter(ring, now).mint(audience, call_id=call_id or usual, tenant="default")

    async def media(
        self, token: str, *, while_open: Callable[[], Awaitable[None]] | None = None, **changed: str | None
    ) -> int:
        """The status of an upgrade request; 101 when it was let in (then `while_open` runs before it is closed)."""
        headers = {
            "x-ms-call-connection-id": self.waiting[1],
            "Authorization": self.stack.emulator.signer.media_header(),
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        try:
            async with connect(
                f"{self.stack.media_base}/acs/{token}",
                additional_headers={name: value for name, value in headers.items() if value is not None},
                compression=None,
            ):
                if while_open is not None:
                    await while_open()
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    async def callback(self, token: str, *, authorization: str | None = None, connection: str = "") -> int:
        """The status of a callback that would end the call."""
        event = callback("CallDisconnected", connection or self.record["callConnectionId"], 9)
        signed = self.stack.emulator.signer.callback_header() if authorization is None else authorization
        url = f"{self.stack.functions_base}/api/call-events/{token}"
        headers = {"Authorization": signed} if signed else {}
        async with self.session.post(url, json=[event], headers=headers) as response:
            return response.status

    async def untouched(self) -> bool:
        client = self.stack.client()
        try:
            record = await client.call(self.record["callId"])
        finally:
            await client.close()
        return bool(record["state"] == "connected" and record["media"]["endedAt"] is None)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def doors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed-door") / "stack"
    # At DEBUG, because `running_stack` looks for secrets in what was logged, and every kind of token passes here.
    async with running_stack(folder, env={"PATCHCORD_LOG_LEVEL": "debug"}) as stack:
        calls = [
            await stack.emulator.dial({"from": number, **LONG_CALL})
            for number in ("+14255550101", "+14255550102")
        ]
        client = stack.client()
        async with aiohttp.ClientSession() as session:
            records = []
            for call in calls:
                await asyncio.wait_for(call.first("agent_audio"), patience(20))
                async with asyncio.timeout(patience(10)):
                    async for record in client.follow(call.correlation_id, 0.1):
                        if record["state"] == "connected" and record["callConnectionId"]:
                            records.append(record)
                            break
            store = open_store(stack.store_address)
            waiting = [await answered_call(Calls(store, time.time), number) for number in (1, 2)]
            await store.close()
            yield Doors(stack, *records, *waiting, session)
        await client.close()
        for call in calls:
            call.hang_up()
            await call.ended()


def forged(doors: Doors, change: Callable[[dict[str, Any], dict[str, Any]], str]) -> Callable[[str], str]:
    """A token made from a good one: `change(header, claims)` encodes it anew."""

    def make(token: str) -> str:
        return change(
            dict(jwt.get_unverified_header(token)), jwt.decode(token, options={"verify_signature": False})
        )

    return make


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({**header, 'alg': 'none'})}.{part(claims)}."


def symmetric(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "k" * 32, "HS256", {"kid": header["kid"]})


def foreign_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", {"kid": header["kid"]})


def unknown_kid(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", {"kid": "nobody-knows-me"})


FORGERIES = [unsigned, symmetric, foreign_key, unknown_kid]


async def test_a_good_media_token_opens_the_door_once(doors):
    store = open_store(doors.stack.store_address)
    call_id, connection_id = await answered_call(Calls(store, time.time))
    await store.close()
    token = await doors.mint(Audience.ACS_MEDIA, call_id=call_id)
    # Fresh, signed, of an answered call: this is what the door is for. Everything below differs from it in one thing.

    async def replay() -> None:
        assert await doors.media(token, x_ms_call_connection_id=connection_id) == 401

    assert await doors.media(token, while_open=replay, x_ms_call_connection_id=connection_id) == 101
    # Later only ACS itself may come back to lost audio, and that is told by its signature.
    assert await doors.media(token, x_ms_call_connection_id=connection_id, Authorization=None) == 401


async def test_a_second_socket_for_a_connected_call(doors):
    token = await doors.mint(Audience.ACS_MEDIA, call_id=doors.record["callId"])
    assert await doors.media(token, x_ms_call_connection_id=doors.record["callConnectionId"]) == 401
    assert await doors.untouched()


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
async def test_no_media_token(doors, token):
    assert await doors.media(token) in (401, 404)
    assert await doors.untouched()


@pytest.mark.parametrize("age_s", [31, 3600])
async def test_expired_media_token(doors, age_s):
    assert await doors.media(await doors.mint(Audience.ACS_MEDIA, age_s=age_s)) == 401


async def test_another_calls_media_token(doors):
    token = await doors.mint(Audience.ACS_MEDIA, call_id=doors.waiting_too[0])
    assert await doors.media(token) == 401


async def test_the_media_token_of_no_call(doors):
    assert await doors.media(await doors.mint(Audience.ACS_MEDIA, call_id="c000000000000000000000000")) == 401


async def test_a_callback_token_does_not_open_the_media_door(doors):
    assert await doors.media(await doors.mint(Audience.ACS_CALLBACK)) == 401


async def test_a_media_token_does_not_open_the_callback_door(doors):
    assert await doors.callback(await doors.mint(Audience.ACS_MEDIA)) == 401
    assert await doors.untouched()


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_forged_tokens(doors, forge):
    make = forged(doors, forge)
    assert await doors.media(make(await doors.mint(Audience.ACS_MEDIA))) == 401
    assert await doors.callback(make(await doors.mint(Audience.ACS_CALLBACK))) == 401
    assert await doors.untouched()


async def test_foreign_acs_signature(doors):
    foreign = await asyncio.to_thread(Signer, doors.stack.emulator.config.resource_id)
    assert (
        await doors.media(await doors.mint(Audience.ACS_MEDIA), Authorization=foreign.media_header()) == 401
    )
    token = await doors.mint(Audience.ACS_CALLBACK)
    assert await doors.callback(token, authorization=foreign.callback_header()) == 401
    assert await doors.untouched()


async def test_no_acs_signature(doors):
    assert await doors.media(await doors.mint(Audience.ACS_MEDIA), Authorization=None) == 401
    assert await doors.callback(await doors.mint(Audience.ACS_CALLBACK), authorization="") == 401
    assert await doors.untouched()


async def test_wrong_connection_id(doors):
    theirs = doors.other["callConnectionId"]
    mine = doors.waiting_too[1]
    assert await doors.media(await doors.mint(Audience.ACS_MEDIA), x_ms_call_connection_id=mine) == 401
    assert await doors.media(await doors.mint(Audience.ACS_MEDIA), x_ms_call_connection_id=None) == 401
    assert await doors.callback(await doors.mint(Audience.ACS_CALLBACK), connection=theirs) == 401
    assert await doors.untouched()


async def test_an_expired_callback_token(doors):
    assert await doors.callback(await doors.mint(Audience.ACS_CALLBACK, age_s=3 * 3600 + 5)) == 401
    assert await doors.untouched()


async def test_a_plain_request_on_the_media_path_is_no_upgrade(doors):
    base = f"http://127.0.0.1:{doors.stack.media_port}"
    async with doors.session.get(f"{base}/acs/{await doors.mint(Audience.ACS_MEDIA)}") as response:
        assert response.status == 400
    async with doors.session.get(f"{base}/anything") as response:
        assert response.status == 404


INCOMING = [{"id": "e1", "eventType": "Microsoft.Communication.IncomingCall", "subject": "", "data": {}, "dataVersion": "1.0",
             "eventTime": "2026-11-20T23:50:36.2415391Z"}]  # fmt: skip


def credentials(doors: Doors, case: str) -> list[tuple[str, str]]:
    good = doors.stack.credentials
    names = {"id": ("api-id", good["api-id"]), "secret": ("api-secret", good["api-secret"])}
    return {
        "good": [names["id"], names["secret"]],
        "none": [],
        "no secret": [names["id"]],
        "no id": [names["secret"]],
        "wrong secret": [names["id"], ("api-secret", "pcs_" + "A" * 43)],
        "wrong id": [("api-id", "pci_0000000000000000"), names["secret"]],
        "secret twice": [names["id"], names["secret"], names["secret"]],
        "id twice": [names["id"], names["id"], names["secret"]],
        "empty secret": [names["id"], ("api-secret", "")],
    }[case]


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("good", 200), ("none", 401), ("no secret", 401), ("no id", 401), ("wrong secret", 401), ("wrong id", 401),
        ("secret twice", 401), ("id twice", 401), ("empty secret", 401),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/calls", "/api/acs-events"])
async def test_a_tenants_credentials(doors, path, case, status):
    from multidict import CIMultiDict

    headers = CIMultiDict(credentials(doors, case))
    url = doors.stack.functions_base + path
    other = {"id": "e2", "eventType": "Microsoft.Communication.CallStarted", "subject": "", "data": {}, "dataVersion": "1.0",
             "eventTime": "2026-11-20T23:50:36Z"}  # fmt: skip
    asked = doors.session.get(url, headers=headers) if path == "/api/calls" else doors.session.post(
        url, json=[other], headers=headers
    )  # fmt: skip
    async with asked as response:
        body = await response.json()
        assert response.status == status, body
        if status == 401:
            assert body["error"]["code"] == "401-01"
            assert set(body["error"]) == {"requestId", "code", "message"}


@pytest.mark.parametrize("key", [None, "wrong-key"])
async def test_an_event_posted_without_the_functions_key(doors, key):
    url = f"{doors.stack.functions_base}/runtime/webhooks/eventgrid?functionName=incoming_call"
    headers = {"aeg-event-type": "Notification"}
    before = len(doors.stack.emulator.calls)
    async with doors.session.post(
        url + (f"&code={key}" if key else ""), json=INCOMING, headers=headers
    ) as response:
        assert response.status == 401
    assert len(doors.stack.emulator.calls) == before


async def test_the_emulators_control_door(doors):
    async with doors.session.get(f"{doors.stack.emulator.endpoint}/emulator/calls") as response:
        assert response.status == 401
