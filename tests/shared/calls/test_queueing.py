import json

import pytest

from shared.calls.events import EventKind
from shared.calls.queueing import BEAT_S, STUCK_S, TOKEN_S
from shared.http import request
from shared.security.tokens import Audience, TokenVerifier
from tests.support.acs_rest import Told
from tests.support.call_world import START, open_world

K = EventKind
CONFIG = """
agents:
  reception: {kind: embedded, dialogue: d.yaml}
routes:
  - name: desk
    to: ["+18005550000"]
    agent: reception
    task: order_desk
    overflow: &queue
      action: queue
      message: Please hold.
      goodbye: Nobody is free. Goodbye.
      max_wait_s: 90
      max_waiting: 2
      cognitive_services: https://speech.example
  - {name: away, to: ["+18005550001"], agent: reception, overflow: {<<: *queue, to: "+18005550009"}}
  - {name: curt, to: ["+18005550003"], agent: reception, overflow: {<<: *queue, goodbye: ""}}
  - {name: other, to: ["+18005550002"], agent: reception, tenant: globex, overflow: *queue}
tenants:
  default: {max_concurrent_calls: 10}
  globex: {}
"""


@pytest.fixture
async def world(tmp_path, monkeypatch):
    (tmp_path / "own.yaml").write_text(CONFIG)
    async with open_world(tmp_path, monkeypatch, PATCHCORD_CONFIG=str(tmp_path / "own.yaml")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def pauses(world):
    waited = []

    async def pause(seconds):
        waited.append(seconds)

    object.__setattr__(world.app.callbacks.waiting, "pause", pause)
    object.__setattr__(world.app.callbacks.recovery, "pause", pause)
    return waited


async def dials(world, number="+18005550000", correlation="corr-1", tenant="default"):
    """A call; its record. Later calls have later ids."""
    world.clock.at += 0.01
    world.acs.connection_id = f"cc-{correlation}"
    await world.app.incoming_call(world.incoming(number, correlation=correlation, event_id=correlation), "r")
    [short] = [one for one in await world.calls.list(tenant) if one.correlation_id == correlation]
    return await world.calls.get(tenant, short.call_id)


async def waits(world, number="+18005550000", correlation="corr-1", tenant="default"):
    """A caller whom nobody has room for, and to whom the message is being played."""
    await world.host(active=100)
    record = await dials(world, number, correlation, tenant)
    await told(world, record, "CallConnected", f"c-{correlation}")
    return record


async def told(world, record, kind, ident, context="", **data):
    event = world.callback(
        kind,
        ident,
        after_s=world.clock.at - START,
        connection=f"cc-{record.correlation_id}",
        operationContext=context,
        **data,
    )
    token = await world.token(record.call_id, record.tenant)
    reply = await world.app.call_events(
        token, request("r", {"authorization": world.signer.sign()}, json.dumps([event]).encode())
    )
    assert reply.status == 200, reply.body


def asked(world):
    return [r.operation for r in world.acs.requests if r.operation not in ("answer", "properties")]


def texts(world):
    return [r.body["playSources"][0]["text"]["text"] for r in world.acs.of("play")]


async def places(world, tenant="default"):
    return [row.row for row in await world.store.query("waiting", tenant)]


async def test_a_caller_waits_and_then_gets_the_agent(world):
    record = await waits(world)
    [answer] = world.acs.of("answer")
    streaming = answer.body["mediaStreamingOptions"]
    assert streaming["startMediaStreaming"] is False
    token = streaming["transportUrl"].rpartition("/")[2]
    claims = await TokenVerifier(world.app.keys, world.clock).verify(token, Audience.ACS_MEDIA)
    assert claims.expires_at - claims.issued_at == 90 + TOKEN_S
    assert answer.body["callIntelligenceOptions"] == {"cognitiveServicesEndpoint": "https://speech.example"}
    found = await world.again(record)
    assert (found.state, found.waiting, found.queued) == ("connected", True, "waiting")
    assert texts(world) == ["Please hold."]

    await told(world, record, "PlayStarted", "s1", "queue-message")
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert texts(world) == ["Please hold."] * 2, "again, when it was heard"

    await world.host(active=99)
    await told(world, record, "PlayCompleted", "p2", "queue-message")
    assert asked(world) == ["play", "play", "startMediaStreaming", "cancelAllMediaOperations"]
    found = await world.again(record)
    assert (found.waiting, found.queued) == (False, "taken")
    assert await places(world) == []
    await told(world, record, "PlayCanceled", "p3", "queue-message")
    await told(world, record, "PlayCompleted", "p4", "queue-message")
    assert len(texts(world)) == 2, "the agent speaks now"


async def test_an_ended_call_makes_room_for_the_one_who_waits_longest(world, pauses):
    await world.host(active=98)
    talking = await dials(world, correlation="corr-0")
    oldest = await waits(world, correlation="corr-1")
    second = await waits(world, correlation="corr-2")
    await world.host(active=99)
    await told(world, talking, "CallDisconnected", "d1")
    assert [r.path.split("/")[-1].split(":")[0] for r in world.acs.of("startMediaStreaming")] == ["cc-corr-1"]
    assert (await world.again(oldest)).queued == "taken"
    assert await places(world) == [second.call_id]
    assert pauses == []


async def test_the_room_of_an_ended_call_is_known_a_heartbeat_later(world, monkeypatch):
    await world.host(active=98)
    talking = await dials(world, correlation="corr-0")
    await waits(world)

    async def beats(seconds):
        assert seconds == BEAT_S
        await world.host(active=99)

    object.__setattr__(world.app.callbacks.waiting, "pause", beats)
    await told(world, talking, "CallDisconnected", "d1")
    assert asked(world)[-2:] == ["startMediaStreaming", "cancelAllMediaOperations"]


async def test_nobody_waits_after_the_end_of_a_call(world, pauses):
    await world.host()
    talking = await dials(world)
    await told(world, talking, "CallDisconnected", "d1")
    assert asked(world) == []
    assert pauses == []


async def test_another_tenants_caller_gets_the_room_too(world):
    await world.host(active=98)
    talking = await dials(world, correlation="corr-0")
    record = await waits(world, "+18005550002", "corr-1", "globex")
    await world.host(active=99)
    await told(world, talking, "CallDisconnected", "d1")
    assert (await world.again(record)).queued == "taken"


async def test_a_place_is_given_back_by_who_hangs_up(world, pauses):
    record = await waits(world)
    await told(world, record, "CallDisconnected", "d1")
    assert await places(world) == []
    assert (await world.again(record)).outcome["transferType"] == "CALLER_DISCONNECT"


async def test_one_more_than_may_wait_is_rejected(world):
    for number in range(2):
        await waits(world, correlation=f"corr-{number}")
    record = await dials(world, correlation="corr-9")
    assert (record.state, record.ended.reason) == ("rejected", "media_hosts_full")
    assert len(await places(world)) == 2


async def test_who_asks_again_has_one_place(world):
    await world.host(active=100)
    record = await dials(world)
    line, overflow = world.app.answering.waiting, world.app.config.routes[0].overflow
    assert await line.join("default", record.call_id, overflow)
    assert await places(world) == [record.call_id]


async def test_too_long_a_wait_ends_with_a_goodbye(world):
    record = await waits(world)
    world.clock.at += 91
    await world.host(active=100)
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert texts(world)[-1] == "Nobody is free. Goodbye."
    assert (await world.again(record)).queued == "over"
    await world.host(active=0)
    await told(world, record, "PlayCompleted", "p2", "queue-goodbye")
    assert asked(world)[-1] == "terminate"
    assert (await world.again(record)).ended.reason == "queue_timeout"
    await told(world, record, "PlayFailed", "p3", "queue-goodbye")
    assert asked(world).count("terminate") == 1


async def test_without_a_goodbye_it_is_hung_up(world):
    record = await waits(world, "+18005550003")
    world.clock.at += 91
    world.acs.tell("terminate", Told(404, "8522"))
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert asked(world) == ["play", "terminate"]


async def test_or_with_a_transfer_and_a_goodbye_when_that_fails(world):
    record = await waits(world, "+18005550001")
    world.clock.at += 91
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    [sent] = world.acs.of("transferToParticipant")
    assert sent.body["targetParticipant"]["phoneNumber"]["value"] == "+18005550009"
    assert sent.body["sourceCallerIdNumber"]["value"] == "+18005550001"
    assert (await world.again(record)).leaving
    await told(world, record, "CallTransferFailed", "t1", "queue-away")
    assert texts(world)[-1] == "Nobody is free. Goodbye."


async def test_a_transfer_that_acs_refuses(world):
    record = await waits(world, "+18005550001")
    world.clock.at += 91
    world.acs.tell("transferToParticipant", Told(400, "8523"))
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert texts(world)[-1] == "Nobody is free. Goodbye."
    assert not (await world.again(record)).leaving


async def test_a_transfer_that_got_through_is_the_outcome(world):
    record = await waits(world, "+18005550001")
    world.clock.at += 91
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    await told(world, record, "CallTransferAccepted", "t1", "queue-away")
    found = await world.again(record)
    assert (found.outcome["transferType"], found.outcome["reason"]) == ("AGENT", "queue_timeout")


@pytest.mark.parametrize("how", ["refused", "failed"])
async def test_nobody_waits_in_silence(world, how):
    """A message that cannot be played is no waiting: the caller goes on at once."""
    if how == "refused":
        world.acs.tell("play", Told(400, "8535"))
        record = await waits(world)
    else:
        record = await waits(world)
        await told(world, record, "PlayFailed", "p1", "queue-message")
    assert texts(world)[-1] == "Nobody is free. Goodbye."
    assert (await world.again(record)).queued == "over"


async def test_a_goodbye_that_cannot_be_played_is_left_out(world):
    record = await waits(world)
    world.clock.at += 91
    world.acs.tell("play", Told(400, "8535"))
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert asked(world)[-1] == "terminate"


async def test_a_caller_who_is_gone_when_there_is_room(world):
    record = await waits(world)
    await world.host()
    world.acs.tell("startMediaStreaming", Told(404, "8522"))
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert asked(world)[-1] == "startMediaStreaming"


async def test_a_message_that_cannot_be_stopped_goes_on(world):
    record = await waits(world)
    await world.host()
    world.acs.tell("cancelAllMediaOperations", Told(400, "8500"))
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert (await world.again(record)).queued == "taken"


async def test_two_who_see_the_room_take_it_once(world):
    record = await waits(world)
    await world.host()
    await world.calls.once(record.call_id, "queue-taken")
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert asked(world) == ["play"]


async def test_two_who_play_play_once(world, monkeypatch):
    record = await waits(world)
    store, before = world.store._store, world.store._store.get

    async def slow(table, partition, row):
        found = await before(table, partition, row)
        if table == "waiting":
            await store.replace(table, type(found)(partition, row, {**found.values, "at": 1.0}, found.etag))
        return found

    monkeypatch.setattr(store, "get", slow)
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert texts(world) == ["Please hold."]


async def test_the_sweep_takes_who_waits_or_plays_again_where_a_callback_is_lost(world):
    record = await waits(world)
    await world.app.sweeper.sweep()
    assert asked(world) == ["play"], "the message is still on"
    world.clock.at += STUCK_S + 1
    await world.host(active=100)
    await world.app.sweeper.sweep()
    assert texts(world) == ["Please hold."] * 2
    await world.host()
    await world.app.sweeper.sweep()
    assert (await world.again(record)).queued == "taken"


async def test_the_sweep_ends_what_has_lost_its_place_or_its_last_callback(world):
    record = await waits(world)
    await world.store.delete("waiting", "default", record.call_id)
    await world.app.sweeper.sweep()
    assert texts(world)[-1] == "Nobody is free. Goodbye."
    world.clock.at += 41
    await world.app.sweeper.sweep()
    assert asked(world)[-1] == "terminate"
    assert (await world.again(record)).ended.reason == "queue_timeout"


async def test_audio_that_never_came_after_the_wait_is_a_loss(world):
    record = await waits(world)
    await world.host()
    world.clock.at += 60
    await world.host()
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    world.clock.at += 10
    await world.host()
    assert "recovered" not in await world.app.sweeper.sweep(), "it counts from when there was room"
    world.clock.at += 10
    done = await world.app.sweeper.sweep()
    assert done["recovered"] == 1


async def test_a_route_that_has_gone_from_the_file_ends_the_wait(world):
    record = await waits(world)
    world.app.config.routes.clear()
    await told(world, record, "PlayCompleted", "p1", "queue-message")
    assert asked(world) == ["play", "terminate"]


async def test_a_place_of_a_call_that_is_settled_is_cleared(world):
    record = await waits(world)
    await world.event(record, "h", K.HANG_UP, 1, by="system", reason="x")
    assert not await world.app.callbacks.waiting._turn("default", record.call_id, speak=True)
    assert await places(world) == []
    assert not await world.app.callbacks.waiting._turn("default", "c-unknown", speak=True)


async def test_late_words_about_calls_that_are_over_change_nothing(world):
    record = await waits(world)
    await world.event(record, "h", K.HANG_UP, 1, by="system", reason="x")
    before = asked(world)
    await told(world, record, "PlayCompleted", "p1", "queue-goodbye")
    assert asked(world) == before
