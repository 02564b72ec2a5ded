"""How we are let in, with the real azure-identity against App Service's door for managed identities, on loopback."""

import asyncio
import logging

import pytest
from aiohttp import web
from websockets.exceptions import InvalidStatus

from media_host.agents.realtime import access
from media_host.agents.realtime.access import ModelAccess
from media_host.websocket import connect
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import AgentUnavailable, ConfigurationError
from shared.security.secrets import Secrets
from tests.support.serving import serving
from tests.support.timing import patience

OPENAI = RealtimeAgentConfig(service="openai", model="m", key="env:KEY")
AZURE = RealtimeAgentConfig(
    service="azure-openai", endpoint="https://r.openai.azure.com", model="d", key="env:KEY"
)
VOICE = RealtimeAgentConfig(
    service="voice-live", endpoint="https://r.services.ai.azure.com", model="m", key="env:KEY"
)
ENTRA = RealtimeAgentConfig(
    service="azure-openai", endpoint="https://r.openai.azure.com", model="d", auth="entra"
)
START = 1_000_000.0
"""Long ago, so that azure-identity's own cache, which lives by the real clock, never answers for ours."""


def keys(value="k3y"):
    return Secrets(environment={"KEY": value})


class Clock:
    def __init__(self):
        self.s = START

    def __call__(self):
        return self.s


class Identity:
    """App Service's identity endpoint: tokens of an hour, numbered; `status` refuses, `gate` holds the answer back."""

    def __init__(self, clock):
        self.clock = clock
        self.requests = []
        self.status = 200
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request):
        self.requests.append(request)
        number = len(self.requests)
        await self.gate.wait()
        if self.status != 200:
            return web.json_response({"error": "no", "said": "qu0ted"}, status=self.status)
        return web.json_response(
            {
                "access_token": f"t0ken-{number}",
                "expires_on": str(int(self.clock() + 3600)),
                "resource": request.query["resource"],
                "token_type": "Bearer",
            }
        )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def identity(clock, monkeypatch):
    identity = Identity(clock)
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_TOKEN_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_HEADER", "h3ader")
    async with serving(identity.answer) as base:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{base}/msi")
        yield identity
        identity.gate.set()


@pytest.fixture
async def entra(clock, identity):
    made = ModelAccess(keys(), now=clock)
    yield made
    await made.close()


async def bearer(made):
    return (await made.headers(ENTRA))["Authorization"]


async def asked(identity, number):
    async with asyncio.timeout(patience(2)):
        while len(identity.requests) < number:
            await asyncio.sleep(0.005)


# --- keys -----------------------------------------------------------------------------------------------------


async def test_each_service_has_its_header():
    made = ModelAccess(keys("k3y\n"))
    assert await made.headers(OPENAI) == {"Authorization": "Bearer k3y"}
    assert await made.headers(AZURE) == {"api-key": "k3y"}
    assert await made.headers(VOICE) == {"api-key": "k3y"}
    await made.close()


async def test_an_emulated_model_gets_nothing():
    emulated = RealtimeAgentConfig(service="openai", endpoint="ws://127.0.0.1:1", model="m", auth="none")
    assert await ModelAccess(keys()).headers(emulated) == {}


@pytest.mark.parametrize("key", ["k3y\r\nX-Evil: 1", "k3y k3y", "k3ÿ", ""])
async def test_a_key_that_would_be_another_header_is_refused_and_not_quoted(key):
    with pytest.raises(ConfigurationError, match="env:KEY") as caught:
        await ModelAccess(keys(key)).headers(AZURE)
    assert "k3" not in str(caught.value)


async def test_a_redirect_gets_no_key():
    elsewhere = []

    async def thief(request):
        elsewhere.append(request)
        return web.Response(status=404)

    async with serving(thief) as target:

        async def redirect(request):
            return web.Response(status=307, headers={"Location": f"{target}/openai/v1/realtime"})

        async with serving(redirect) as base:
            headers = await ModelAccess(keys()).headers(AZURE)
            with pytest.raises(InvalidStatus) as caught:
                await connect(
                    base.replace("http", "ws"),
                    headers=headers,
                    on_text=lambda text: None,
                    on_close=lambda code, reason: None,
                )
    assert elsewhere == []
    assert "k3y" not in str(caught.value)


# --- tokens ---------------------------------------------------------------------------------------------------


async def test_a_managed_identity_s_token(entra, identity):
    assert await bearer(entra) == "Bearer t0ken-1"
    request = identity.requests[0]
    assert request.query["resource"] == "https://ai.azure.com"
    assert request.headers["X-IDENTITY-HEADER"] == "h3ader"
    assert "client_id" not in request.query


