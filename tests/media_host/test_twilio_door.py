"""Who may open a Twilio stream: each check has a case here that comes in when the check is removed."""

import asyncio
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus

from media_host import arrival as arrival_module
from media_host.g711 import encode
from media_host.notices import tone
from shared.calls.admission import heartbeats
from shared.calls.events import EventKind
from shared.errors import ConfigurationError, StoreUnavailable
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
    TWILIO,
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


# --- the start message


async def closed_with(world, code, *messages, token=""):
    """The stream is closed with `code`, and no agent was ever made for it."""
    agents = len(world.media.agents)
    stream = await world.dial(token)
    await stream.send(*messages)
    assert await stream.gone() == code
    assert len(world.media.agents) == agents and not world.media.host.server._arriving


@pytest.mark.parametrize(
    "start",
    [
        they.start(accountSid=OTHER_ACCOUNT),
        they.start(callSid=OTHER_CALL),
        they.start(customParameters={"asapp_callTransferId": "a/b"}),
        they.start(customParameters={"taskName": "x" * 200}),
    ],
    ids=["another account", "another call", "a bad id", "a long task"],
)
async def test_a_start_message_that_does_not_fit_the_address_is_closed_1008(world, start):
    await closed_with(world, 1008, they.connected(), start, token=await world.token(CALL))


@pytest.mark.parametrize(
    "messages",
    [
        [they.media()],
        [they.connected(), they.dtmf("1")],
        [they.connected(), they.stop()],
    ],
)
async def test_a_stream_that_begins_otherwise_is_closed_1008(world, messages):
    await closed_with(world, 1008, *messages)


async def test_a_stream_that_does_not_begin_is_closed_1008(world, monkeypatch):
    monkeypatch.setattr(arrival_module, "START_S", 0.1)
    await closed_with(world, 1008, they.connected())


async def test_a_captured_address_serves_a_call_once_and_any_number_of_calls(world):
    token = await world.token()
    first = await world.start(token)
    second = await world.start(token, callSid=OTHER_CALL)
    await world.media.eventually(lambda: len(world.media.agents) == 2)
    await closed_with(world, 1008, they.start(), token=token)
    await first.close()
    await second.close()
    await world.media.eventually(lambda: not world.media.host.server.sessions)
    await closed_with(world, 1008, they.start(), token=token)


async def test_an_address_for_one_call_is_no_address_for_another(world):
    token = await world.token(CALL)
    await closed_with(world, 1008, they.start(callSid=OTHER_CALL), token=token)
    await world.start(token)
    await world.media.eventually(lambda: world.media.agents)


async def test_a_second_stream_of_a_live_call_is_closed_and_the_first_goes_on(world):
    _, stream, agent = await world.talk()
    await closed_with(world, 1008, they.start())  # with a fresh token
    await stream.send(they.media())
    await world.media.eventually(lambda: agent.heard == [they.FRAME.encode()])


async def test_no_room_is_1013(tmp_path, monkeypatch):
    config = TWILIO.replace("  acme: {}", "  acme: {}\n  default: {max_concurrent_calls: 1}")
    async with open_twilio_world(tmp_path, monkeypatch, config=config) as world:
        await world.talk()
        await closed_with(world, 1013, they.start(callSid=OTHER_CALL))


async def test_a_store_that_is_away_is_1013(world, monkeypatch):
    async def away(*_args, **_more):
        raise StoreUnavailable("away")

    monkeypatch.setattr(TwilioCalls, "begin", away)
    await closed_with(world, 1013, they.start())


async def test_a_store_that_is_slow_is_1013(world, monkeypatch):
    monkeypatch.setattr(arrival_module, "BEGIN_S", 0.05)

    async def slow(*_args):
        await asyncio.Event().wait()

    monkeypatch.setattr(TwilioCalls, "begin", slow)
    await closed_with(world, 1013, they.start())


