import pytest

from shared.calls.events import CallEvent, EventKind, to_entity
from shared.calls.record import CallState
from shared.calls.replay import spend
from shared.calls.repository import new_call_id
from tests.support.acs_rest import Told
from tests.support.call_world import START

K = EventKind


@pytest.fixture
def paused(world):
    seen = []

    async def pause(seconds):
        seen.append(seconds)
        world.clock.at += seconds

    object.__setattr__(world.app.callbacks.recovery, "pause", pause)
    return seen


async def sweep(world):
    done = await world.app.sweeper.sweep()
    return {name: count for name, count in done.items() if name not in ("fine",)}


def asked(world):
    return [r.operation for r in world.acs.requests if r.operation not in ("answer", "properties")]


async def test_a_call_that_is_looked_after_is_left_alone(world, paused):
    await world.talking("host-a")
    assert await sweep(world) == {}
    world.clock.at += 3600
    await world.host("host-a")
    assert await sweep(world) == {}
    assert [r.operation for r in world.acs.requests] == ["answer"]


async def test_a_dead_hosts_call_is_hung_up(world, paused):
    record = await world.talking("host-a")
    world.clock.at += 10
    assert await sweep(world) == {"recovered": 1}
    assert paused == [2.0]
    assert asked(world) == ["terminate"]
    record = await world.again(record)
    assert (record.ended.reason, record.media.lost) == ("media_lost", True)


async def test_a_dead_hosts_call_moves_to_another_host(world, paused):
    record = await world.talking("host-a")
    world.clock.at += 10
    await world.host("host-b", age_s=-2)
    assert await sweep(world) == {"recovered": 1}
    assert asked(world)[0] == "startMediaStreaming"
    assert (await world.again(record)).media.lost


async def test_a_host_that_writes_again_at_the_second_look_is_not_dead(world, paused):
    await world.talking("host-a")
    world.clock.at += 10

    async def store_is_back(seconds):
        await world.host("host-a")

    object.__setattr__(world.app.callbacks.recovery, "pause", store_is_back)
    assert await sweep(world) == {}
    assert asked(world) == []


async def test_a_recovery_whose_process_died_is_finished(world, paused):
    record = await world.talking("host-a")
    await world.host("host-b")
    await world.calls.once(record.call_id, "media-lost-1")
    await world.event(record, "lost", K.MEDIA_LOST, 1, hostId="host-a", reason="x")
    await world.event(record, "rec", K.RECOVERY, 1, action="restart")
    world.clock.at = START + 2
    assert await sweep(world) == {}
    world.clock.at = START + 4
    assert await sweep(world) == {"hung_up": 1}
    assert asked(world) == ["terminate"]


@pytest.mark.parametrize("noted", [False, True])
async def test_a_loss_whose_finder_died_before_it_did_anything_is_hung_up(world, paused, noted):
    record = await world.talking("host-a")
    await world.calls.once(record.call_id, "media-lost-1")
    if noted:
        await world.event(record, "lost", K.MEDIA_LOST, 1, hostId="host-a", reason="x")
    world.clock.at = START + 10
    assert await sweep(world) == {"hung_up": 1}
    assert asked(world) == ["terminate"]
    assert (await world.again(record)).ended.reason == "media_lost"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (K.RECOVERY, {"action": "restart"}),
        (K.MEDIA_CONNECTED, {"hostId": "host-b"}),
        (K.HANG_UP, {"by": "system", "reason": "media_lost"}),
    ],
)
async def test_a_loss_that_somebody_else_sees_to_is_left_to_them(world, paused, kind, data):
    record = await world.talking("host-a")
    await world.calls.once(record.call_id, "media-lost-1")
    world.clock.at = START + 10

    async def acted(seconds):
        if seconds == 2.0 and paused:
            await world.event(record, "acted", kind, 11, **data)
        paused.append(seconds)

    object.__setattr__(world.app.callbacks.recovery, "pause", acted)
    assert await sweep(world) == {}
    assert paused == [2.0, 2.0]
    assert asked(world) == []


async def test_a_hang_up_that_acs_did_not_take_is_repeated(world, paused):
    record = await world.talking("host-a")
    await world.event(record, "h", K.HANG_UP, 5, by="agent", reason="agent_done")
    world.clock.at = START + 12
    assert await sweep(world) == {}
    world.clock.at = START + 16
    assert await sweep(world) == {"hung_up": 1}
    assert asked(world) == ["terminate"]
    assert (await world.again(record)).ended.reason == "agent_done"


@pytest.mark.parametrize("settled", [K.OUTCOME, K.TRANSFER])
async def test_an_outcome_without_an_end_is_ended(world, paused, settled):
    record = await world.talking("host-a")
    await world.event(record, "s", settled, 5, reason="x")
    await world.event(record, "c", K.MEDIA_CLOSED, 6, hostId="host-a")
    world.clock.at = START + 95
    assert await sweep(world) == {}
    world.clock.at = START + 97
    assert await sweep(world) == {"hung_up": 1}


