import asyncio
import json

import pytest

from shared.calls.events import EventKind
from shared.calls.recovery import WAIT_S
from shared.http import request
from tests.support.acs_rest import Told
from tests.support.call_world import START

K = EventKind


class Pauses:
    """Waits without waiting: moves the clock, and lets something happen at the first pause."""

    def __init__(self, world):
        self.world, self.waited_s, self.then = world, 0.0, None

    async def __call__(self, seconds):
        self.waited_s += seconds
        self.world.clock.at += seconds
        if self.then:
            then, self.then = self.then, None
            await then()


@pytest.fixture
def pauses(world):
    found = Pauses(world)
    # The recovery is frozen; its pause is the one part of it that tests exchange.
    object.__setattr__(world.app.callbacks.recovery, "pause", found)
    return found


async def report(
    world, record, name="MediaStreamingFailed", ident="f1", after_s=1.0, details="streamConnectionInterrupted"
):
    event = world.callback(
        name,
        ident,
        after_s=after_s,
        code=400,
        sub_code=8581,
        mediaStreamingUpdate={"mediaStreamingStatusDetails": details},
    )
    token = await world.token(record.call_id, record.tenant)
    reply = await world.app.call_events(
        token, request("r", {"authorization": world.signer.sign()}, json.dumps([event]).encode())
    )
    return reply.status


def asked(world):
    return [r.operation for r in world.acs.requests if r.operation not in ("answer", "properties")]


async def kinds(world, record):
    return [entry["kind"] for entry in (await world.again(record)).timeline]


@pytest.mark.parametrize("name", ["MediaStreamingFailed", "MediaStreamingStopped"])
async def test_with_no_other_host_the_call_is_hung_up_with_the_reason(world, pauses, name):
    record = await world.talking("host-a")  # whose heartbeat is still fresh
    assert await report(world, record, name) == 200
    assert asked(world) == ["terminate"]
    record = await world.again(record)
    assert (record.state, record.ended.reason, record.ended.by) == ("ended", "media_lost", "system")
    assert record.media.lost
    assert pauses.waited_s == 0
    lost = [event for event in await world.calls.events(record.call_id) if event.kind is K.MEDIA_LOST]
    assert [dict(event.data) for event in lost] == [
        {"hostId": "host-a", "reason": "streamConnectionInterrupted"}
    ]


