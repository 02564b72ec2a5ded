"""What a stream has come to when its media host says nothing any more: in every order, once."""

import asyncio
from itertools import permutations

import pytest

from shared.calls.events import EventKind
from shared.calls.state import CallState
from shared.errors import StoreUnavailable
from shared.transfers.record import Status, TransferKind
from shared.transfers.transfers import NewTransfer
from shared.twilio.ends import close_record
from shared.twilio.settle import WAIT_S
from tests.shared.twilio.world import CALL, OTHER_CALL, STREAM, form, start

LOST = {"error": "media_lost"}


def error_of(record):
    return (record.outcome or {}).get("referenceVariables")


async def settle(twilio, **how):
    return await twilio.settling.settle("default", CALL, **how)


async def test_an_outcome_that_is_there_stays(twilio):
    record = await twilio.begun()
    await twilio.outcome(record, "SYSTEM")
    for how in ({}, {"caller_gone": True}, {"over": False}):
        found = await settle(twilio, **how)
        assert found.output.transfer_type == "SYSTEM"
    assert twilio.pauses == 0
    assert (await twilio.again(record)).live  # its media host is about to say so


async def test_the_media_hosts_last_events_are_waited_for(twilio):
    record = await twilio.begun()

    async def later():
        if twilio.pauses == 3:
            await twilio.outcome(record, "SYSTEM")

    twilio.during_pause = later
    assert (await settle(twilio)).output.transfer_type == "SYSTEM"
    assert twilio.pauses == 3


async def test_lost_audio_goes_to_a_person(twilio):
    record = await twilio.begun()
    began = twilio.clock()
    found = await settle(twilio)
    assert twilio.clock() - began == pytest.approx(WAIT_S, abs=0.11)
    assert (found.output.transfer_type, found.output.reference_variables) == ("AGENT", LOST)
    record = await twilio.again(record)
    assert (record.state, record.ended.reason, record.ended.by) == (CallState.ENDED, "media_lost", "system")
    assert record.media.lost
    assert record.released
    assert error_of(record) == LOST
    assert await twilio.calls.live("default") == []


async def test_a_caller_who_is_gone(twilio):
    record = await twilio.begun()
    found = await settle(twilio, caller_gone=True)
    assert found.output.transfer_type == "CALLER_DISCONNECT"
    record = await twilio.again(record)
    assert (record.ended.reason, record.ended.by) == ("caller_hung_up", "caller")
    assert not record.media.lost
    assert await twilio.calls.live("default") == []


@pytest.mark.parametrize("order", [*permutations([{}, {"caller_gone": True}, {"over": False}])])
async def test_the_first_end_counts(twilio, order):
    record = await twilio.begun()
    found = [await settle(twilio, **how) for how in order]
    decided = [one.output for one in found if one.output is not None]
    assert len({one.transfer_type for one in decided}) == 1
    first = next(how for how in order if how.get("over", True))
    expected = "CALLER_DISCONNECT" if first else "AGENT"
    assert decided[0].transfer_type == expected
    assert (await twilio.again(record)).outcome["transferType"] == expected


async def test_racing_ends_agree(twilio):
    """Webhooks, the sweep and a flow at the same time: one end, and record and transfer say the same."""
    for number, call_sid in enumerate((CALL, OTHER_CALL)):
        record = await twilio.begun(call_sid)
        whys = ["stream_over", "caller", "media_host_dead", "caller"]
        whys = whys if number else whys[::-1]
        await asyncio.gather(*(close_record(twilio.calls, record, why, twilio.clock()) for why in whys))
        ended = await twilio.again(record)
        disconnected = [
            e for e in await twilio.calls.events(record.call_id) if e.kind is EventKind.DISCONNECTED
        ]
        assert len(disconnected) == 1
        by_caller = ended.ended.by == "caller"
        assert ended.media.lost is not by_caller
        assert ended.outcome["transferType"] == ("CALLER_DISCONNECT" if by_caller else "AGENT")
        assert (await twilio.transfer(call_sid)).output.transfer_type == ended.outcome["transferType"]


async def test_what_a_host_says_late_changes_nothing(twilio):
    """The host was only slow: its own last events have the same ids."""
    record = await twilio.begun()
    found = await settle(twilio)
    await twilio.outcome(record, "SYSTEM")
    await twilio.note(record, "twilio-media-lost", EventKind.MEDIA_LOST, reason="x")
    await twilio.note(record, "twilio-disconnected", EventKind.DISCONNECTED)
    assert (await twilio.transfer()).output == found.output
    assert error_of(await twilio.again(record)) == LOST