async def test_media_that_was_closed_for_no_reason_is_lost(world, paused):
    record = await world.talking("host-a")
    await world.event(record, "c", K.MEDIA_CLOSED, 6, hostId="host-a")
    world.clock.at = START + 9
    await world.host("host-a")
    assert await sweep(world) == {}
    world.clock.at = START + 11
    assert await sweep(world) == {"recovered": 1}
    lost = [e for e in await world.calls.events(record.call_id) if e.kind is K.MEDIA_LOST]
    assert lost[0].data["reason"] == "media_closed"


async def test_audio_that_never_came_is_lost(world, paused):
    record = await world.answered()
    world.clock.at = START + 12
    assert await sweep(world) == {}
    world.clock.at = START + 16
    assert await sweep(world) == {"recovered": 1}
    assert (await world.again(record)).ended.reason == "media_lost"
    lost = [e for e in await world.calls.events(record.call_id) if e.kind is K.MEDIA_LOST]
    assert lost[0].data["reason"] == "media_never_came"


async def test_a_call_whose_callback_overtakes_its_answer_has_only_begun(world, paused):
    """Its connection is known already, and neither an answer nor audio: the sweep once took that for lost audio."""
    await world.host("host-a")
    call_id = new_call_id(START)
    await world.calls.watch("default", call_id)
    for kind, data in ((K.RECEIVED, {"callId": call_id, "tenant": "default"}), (K.ANSWERING, {})):
        await world.calls.append("default", call_id, CallEvent(kind.value, kind, START, data))
    early = CallEvent("acs-1", K.PARTICIPANTS, START, {"callConnectionId": "cc-1"})
    await world.calls.append("default", call_id, early)
    world.clock.at = START + 1
    assert await sweep(world) == {}
    assert (await world.calls.get("default", call_id)).live


@pytest.mark.parametrize("known", [True, False])
async def test_a_last_callback_that_never_came_is_made_up_for(world, paused, known):
    record = await world.talking("host-a")
    world.clock.at += 10
    world.acs.state = "disconnected"
    if not known:
        world.acs.tell("properties", Told(404, "8522"))
    assert await sweep(world) == {"reconciled": 1}
    assert asked(world) == []
    found = await world.again(record)
    assert (found.state, found.ended.reason) == ("ended", "disconnect_not_reported")
    assert await world.calls.live("default") == []
    await world.event(record, "acs-late", K.DISCONNECTED, 5, code=200, subCode=7000)
    assert (await world.again(record)).ended.reason == "caller_hung_up"


async def test_a_call_that_was_never_answered_is_given_up(world, paused):
    call_id = new_call_id(START)
    await world.calls.watch("default", call_id)
    await world.calls.note("default", call_id, "received", K.RECEIVED, callId=call_id, tenant="default")
    world.clock.at += 119
    assert await sweep(world) == {}
    world.clock.at += 2
    assert await sweep(world) == {"abandoned": 1}
    record = await world.calls.get("default", call_id)
    assert (record.state, record.ended.reason) == ("failed", "abandoned")


async def test_watched_rows_without_a_live_call_go_away(world, paused):
    orphan = new_call_id(START)
    await world.calls.watch("default", orphan)
    record = await world.answered()
    await world.event(record, "d", K.DISCONNECTED, 1)
    await world.calls.watch("default", record.call_id)
    assert await sweep(world) == {"unwatched": 1}
    world.clock.at += 121
    assert await sweep(world) == {"unwatched": 1}
    assert await world.calls.live("default") == []


async def test_no_call_is_longer_than_its_callback_token(world, paused):
    record = await world.talking("host-a")
    world.clock.at += 10_801
    await world.host("host-a")
    assert await sweep(world) == {"hung_up": 1}
    assert (await world.again(record)).ended.reason == "max_duration"


async def handing_over(world, *phases):
    record = await world.talking("host-a")
    await world.event(record, "t", K.TRANSFER, 1, target="d", mode="warm", attempt="h1")
    for n, phase in enumerate(phases):
        await world.event(record, f"p{n}", K.HANDOVER, 2 + n, attempt="h1", phase=phase)
    return record


@pytest.mark.parametrize("phases", [("ringing",), ("ringing", "answered"), ("answered", "joined")])
async def test_a_handover_that_a_host_looks_after_is_left_alone(world, paused, phases):
    await handing_over(world, *phases)
    world.clock.at += 3600
    await world.host("host-a")
    assert await sweep(world) == {}
    assert asked(world) == []


async def test_a_dead_hosts_caller_who_waits_for_a_person_moves_to_another_host(world, paused):
    await handing_over(world, "ringing", "answered")
    world.clock.at += 10
    await world.host("host-b", age_s=-2)
    assert await sweep(world) == {"recovered": 1}
    assert asked(world)[0] == "startMediaStreaming"