async def test_another_ready_host_gets_the_audio_back(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def back():
        await world.event(record, "media-2", K.MEDIA_CONNECTED, 1.2, hostId="host-b", resumed=True)

    pauses.then = back
    assert await report(world, record) == 200
    assert asked(world) == ["startMediaStreaming"]
    found = await world.again(record)
    assert (found.state, found.media.host_id, found.recovering_at) == ("connected", "host-b", None)
    assert pauses.waited_s < WAIT_S
    assert "recovery" in await kinds(world, record)


async def test_if_audio_does_not_come_back_in_time_the_call_is_hung_up(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")
    assert await report(world, record) == 200
    assert asked(world) == ["startMediaStreaming", "terminate"]
    assert WAIT_S <= pauses.waited_s < WAIT_S + 0.2
    assert (await world.again(record)).ended.reason == "media_lost"


async def test_if_the_second_start_fails_the_call_is_hung_up_at_once(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def failed_again():
        # The end of the old stream may be reported late, and says nothing about the new one.
        assert await report(world, record, "MediaStreamingStopped", "s1", after_s=1.4) == 200
        assert "terminate" not in asked(world)
        assert await report(world, record, ident="f2", after_s=1.5) == 200

    pauses.then = failed_again
    world.clock.at = START + 1
    assert await report(world, record) == 200
    assert asked(world) == ["startMediaStreaming", "terminate"]
    assert pauses.waited_s < WAIT_S / 2


@pytest.mark.parametrize("other", [{"draining": True}, {"active": 100}, {"age_s": 6.0}])
async def test_a_host_that_is_not_ready_is_no_help(world, pauses, other):
    record = await world.talking("host-a")
    await world.host("host-b", **other)
    await report(world, record)
    assert asked(world) == ["terminate"]


@pytest.mark.parametrize("told", [Told(404, "8522"), Told(500), Told(400, "8523")])
async def test_a_start_that_acs_refuses_ends_in_a_hang_up(world, pauses, told):
    record = await world.talking("host-a")
    await world.host("host-b")
    world.acs.tell("startMediaStreaming", *[told] * 3)
    await report(world, record)
    assert asked(world)[-1] == "terminate"


async def test_many_reports_of_one_loss_are_one_recovery(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")
    reports = [
        report(world, record, name, f"x{i}{name}", after_s=0.9)
        for i in range(4)
        for name in ("MediaStreamingFailed", "MediaStreamingStopped")
    ]
    world.clock.at = START + 1
    assert set(await asyncio.gather(*reports)) == {200}
    assert asked(world).count("startMediaStreaming") == 1
    assert (await kinds(world, record)).count("media_lost") == 1


async def test_a_repeated_callback_does_nothing_twice(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def back():
        # By a clock that is behind ACS's: the report looks younger than the new connection.
        await world.event(record, "media-2", K.MEDIA_CONNECTED, 0.9, hostId="host-b")

    pauses.then = back
    await report(world, record)
    await report(world, record)
    assert asked(world) == ["startMediaStreaming"]


async def test_an_old_report_is_no_loss(world, pauses):
    record = await world.talking("host-a")
    assert await report(world, record, after_s=0.4) == 200
    assert asked(world) == []


async def test_a_second_loss_is_recovered_too(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def back():
        await world.event(record, "media-2", K.MEDIA_CONNECTED, 1.2, hostId="host-b")

    pauses.then = back
    await report(world, record)
    await report(world, record, ident="f2", after_s=3)
    assert asked(world)[:2] == ["startMediaStreaming", "startMediaStreaming"]
    assert (await kinds(world, record)).count("media_lost") == 2


@pytest.mark.parametrize("kind", [K.OUTCOME, K.HANG_UP, K.TRANSFER, K.TRANSFER_ACCEPTED, K.DISCONNECTED])
async def test_the_end_of_a_settled_call_is_no_loss(world, pauses, kind):
    record = await world.talking("host-a")
    await world.event(record, "settled", kind, 0.8, reason="agent_done")
    await report(world, record, "MediaStreamingStopped")
    assert asked(world) == []
    assert "media_lost" not in await kinds(world, record)


async def test_a_host_that_dies_after_the_outcome_leaves_nobody_in_silence(world, pauses):
    record = await world.talking("host-a")
    await world.event(record, "o", K.OUTCOME, 0.8, transferType="SYSTEM", reason="goodbye")
    assert await report(world, record) == 200
    assert pauses.waited_s == WAIT_S
    assert asked(world) == ["terminate"]
    assert (await world.again(record)).ended.reason == "media_lost"


async def test_a_transfer_that_failed_after_the_hosts_death_is_hung_up_too(world, pauses):
    record = await world.talking("host-a")
    await world.event(record, "t", K.TRANSFER, 0.7, target="human")
    await world.event(record, "f", K.TRANSFER_FAILED, 0.8, code=603, subCode=8538)
    await report(world, record)
    assert asked(world) == ["terminate"]


@pytest.mark.parametrize("kind", [K.HANG_UP, K.TRANSFER, K.TRANSFER_ACCEPTED, K.DISCONNECTED])
async def test_a_line_that_breaks_after_the_outcome_is_left_to_its_living_host(world, pauses, kind):
    record = await world.talking("host-a")
    await world.event(record, "o", K.OUTCOME, 0.8, transferType="AGENT", reason="x")

    async def acts():
        await world.event(record, "acts", kind, 1.1, reason="agent_done", target="human")

    pauses.then = acts
    await report(world, record)
    assert asked(world) == []


async def test_while_acs_cannot_say_whether_the_caller_is_there_it_is_a_loss(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("properties", *[Told(503)] * 3)
    assert await report(world, record) == 200
    assert asked(world) == ["terminate"]
    assert (await world.again(record)).ended.reason == "media_lost"


@pytest.mark.parametrize("gone", ["disconnected", "disconnecting", "unknown to acs"])
async def test_streaming_that_ends_because_the_caller_hung_up_is_no_loss(world, pauses, gone):
    record = await world.talking("host-a")
    world.acs.state = gone
    if gone == "unknown to acs":
        world.acs.tell("properties", Told(404, "8522"))
    await report(world, record, "MediaStreamingStopped")
    assert asked(world) == []
    assert (await world.again(record)).live


async def test_streaming_that_never_began_is_a_loss(world, pauses):
    record = await world.answered()
    await report(world, record, details="initialWebSocketConnectionFailed")
    # No host has carried the call, so the ready one is tried; no audio comes back.
    assert asked(world) == ["startMediaStreaming", "terminate"]
    assert (await world.again(record)).ended.reason == "media_lost"


async def test_a_call_that_ends_by_itself_meanwhile_is_left_alone(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def hung_up():
        await world.event(record, "d", K.DISCONNECTED, 1.3, code=200)

    pauses.then = hung_up
    await report(world, record)
    assert asked(world) == ["startMediaStreaming"]
    assert (await world.again(record)).ended.reason == "caller_hung_up"


async def test_a_hang_up_of_a_call_that_is_gone_is_fine(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("terminate", Told(404, "8522"))
    assert await report(world, record) == 200


async def test_a_hang_up_that_acs_does_not_take_now_is_503_and_stays_watched(world, pauses):
    record = await world.talking("host-a")
    world.acs.tell("terminate", *[Told(503)] * 3)
    assert await report(world, record) == 503
    assert len(await world.calls.live("default")) == 1


async def test_reports_about_unknown_calls_are_ignored(world):
    recovery = world.app.callbacks.recovery
    await recovery.reported("default", "c-unknown", reason="x", at=START, failed=True)
    record = await world.answered()
    assert not await recovery.is_alive(type(record)())


async def test_an_old_failure_that_is_reported_during_the_recovery_does_not_end_it(world, pauses):
    record = await world.talking("host-a")
    await world.host("host-b")

    async def old_failure_then_back():
        assert await report(world, record, ident="f0", after_s=0.9) == 200
        assert "terminate" not in asked(world)
        await world.event(record, "media-2", K.MEDIA_CONNECTED, 1.2, hostId="host-b")

    pauses.then = old_failure_then_back
    world.clock.at = START + 1
    await report(world, record)
    assert asked(world) == ["startMediaStreaming"]


async def handed_over(world, *phases):
    record = await world.talking("host-a")
    outcome = {"transferType": "AGENT"}
    await world.event(record, "t", K.TRANSFER, 0.3, target="d", mode="warm", attempt="h1", outcome=outcome)
    for n, phase in enumerate(phases):
        await world.event(record, f"p{n}", K.HANDOVER, 0.4 + n / 10, attempt="h1", phase=phase)
    return record


async def test_a_caller_who_talks_to_a_person_needs_no_audio_of_ours(world, pauses):
    """Only our part of the call ends: `terminate` would cut the two off."""
    record = await handed_over(world, "ringing", "answered", "joined")
    await world.host("host-b")
    assert await report(world, record) == 200
    assert asked(world) == ["leave"]
    assert (await world.again(record)).outcome["transferType"] == "AGENT"


async def test_a_warm_handover_on_its_way_is_no_reason_to_leave_the_caller_without_audio(world, pauses):
    record = await handed_over(world, "ringing", "answered")
    await world.host("host-b")

    async def back():
        await world.event(record, "media-2", K.MEDIA_CONNECTED, 1.2, hostId="host-b", resumed=True)

    pauses.then = back
    assert await report(world, record) == 200
    assert asked(world) == ["startMediaStreaming"]
