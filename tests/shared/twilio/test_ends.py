"""The sweep on the Twilio line: nothing is asked of ACS, and nobody is left behind."""

import pytest

from shared.calls.events import EventKind
from shared.calls.sweeping import MAX_CALL_S
from shared.twilio.engagements import KEEP_S
from tests.shared.twilio.world import CALL, OTHER_CALL, start


async def swept(twilio):
    return await twilio.app.sweeper.sweep()


async def lost(twilio, record) -> str:
    """Why the record says that its audio was lost."""
    [event] = [
        event for event in await twilio.calls.events(record.call_id) if event.kind is EventKind.MEDIA_LOST
    ]
    assert (await twilio.transfer()).output.reference_variables == {"error": "media_lost"}
    assert (await twilio.again(record)).released
    assert twilio.world.acs.requests == []
    return event.data["reason"]


async def test_a_call_that_is_carried_is_left_alone(twilio):
    record = await twilio.begun()
    twilio.clock.at += 100
    await twilio.world.host()
    assert (await swept(twilio))["fine"] == 1
    assert (await twilio.again(record)).live


async def test_a_dead_media_host(twilio, monkeypatch):
    record = await twilio.begun()
    twilio.clock.at += 70
    assert (await swept(twilio))["settled"] == 1
    assert await lost(twilio, record) == "media_host_dead"
    assert "settled" not in await swept(twilio)


async def test_a_store_that_was_away_is_no_dead_media_host(twilio):
    """Nobody could write a heartbeat, or that audio had come: the calls go on."""
    carried = await twilio.begun()
    fresh = await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL))
    twilio.clock.at += 50
    assert (await swept(twilio))["fine"] == 2
    assert (await twilio.settling.settle("default", CALL, over=False)).output is None
    assert (await twilio.again(carried)).live and (await twilio.again(fresh)).live


async def test_a_media_host_that_died_after_its_goodbye(twilio):
    record = await twilio.begun()
    await twilio.note(record, "closed", EventKind.MEDIA_CLOSED, hostId="host-a", durationMs=1)
    twilio.clock.at += 9
    await twilio.world.host()
    assert (await swept(twilio))["fine"] == 1
    twilio.clock.at += 2
    await twilio.world.host()
    assert (await swept(twilio))["settled"] == 1
    assert await lost(twilio, record) == "media_closed"


async def test_a_media_host_that_died_after_the_caller_had_hung_up(twilio):
    record = await twilio.begun()
    await twilio.note(record, "closed", EventKind.MEDIA_CLOSED, hostId="host-a", reason="caller_hung_up")
    twilio.clock.at += 70
    assert (await swept(twilio))["settled"] == 1
    record = await twilio.again(record)
    assert (record.outcome["transferType"], record.ended.by) == ("CALLER_DISCONNECT", "caller")
    assert not record.media.lost


async def test_audio_that_never_came(twilio):
    await twilio.world.host()
    record = await twilio.line.begin(await twilio.any_call(), start())
    twilio.clock.at += 59
    await twilio.world.host()
    assert (await swept(twilio))["fine"] == 1
    twilio.clock.at += 2
    await twilio.world.host()
    assert (await swept(twilio))["settled"] == 1
    assert await lost(twilio, record) == "media_never_came"


async def test_a_call_without_end(twilio):
    record = await twilio.begun()
    twilio.clock.at += MAX_CALL_S
    await twilio.world.host()
    assert (await swept(twilio))["settled"] == 1
    assert await lost(twilio, record) == "max_duration"


@pytest.mark.parametrize("kind", ["AGENT", "SYSTEM"])
async def test_a_media_host_that_died_after_the_outcome(twilio, kind):
    record = await twilio.begun()
    await twilio.outcome(record, kind)
    twilio.clock.at += 70
    assert (await swept(twilio))["settled"] == 1
    record = await twilio.again(record)
    assert (record.outcome["transferType"], record.ended.reason) == (kind, "disconnect_not_reported")
    assert not record.media.lost
    assert record.released


async def test_engagements_are_forgotten_in_time(twilio):
    for call_sid in (CALL, OTHER_CALL):
        await twilio.world.host()
        await twilio.engaged(call_sid)
    twilio.clock.at += KEEP_S + 1
    for part in (0xAA, 0x10, 0xBB):
        # each of 256 rounds looks at another part
        twilio.clock.at += (part - int(twilio.clock.at // 15)) % 256 * 15
        await swept(twilio)
        left = [await twilio.settling.engagements.get("default", one) for one in (CALL, OTHER_CALL)]
        assert (left[0] is None, left[1] is None) == (True, part == 0xBB)
    twilio.clock.at += (0xAA - 0xBB) % 256 * 15
    await twilio.world.host()
    await twilio.engaged()
    await swept(twilio)
    assert await twilio.settling.engagements.get("default", CALL) is not None
