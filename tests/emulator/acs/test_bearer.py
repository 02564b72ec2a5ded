"""Bearer tokens: who gets one, which are accepted, and Microsoft's own credentials against the doors."""

import asyncio
import contextlib
import time

import aiohttp
import jwt
import pytest
from aiohttp import web
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioManagedIdentityCredential

from emulator.acs.bearer import AUDIENCE, TENANT, BearerTokens
from emulator.acs.signing import Signer
from emulator.python_sdk import SCOPE, AioEmulatorCredential, EmulatorCredential
from emulator.tls import Authority
from tests.support.app import ACCESS_KEY, RESOURCE

SIGNER = Signer(RESOURCE)
FORM = {
    "grant_type": "client_credentials",
    "client_id": RESOURCE,
    "client_secret": ACCESS_KEY,
    "scope": SCOPE,
}


class Doors:
    """The doors on a free port."""

    def __init__(self) -> None:
        self.base = ""
        self.tokens = BearerTokens(SIGNER, RESOURCE, ACCESS_KEY, lambda: self.base)
        self.asked = 0

    @contextlib.asynccontextmanager
    async def open(self, context=None):
        @web.middleware
        async def count(request, handler):
            self.asked += 1
            return await handler(request)

        app = web.Application(middlewares=[count])
        self.tokens.add_to(app.router)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            scheme = "https" if context else "http"
            self.base = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def doors():
    async with Doors().open() as doors:
        yield doors


async def ask(method, url, **options):
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as response:
        return response.status, await response.json()


async def test_a_client_with_the_key_gets_a_token(doors):
    status, body = await ask("POST", f"{doors.base}/any-tenant/oauth2/v2.0/token", data=FORM)
    assert status == 200
    assert doors.tokens.accepts(body["access_token"])
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "guess"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "somebody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "https://vault.azure.net/.default"}, 400, "invalid_scope"),
    ],
)
async def test_others_get_none(doors, change, status, error):
    answer = await ask("POST", f"{doors.base}/t/oauth2/v2.0/token", data={**FORM, **change})
    assert (answer[0], answer[1]["error"]) == (status, error)
    assert "access_token" not in answer[1]


@pytest.mark.parametrize(
    ("header", "resource", "status"),
    [
        (ACCESS_KEY, AUDIENCE, 200),
        ("guess", AUDIENCE, 401),
        (None, AUDIENCE, 401),
        (ACCESS_KEY, "https://x", 400),
    ],
)
async def test_the_managed_identity_door(doors, header, resource, status):
    headers = {} if header is None else {"X-IDENTITY-HEADER": header}
    answer = await ask("GET", f"{doors.base}/msi/token", headers=headers, params={"resource": resource})
    assert answer[0] == status
    assert ("access_token" in answer[1]) is (status == 200)


def signed(key=SIGNER, lifetime_s=60, **changes):
    claims = {"aud": AUDIENCE, "iss": f"http://emulator/{TENANT}/", **changes}
    return key.sign(claims, lifetime_s)


def unsigned():
    claims = {"aud": AUDIENCE, "iss": f"http://emulator/{TENANT}/", "iat": 0, "exp": 2**40}
    return jwt.encode(claims, None, algorithm="none")


def test_only_own_tokens_of_this_purpose_are_accepted():
    tokens = BearerTokens(SIGNER, RESOURCE, ACCESS_KEY, lambda: "http://emulator")
    assert tokens.accepts(signed())
    assert tokens.accepts(tokens.issue())
    refused = {
        "ended": signed(lifetime_s=-1),
        "of another key": signed(Signer(RESOURCE)),
        "for another audience": signed(aud="https://vault.azure.net"),
        "of another issuer": signed(iss="http://elsewhere/"),
        "of a callback": SIGNER.token(60),
        "unsigned": unsigned(),
        "cut": signed()[:-4],
        "nothing": "",
        "nonsense": "a.b.c",
    }
    assert [name for name, token in refused.items() if tokens.accepts(token)] == []


async def test_microsofts_managed_identity_credential(doors, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{doors.base}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", ACCESS_KEY)
    with ManagedIdentityCredential() as credential:
        token = await asyncio.to_thread(credential.get_token, SCOPE)
    assert doors.tokens.accepts(token.token)
    async with AioManagedIdentityCredential() as credential:
        token = await credential.get_token(SCOPE)
    assert doors.tokens.accepts(token.token)


async def test_microsofts_client_secret_credential(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle_file))
    async with Doors().open(authority.server_context()) as doors:
        with ClientSecretCredential(
            TENANT, RESOURCE, ACCESS_KEY, authority=doors.base, disable_instance_discovery=True
        ) as credential:
            token = await asyncio.to_thread(credential.get_token, SCOPE)
        assert doors.tokens.accepts(token.token)


async def test_the_small_credentials_keep_their_token(doors):
    credential = EmulatorCredential(doors.base, RESOURCE, ACCESS_KEY)
    first = await asyncio.to_thread(credential.get_token, SCOPE)
    second = await asyncio.to_thread(credential.get_token, SCOPE)
    async with AioEmulatorCredential(doors.base, RESOURCE, ACCESS_KEY) as other:
        third, fourth = await other.get_token(SCOPE), await other.get_token(SCOPE)
    assert (first, third) == (second, fourth)
    assert doors.asked == 2
    assert doors.tokens.accepts(first.token)
    assert doors.tokens.accepts(third.token)
    assert abs(first.expires_on - time.time() - 3600) < 60


async def test_a_refusal_is_said(doors):
    with pytest.raises(aiohttp.ClientResponseError):
        await AioEmulatorCredential(doors.base, RESOURCE, "guess").get_token(SCOPE)
