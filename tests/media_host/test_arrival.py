"""Streams between their upgrade and their session: the start message, the places, and callers who are gone before it."""

import asyncio
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus

from media_host import arrival as arrival_module
from media_host.g711 import encode
from media_host.notices import tone
from shared.calls.admission import heartbeats
from shared.errors import StoreUnavailable
from shared.twilio.begin import TwilioCalls
from tests.support import twilio_end as they
from tests.support.twilio_end import CALL
from tests.support.twilio_world import (
    OTHER_ACCOUNT,
    TWILIO,
    open_twilio_world,
)

OTHER_CALL = "CA" + "9" * 32


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_twilio_world(tmp_path, monkeypatch) as world:
        yield world


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