async def test_while_the_store_is_slow_the_caller_hears_beeps(world, monkeypatch):
    monkeypatch.setattr(arrival_module, "BEEP_S", 0.02)
    there, begin = asyncio.Event(), TwilioCalls.begin

    async def slow(*args):
        await there.wait()
        return await begin(*args)

    monkeypatch.setattr(TwilioCalls, "begin", slow)
    stream = await world.start()
    beep = encode(tone(8000, 1)[:4000])
    await world.media.eventually(lambda: stream.audio.startswith(beep + beep))
    there.set()
    await world.media.eventually(lambda: world.media.agents)
    assert not any(task.get_name() == "arrival beeps" for task in asyncio.all_tasks())


async def test_a_fault_of_ours_is_1011(world, monkeypatch, caplog):
    async def broken(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(TwilioCalls, "begin", broken)
    await closed_with(world, 1011, they.start())
    assert "an arrival failed" in caplog.text


async def test_an_agent_that_this_host_does_not_know_is_1011(world, monkeypatch):
    async def unknown(*_args):
        return SimpleNamespace(agent="stranger", call_id="call-1")

    monkeypatch.setattr(TwilioCalls, "begin", unknown)
    await closed_with(world, 1011, they.start())


async def test_a_full_host_says_so_before_the_upgrade(tmp_path, monkeypatch):
    """A stream that has not begun yet has its place already."""
    async with open_twilio_world(tmp_path, monkeypatch, capacity=2) as world:
        waiting = [await world.dial(), await world.dial()]
        with pytest.raises(InvalidStatus) as caught:
            await world.dial()
        assert caught.value.response.status_code == 503
        with pytest.raises(InvalidStatus) as caught:
            await world.media.dial(await world.media.call())
        assert caught.value.response.status_code == 503
        await waiting[0].close()
        await world.media.eventually(lambda: len(world.media.host.server._arriving) == 1)
        await (await world.dial()).close()
        assert (await heartbeats(world.media.store))[0].active == 0


async def test_many_who_come_at_once_get_the_places_that_are_left(tmp_path, monkeypatch):
    """All of them pass the first look; the second, after the checks, counts."""
    async with open_twilio_world(tmp_path, monkeypatch, capacity=3) as world:
        tokens = [await world.token() for _ in range(8)]
        results = await asyncio.gather(*(world.dial(token) for token in tokens), return_exceptions=True)
        refused = [item.response.status_code for item in results if isinstance(item, InvalidStatus)]
        assert refused == [503] * 5


@pytest.mark.parametrize("stops", [True, False])
async def test_a_caller_who_is_gone_before_the_call_has_begun(world, monkeypatch, stops):
    begin, go = TwilioCalls.begin, asyncio.Event()

    async def late(*args):
        record = await begin(*args)
        await go.wait()
        return record

    monkeypatch.setattr(TwilioCalls, "begin", late)
    stream = await world.start()
    await stream.send(they.media(), *([they.stop()] if stops else []))
    await world.media.eventually(lambda: world.media.host.server._arriving)
    await stream.close()
    go.set()
    await world.media.eventually(lambda: not world.media.host.server._arriving)
    [record] = await world.media.calls.list("default")
    record = await world.media.ended(record.call_id)
    assert record.ended.reason == ("caller_hung_up" if stops else "media_lost") and record.released


async def test_nothing_that_was_said_while_the_call_began_is_lost(world, monkeypatch):
    begin, go = TwilioCalls.begin, asyncio.Event()

    async def late(*args):
        await go.wait()
        return await begin(*args)

    monkeypatch.setattr(TwilioCalls, "begin", late)
    stream = await world.start()
    await stream.send(*(they.media(n=n) for n in range(2, 22)), they.dtmf("7"))
    await world.media.eventually(lambda: world.media.host.server._arriving)
    await asyncio.sleep(0.05)
    go.set()
    await world.media.eventually(lambda: world.media.agents and len(world.media.agents[0].heard) == 20)
    await stream.send(they.media("////", n=22))
    agent = world.media.agents[0]
    await world.media.eventually(lambda: len(agent.heard) == 21)
    assert agent.heard == [they.FRAME.encode()] * 20 + [b"////"]


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
