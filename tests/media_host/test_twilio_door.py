"""Who may open a Twilio stream: each check has a case here that comes in when the check is removed."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from shared.calls.events import EventKind
from shared.errors import ConfigurationError
from shared.security.audiences import Audience
from shared.twilio.begin import TwilioCalls
from tests.support import twilio_end as they
from tests.support.media_world import open_media_world
from tests.support.timing import patience
from tests.support.twilio_end import CALL
from tests.support.twilio_world import (
    AUTH_TOKEN,
    BASE,
    OTHER_ACCOUNT,
    SIGNING_KEY,
    open_twilio_world,
    signed,
)

OTHER_CALL = "CA" + "9" * 32


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_twilio_world(tmp_path, monkeypatch) as world:
        yield world


async def refused(world, status=401, **dial):
    with pytest.raises(InvalidStatus) as caught:
        await world.dial(**dial)
    assert caught.value.response.status_code == status
    assert world.media.agents == []
    return caught.value.response.body


# --- before the upgrade


async def test_a_signed_address_opens_the_door(world):
    call_id, _, agent = await world.talk()
    record = await world.media.record(call_id)
    assert (record.tenant, record.agent, record.transfer_id) == ("default", "passing", CALL)
    assert agent.start_args.task == "desk" and agent.start_args.codec == "ulaw/8000"


@pytest.mark.parametrize("port", ["", ":443"])
async def test_twilio_may_sign_the_usual_port_with_the_address(world, port):
    token = await world.token()
    headers = signed(f"{BASE}{port}/twilio/{token}")
    await (await world.dial(token, headers=headers)).close()


SIGNATURES = {
    "none": lambda address: {},
    "empty": lambda address: {"X-Twilio-Signature": ""},
    "twice": lambda address: [*signed(address).items()] * 2,
    "of https": lambda address: signed(address.replace("wss:", "https:")),
    "with a slash": lambda address: signed(address + "/"),
    "of another host": lambda address: signed(address.replace("media.example", "evil.example")),
    "of another address": lambda address: signed(address[:-1]),
    "by another secret": lambda address: signed(address, secret=AUTH_TOKEN[::-1]),
    "SHA-256 without a key": lambda address: signed(address, algorithm="HMAC_SHA256"),
    "extended": lambda address: {"X-Twilio-Signature": signed(address)["X-Twilio-Signature"] + "="},
    "of ACS": lambda address: {"Authorization": "Bearer x", "x-ms-call-connection-id": "cc-1"},
}


@pytest.mark.parametrize("name", SIGNATURES)
async def test_an_upgrade_that_twilio_has_not_signed_is_refused(world, name):
    token = await world.token()
    body = await refused(world, token=token, headers=SIGNATURES[name](f"{BASE}/twilio/{token}"))
    assert body == b"unauthorized\n"


async def test_with_a_shared_key_only_its_signature_holds(world):
    token = await world.token(tenant="acme")
    address = f"{BASE}/twilio/{token}"
    assert await refused(world, token=token, headers=signed(address)) == b"unauthorized\n"
    await refused(world, token=token, headers=signed(address, secret=SIGNING_KEY))
    good = signed(address, secret=SIGNING_KEY, algorithm="HMAC_SHA256")
    stream = await world.dial(token, headers=good)
    await stream.send(they.connected(), they.start(accountSid=OTHER_ACCOUNT))
    await world.media.eventually(lambda: world.media.agents)


TOKENS = {
    "expired": lambda world: world.token(lifetime_s=-5),
    "of ACS": lambda world: world.media.token("call-1", Audience.ACS_MEDIA),
    "of callbacks": lambda world: world.media.token("call-1", Audience.ACS_CALLBACK),
    "of a tenant without an account": lambda world: world.token(tenant="nobody"),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_an_address_with_a_bad_token_is_refused_with_the_same_words(world, name):
    token = await TOKENS[name](world)
    assert await refused(world, token=token) == b"unauthorized\n"


async def test_a_made_up_or_tampered_token_is_refused(world):
    token = await world.token()
    for bad in ("x", token[:-4] + "AAAA", token + "="):
        assert await refused(world, token=bad) == b"unauthorized\n"


async def test_a_twilio_token_does_not_open_the_door_of_acs(world):
    token = await world.token(CALL)
    with pytest.raises(InvalidStatus) as caught:
        await world.dial(path=f"/acs/{token}", headers=world.media.headers())
    assert caught.value.response.status_code == 401


async def test_a_secret_that_cannot_be_read_keeps_everybody_out(world, monkeypatch):
    world.media.offset += 3600  # no old copy of it is good any more
    monkeypatch.delenv("T2_AUTH_TOKEN")
    await refused(world, 503)


async def test_without_an_account_there_is_no_such_path(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch) as media:
        with pytest.raises(InvalidStatus) as caught:
            from tests.support.twilio_world import TwilioWorld

            await TwilioWorld(media).dial("x")
        assert caught.value.response.status_code == 404


async def test_a_host_that_does_not_know_its_address_does_not_start(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="CALLBACK_URI_HOST"):
        async with open_twilio_world(tmp_path, monkeypatch, media_base=""):
            pass


# --- whole calls


async def test_a_call_from_its_start_to_its_end(world):
    call_id, stream, agent = await world.talk(customParameters={"taskName": "refund", "orderId": "7"})
    assert agent.start_args.task == "refund" and dict(agent.start_args.variables) == {"orderId": "7"}
    await stream.send(*(they.media(n=n) for n in range(2, 12)))
    pcm = agent.speak(300)
    await world.media.eventually(lambda: agent.turns == ["t1"])
    assert stream.audio == pcm and agent.heard == [they.FRAME.encode()] * 10
    agent.finish(reason="goodbye")
    assert await stream.gone() == 1000
    record = await world.media.ended(call_id)
    assert (record.outcome["reason"], record.ended.reason, record.released) == ("goodbye", "agent_done", True)
    [media] = await world.media.events(call_id, EventKind.MEDIA_CONNECTED)
    assert media.data["audioFormat"] == "audio/x-mulaw"
    assert await world.media.calls.live("default") == []


async def test_an_agent_without_mu_law_is_converted(world):
    token = await world.token(tenant="acme")
    good = signed(f"{BASE}/twilio/{token}", secret=SIGNING_KEY, algorithm="HMAC_SHA256")
    stream = await world.dial(token, headers=good)
    await stream.send(they.connected(), they.start(accountSid=OTHER_ACCOUNT), they.media())
    await world.media.eventually(lambda: world.media.agents and world.media.agents[0].heard)
    [agent] = world.media.agents
    assert agent.start_args.codec == "pcm16/24000" and len(agent.heard[0]) == 1280
    agent.speak(200, fill=0)
    await world.media.eventually(lambda: len(stream.audio) == 1600)
    assert stream.audio == b"\xff" * 1600


async def test_a_drain_waits_for_a_stream_that_was_let_in_before(world, monkeypatch):
    begin, go, begun = TwilioCalls.begin, asyncio.Event(), asyncio.Event()

    async def late(*args):
        record = await begin(*args)
        begun.set()
        await go.wait()
        return record

    monkeypatch.setattr(TwilioCalls, "begin", late)
    stream = await world.start()
    await begun.wait()
    drain = asyncio.create_task(world.media.host.drain())
    await world.media.eventually(lambda: world.media.host.capacity.draining)
    go.set()
    await world.media.eventually(lambda: world.media.agents and world.media.agents[0].started.is_set())
    assert not drain.done()
    await stream.send(they.stop())
    assert await stream.gone() == 1000
    async with asyncio.timeout(patience(10)):
        await drain


async def test_a_closed_host_leaves_no_stream_that_is_arriving(world, monkeypatch):
    begun = asyncio.Event()

    async def never(*_args):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(TwilioCalls, "begin", never)
    stream = await world.start()
    await begun.wait()
    await world.media.host.server.close()
    assert not world.media.host.server._arriving
    await stream.gone()