@pytest.mark.parametrize("writes", range(1, 5))
async def test_who_dies_half_way_is_taken_over(twilio, writes):
    """After each of its writes; what was decided stays, whoever goes on."""
    record = await twilio.begun()
    real = twilio.store.insert
    left = [writes]

    async def insert(table, entity):
        if table in ("events", "markers"):
            if not left[0]:
                raise StoreUnavailable("died")
            left[0] -= 1
        return await real(table, entity)

    twilio.store.insert = insert
    try:
        if writes < 4:
            with pytest.raises(StoreUnavailable):
                await settle(twilio)
        else:
            await settle(twilio)
    finally:
        twilio.store.insert = real
    found = await settle(twilio, caller_gone=True)
    assert found.output.reference_variables == LOST
    await close_record(twilio.calls, await twilio.again(record), "media_host_dead", twilio.clock())
    record = await twilio.again(record)
    assert record.released
    assert error_of(record) == LOST


async def test_a_client_who_asks_ends_nothing(twilio):
    """Only evidence does: the media host's goodbye, its death, or Twilio's report."""
    record = await twilio.begun()
    beat = twilio.world.host
    found = await settle(twilio, over=False)
    assert found.status(twilio.clock()) is Status.ONGOING
    status = {"StreamSid": STREAM, "StreamEvent": "stream-started"}
    await twilio.post("stream-status", form(**status))
    assert (await settle(twilio, over=False)).output is None
    await beat()
    await twilio.post("stream-status", form(**status | {"StreamEvent": "stream-stopped"}))
    assert (await settle(twilio, over=False)).output.reference_variables == LOST
    assert (await twilio.again(record)).released


@pytest.mark.parametrize("sid", ["MZ" + "d" * 32, None])
async def test_a_late_report_on_a_former_stream_is_no_evidence(twilio, sid):
    """The caller has come back to the agent, in the same call: only the stream of now counts."""
    record = await twilio.begun()
    report = {"StreamEvent": "stream-stopped"} | ({"StreamSid": sid} if sid else {})
    assert (await twilio.post("stream-status", form(**report))).status == 204
    assert (await settle(twilio, over=False)).output is None
    assert (await twilio.again(record)).live


async def test_evidence_of_the_media_host(twilio):
    record = await twilio.begun()
    await twilio.note(record, "closed", EventKind.MEDIA_CLOSED, hostId="host-a", durationMs=1)
    assert (await settle(twilio, over=False)).output.reference_variables == LOST
    record = await twilio.begun(OTHER_CALL)
    twilio.clock.at += 50  # no host has written a heartbeat: was the store away?
    assert (await twilio.settling.settle("default", OTHER_CALL, over=False)).output is None
    await twilio.world.host("host-b")
    found = await twilio.settling.settle("default", OTHER_CALL, over=False)
    assert found.output.reference_variables == LOST
    events = await twilio.calls.events(record.call_id)
    assert [e.data["reason"] for e in events if e.kind is EventKind.MEDIA_LOST] == ["stream_over"]


async def test_before_its_audio_came(twilio):
    """A call that has only begun is not over because somebody asks."""
    await twilio.world.host()
    await twilio.line.begin(await twilio.any_call(), start())
    twilio.clock.at += 6
    assert (await settle(twilio, over=False)).output is None
    assert (await settle(twilio)).output.reference_variables == LOST


async def test_whoever_began_it_died_before_the_record(twilio):
    """Its transfer ends by time alone."""
    transfers = twilio.settling.transfers["default"]
    new = NewTransfer(CALL, CALL, TransferKind.TWILIO)
    await transfers.begin("default", new, call_key=CALL, call_id="c1")
    assert (await settle(twilio)).status(twilio.clock()) is Status.ONGOING
    twilio.clock.at += 121
    assert (await settle(twilio)).output.reference_variables == {"error": "call_lost"}


async def test_other_transfers_settle_themselves(twilio):
    transfers = twilio.settling.transfers["default"]
    await transfers.create("default", NewTransfer("t1", "c", TransferKind.ACS_USER))
    assert (await twilio.settling.settle("default", "t1")).status(twilio.clock()) is Status.ACTIVE
    assert twilio.pauses == 0
    assert await twilio.settling.settle("default", "nothing") is None
    assert await twilio.settling.settle("globex", "t1") is None