@pytest.mark.parametrize(
    ("phase", "later_s", "done"),
    [("joined", 100, "host_dead"), ("joined", 10_801, "max"), ("left", 16, "hang_up")],
)
async def test_two_people_who_talk_are_never_cut_off(world, paused, phase, later_s, done):
    record = await handing_over(world, "answered", phase)
    if done == "hang_up":  # which ACS did not take
        await world.event(record, "h", K.HANG_UP, 4, by="agent", reason="handed_over")
    world.clock.at += later_s
    if done == "max":
        await world.host("host-a")
    assert await sweep(world) == {"hung_up": 1}
    assert asked(world) == ["leave"]


async def test_a_fault_in_one_call_does_not_stop_the_round(world, paused):
    first = await world.talking("host-a")
    second = await world.answered(correlation="corr-2")
    world.clock.at += 16
    world.acs.tell("properties", *[Told(503)] * 3)
    assert await sweep(world) == {"failed": 1, "recovered": 1}
    assert await sweep(world) == {"recovered": 1}
    for record in (first, second):
        assert (await world.again(record)).ended.reason == "media_lost"


async def test_old_rows_are_forgotten(world, paused):
    await world.host("host-old")
    await spend(world.store, "old", START + 30)
    await spend(world.store, "new", START + 4000)
    await world.answered()
    world.clock.at = START + 3601
    await world.host("host-new")
    done = await sweep(world)
    assert (done["hosts_forgotten"], done["tokens_forgotten"]) == (1, 1)
    assert [row.row for row in await world.store.query("mediahosts", "host")] == ["host-new"]
    world.clock.at = START + 24 * 3600 + 1
    forgotten = 0
    for _ in range(256):
        forgotten += (await sweep(world)).get("claims_forgotten", 0)
        world.clock.at += 15
    assert forgotten == 1


async def test_the_list_is_put_right_when_the_writer_of_the_end_died(world):
    """Its event is there, the snapshot is not: whoever wrote it was killed in between."""
    record = await world.answered()
    ended = CallEvent("acs-end", EventKind.DISCONNECTED, world.clock(), {"code": 200})
    await world.store.insert("events", to_entity(record.call_id, ended))
    assert (await world.calls.list("default"))[0].state is CallState.ANSWERED
    await world.app.sweep()
    assert (await world.calls.list("default"))[0].state is CallState.ENDED
    assert await world.calls.live("default") == []


async def test_a_host_that_acs_still_has_is_not_dead_after_an_outage_of_the_store(world, paused):
    """No heartbeat could be written; its audio runs. For a minute: a host may also vanish without ACS noticing."""
    record = await world.talking("host-a")
    world.acs.streaming = "active"
    world.clock.at += 25
    assert await sweep(world) == {}
    assert asked(world) == []
    world.clock.at += 40
    assert await sweep(world) == {"recovered": 1}
    assert (await world.again(record)).media.lost


@pytest.mark.parametrize("streaming", ["", "inactive"])
async def test_a_host_whose_audio_acs_has_lost_is_dead_at_once(world, paused, streaming):
    await world.talking("host-a")
    world.acs.streaming = streaming
    world.clock.at += 10
    assert await sweep(world) == {"recovered": 1}


async def test_last_words_have_their_time(world, paused):
    record = await world.talking("host-a")
    await world.event(record, "lost", K.MEDIA_LOST, 1, hostId="host-a", reason="x")
    await world.event(record, "rec", K.RECOVERY, 1, action="restart")
    await world.event(record, "rec2", K.RECOVERY, 2, action="notice")
    world.clock.at = START + 30
    assert await sweep(world) == {}
    world.clock.at = START + 43
    assert await sweep(world) == {"hung_up": 1}
    assert asked(world) == ["terminate"]


async def test_a_move_on_its_way_is_left_alone_also_after_a_restart_that_failed(world, paused):
    record = await world.talking("host-a")
    await world.event(record, "lost", K.MEDIA_LOST, 1, hostId="host-a", reason="x")
    await world.event(record, "rec", K.RECOVERY, 1, action="restart")
    await world.event(record, "t", K.TRANSFER, 4, mode="move", attempt="recovery-1-move", outcome={})
    world.clock.at = START + 25
    assert await sweep(world) == {}
    world.clock.at = START + 100
    assert await sweep(world) == {"hung_up": 1}


async def test_a_transfer_whose_callback_was_lost_is_noticed_before_it_is_overdue(world, paused):
    record = await world.talking("host-a")
    await world.event(record, "t", K.TRANSFER, 4, mode="blind", attempt="a", outcome={})
    world.acs.state = "disconnected"
    world.clock.at = START + 6
    await world.host("host-a", age_s=20)
    assert await sweep(world) == {}
    world.clock.at = START + 20
    assert await sweep(world) == {"reconciled": 1}