async def test_a_user_assigned_identity_and_another_scope(clock, identity):
    scope = "https://cognitiveservices.azure.com/.default"
    made = ModelAccess(keys(), "the-identity", clock, scope=scope)
    await bearer(made)
    assert identity.requests[0].query["client_id"] == "the-identity"
    assert identity.requests[0].query["resource"] == "https://cognitiveservices.azure.com"
    await made.close()
    await made.close()


async def test_calls_at_the_same_time_share_one_token(entra, identity):
    assert set(await asyncio.gather(*(bearer(entra) for _ in range(20)))) == {"Bearer t0ken-1"}
    assert len(identity.requests) == 1


async def test_a_call_that_ends_leaves_the_others_their_token(entra, identity):
    identity.gate.clear()
    first, second = (asyncio.create_task(bearer(entra)) for _ in range(2))
    await asked(identity, 1)
    first.cancel()
    identity.gate.set()
    assert await second == "Bearer t0ken-1"


async def test_no_call_waits_while_a_token_is_valid(entra, identity, clock):
    await bearer(entra)
    clock.s += 1799
    assert await bearer(entra) == "Bearer t0ken-1"
    assert len(identity.requests) == 1
    clock.s += 1
    identity.gate.clear()  # the renewal is slow
    assert [await bearer(entra) for _ in range(3)] == ["Bearer t0ken-1"] * 3
    await asked(identity, 2)
    identity.gate.set()
    async with asyncio.timeout(patience(2)):
        while await bearer(entra) != "Bearer t0ken-2":
            await asyncio.sleep(0.005)
    assert len(identity.requests) == 2


async def test_an_outage_is_ridden_out_until_the_token_ends(entra, identity, clock, caplog):
    caplog.set_level(logging.DEBUG)
    await bearer(entra)
    identity.status = 400
    clock.s += 1800
    assert await bearer(entra) == "Bearer t0ken-1"
    await asked(identity, 2)
    async with asyncio.timeout(patience(5)):
        while "no Microsoft Entra token" not in caplog.text:
            await asyncio.sleep(0.005)
    assert await bearer(entra) == "Bearer t0ken-1"  # and asks not again so soon
    assert len(identity.requests) == 2
    clock.s += 1800 - access.SPARE_S - 1
    assert await bearer(entra) == "Bearer t0ken-1"  # the last moment, and another attempt
    clock.s += 1
    with pytest.raises(AgentUnavailable) as caught:
        await bearer(entra)
    assert len(identity.requests) >= 3
    identity.status = 200
    assert (await bearer(entra)).startswith("Bearer t0ken-")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("media_host")]
    assert ours and "qu0ted" not in f"{ours}{caught.value}"  # the service may quote what it got
    assert "t0ken-" not in caplog.text and "h3ader" not in caplog.text


async def test_an_identity_service_that_does_not_answer_costs_a_bounded_time(entra, identity, monkeypatch):
    monkeypatch.setattr(access, "FETCH_S", 0.05)
    identity.gate.clear()
    async with asyncio.timeout(patience(2)):
        with pytest.raises(AgentUnavailable):
            await bearer(entra)


async def test_closing_gives_up_what_is_under_way(entra, identity):
    identity.gate.clear()
    waiting = asyncio.create_task(bearer(entra))
    await asked(identity, 1)
    await entra.close()
    with pytest.raises(AgentUnavailable):
        await waiting


# --- connections per minute -----------------------------------------------------------------------------------


def limited(number, host="r", service="azure-openai"):
    return RealtimeAgentConfig(
        service=service, endpoint=f"https://{host}.openai.azure.com", model="d", connections_per_minute=number
    )


def test_a_resource_has_so_many_connections_in_any_minute(clock):
    made = ModelAccess(keys(), now=clock)
    for _ in range(3):
        made.admit(limited(3))
        clock.s += 10
    with pytest.raises(AgentUnavailable, match=r"r\.openai\.azure\.com has had its 3 connections per minute"):
        made.admit(limited(3))
    made.admit(limited(3, "other"))
    clock.s += 29.9
    with pytest.raises(AgentUnavailable):
        made.admit(limited(3))
    clock.s += 0.1  # a minute after the first
    made.admit(limited(3))
    with pytest.raises(AgentUnavailable):
        made.admit(limited(3))


def test_agents_on_one_resource_share_its_connections(clock):
    made = ModelAccess(keys(), now=clock)
    made.admit(limited(2))
    made.admit(
        RealtimeAgentConfig(
            service="voice-live", endpoint="https://r.openai.azure.com", model="x", key="env:K"
        )
    )
    with pytest.raises(AgentUnavailable):
        made.admit(limited(2))


def test_a_clock_that_was_set_back_locks_nobody_out(clock):
    made = ModelAccess(keys(), now=clock)
    made.admit(limited(1))
    clock.s -= 3600
    made.admit(limited(1))
