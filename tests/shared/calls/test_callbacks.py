import asyncio
import itertools
import json
import logging

import pytest

from shared.calls.callbacks import KINDS, to_event
from shared.http import request
from shared.security.tokens import Audience
from shared.wire.acs_events import parse_callbacks
from tests.support.call_world import START, Signer
from tests.support.timing import patience


async def post(world, record, events, *, token=None, authorization=None, **headers):
    token = token or await world.token(record.call_id, record.tenant)
    found = {"Authorization": authorization or world.signer.sign(), **headers}
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    reply = await world.app.call_events(token, request("req-7", found, body))
    return reply.status


async def kinds(world, record):
    return [event.kind.value for event in await world.calls.events(record.call_id)]


async def test_a_callback_with_both_factors_is_recorded(world):
    record = await world.answered()
    assert await post(world, record, [world.callback("CallConnected", "e1", after_s=1)]) == 200
    record = await world.again(record)
    assert (record.state, record.connected_at) == ("connected", START + 1)


async def refused(world, record, **changes):
    """A callback that must change nothing."""
    before = await kinds(world, record)
    status = await post(world, record, [world.callback("CallDisconnected", "e1")], **changes)
    assert await kinds(world, record) == before
    return status


async def test_no_token_and_garbage(world):
    record = await world.answered()
    for token in ("x", "eyJ.eyJ.x", "a.b.c.d"):
        assert await refused(world, record, token=token) == 401
    reply = await world.app.call_events("", request("r", {}, b"[]"))
    assert reply.status == 401


async def test_another_calls_token_cannot_end_this_call(world):
    record = await world.answered()
    world.acs.connection_id = "cc-2"
    other = await world.answered(correlation="corr-2")
    token = await world.token(other.call_id)
    assert await refused(world, record, token=token) == 401
    assert (await world.again(other)).live


async def test_a_media_token_is_no_callback_token(world):
    record = await world.answered()
    token = await world.token(record.call_id, audience=Audience.ACS_MEDIA)
    assert await refused(world, record, token=token) == 401


async def test_a_token_of_another_tenant_finds_no_call(world):
    record = await world.answered()
    token = await world.token(record.call_id, "globex")
    assert await refused(world, record, token=token) == 404


async def test_an_expired_token_is_refused_even_for_the_last_event(world):
    record = await world.answered()
    token = await world.token(record.call_id)
    world.clock.at += 10_803
    assert await refused(world, record, token=token) == 401


async def test_without_acs_signature_nothing_changes(world):
    record = await world.answered()
    assert await refused(world, record, authorization="Bearer x.y.z") == 401
    assert await refused(world, record, authorization=Signer(world.clock, "foreign").sign()) == 401
    assert await refused(world, record, authorization=Signer(world.clock).sign()) == 401
    token = await world.token(record.call_id)
    reply = await world.app.call_events(token, request("r", {}, b"[]"))
    assert reply.status == 401


async def test_a_callback_of_another_connection_is_refused_as_a_whole(world):
    record = await world.answered()
    good, bad = (
        world.callback("CallConnected", "e1"),
        world.callback("CallDisconnected", "e2", connection="cc-2"),
    )
    before = await kinds(world, record)
    for events in ([bad], [good, bad], [world.callback("CallConnected", "e3", connection="")]):
        assert await post(world, record, events) == 401
    assert await kinds(world, record) == before


async def test_a_callback_may_overtake_the_rest_response(world):
    await world.host()
    world.acs.hold = asyncio.Event()
    delivery = asyncio.create_task(world.app.incoming_call(world.incoming(), "req-1"))
    await asyncio.wait_for(world.acs.arrived.wait(), patience(5))
    [listed] = await world.calls.list("default")
    record = await world.again(listed)
    assert record.call_connection_id == ""
    assert await post(world, record, [world.callback("CallConnected", "e1", after_s=0.1)]) == 200
    assert await post(world, record, [world.callback("CallConnected", "e2", connection="cc-2")]) == 401
    early = await world.again(record)
    assert (early.state, early.call_connection_id) == ("connected", "cc-1")
    world.acs.hold.set()
    await delivery
    record = await world.again(record)
    assert (record.state, record.call_connection_id, record.answered_at) == ("connected", "cc-1", START)


@pytest.mark.parametrize("late_s", [0, 300, -300])
async def test_tokens_are_revoked_a_minute_after_we_heard_of_the_end(world, late_s):
    record = await world.answered()
    token = await world.token(record.call_id)
    end = [world.callback("CallDisconnected", "e1", after_s=-late_s)]
    assert await post(world, record, end, token=token) == 200
    world.clock.at += 60
    assert await post(world, record, end, token=token) == 200
    late = [world.callback("ParticipantsUpdated", "e2", sequenceNumber=9, participants=[])]
    world.clock.at += 1
    assert await post(world, record, late, token=token) == 401
    assert "participants" not in await kinds(world, record)


ROSTER = [
    {
        "identifier": {
            "kind": "phoneNumber",
            "rawId": "4:+14255550100",
            "phoneNumber": {"value": "+14255550100"},
        }
    }
]
FOUR = [
    ("CallConnected", {}),
    ("ParticipantsUpdated", {"sequenceNumber": 1, "participants": ROSTER}),
    ("MediaStreamingStarted", {"mediaStreamingUpdate": {"mediaStreamingStatusDetails": "subscriptionStarted"}}),
    ("CallDisconnected", {"sub_code": 7000}),
]  # fmt: skip


async def test_every_order_of_four_callbacks_each_doubled_gives_the_same_record(world):
    """All 24 orders, each event sent twice, the second time along with the next."""
    records = []
    await world.host(capacity=1000)
    for number, order in enumerate(itertools.permutations(range(4))):
        world.clock.at = START
        world.acs.connection_id = f"cc-{number}"
        record = await world.answered(correlation=f"corr-{number}")
        events = [
            world.callback(kind, f"e{i}", after_s=i + 1.0, connection=f"cc-{number}", **data)
            for i, (kind, data) in enumerate(FOUR)
        ]
        previous = []
        for i in order:
            assert await post(world, record, [*previous, events[i]]) == 200
            previous = [events[i]]
        assert await post(world, record, previous) == 200
        shown = (await world.again(record)).to_json()
        for unique in ("callId", "correlationId", "callConnectionId"):
            del shown[unique]
        records.append(json.dumps(shown, sort_keys=True))
    assert len(set(records)) == 1
    final = json.loads(records[0])
    assert (final["state"], final["ended"]["reason"]) == ("ended", "caller_hung_up")
    assert len(final["timeline"]) == 3 + 4


async def test_a_doubled_callback_in_parallel_is_one_event(world):
    record = await world.answered()
    events = [world.callback("CallConnected", "e1")]
    assert set(await asyncio.gather(*(post(world, record, events) for _ in range(8)))) == {200}
    assert (await kinds(world, record)).count("connected") == 1


async def test_a_callback_for_a_call_that_is_not_there(world):
    record = await world.answered()
    token = await world.token("c-unknown")
    assert await refused(world, record, token=token) == 404


async def test_bodies(world):
    record = await world.answered()
    assert await post(world, record, b"{") == 400
    assert await post(world, record, b"x" * (256 * 1024 + 1)) == 413
    events = [{"bad": 1}, world.callback("CallConnected", "e1")]
    assert await post(world, record, events) == 200
    assert (await world.again(record)).state == "connected"
    [row] = await world.store.query("poison", "events")
    assert (row.values["reason"], row.values["eventId"]) == ("malformed", "req-7.0")


async def test_a_store_that_is_away_is_503_and_the_repetition_counts(world):
    record = await world.answered()
    events = [world.callback("CallDisconnected", "e1")]
    token = await world.token(record.call_id)
    world.fail_store(1, "events")
    assert await post(world, record, events, token=token) == 503
    assert await post(world, record, events, token=token) == 200
    assert (await world.again(record)).state == "ended"


async def test_failures_are_recorded_with_their_codes(world):
    record = await world.answered()
    events = [
        world.callback("CallTransferFailed", "t", after_s=1, code=403, sub_code=7507),
        world.callback("AddParticipantFailed", "a", after_s=2, code=408, sub_code=8587),
        world.callback("AnswerFailed", "f", after_s=3, code=403, sub_code=8587),
    ]
    assert await post(world, record, events) == 200
    record = await world.again(record)
    assert (record.state, record.ended.reason, record.ended.sub_code) == ("failed", "answer_failed", 8587)
    data = {event.kind.value: event.data for event in await world.calls.events(record.call_id)}
    assert (data["transfer_failed"]["code"], data["transfer_failed"]["subCode"]) == (403, 7507)
    assert data["participant_add_failed"]["subCode"] == 8587
    assert await world.calls.live("default") == []


def one(world, kind, **data):
    [callback] = parse_callbacks(json.dumps([world.callback(kind, "e1", **data)]).encode())
    return to_event(callback, START)


@pytest.mark.parametrize(
    ("name", "kind"), [*KINDS.items(), ("PlayCompleted", "callback"), ("Brand.New", "callback")]
)
async def test_kinds(world, name, kind):
    event = one(world, name)
    assert event.kind == kind
    assert event.id == "acs-e1"
    assert event.data["callConnectionId"] == "cc-1"
    assert event.data.get("type") == (name if kind == "callback" else None)


async def test_pressed_keys_are_not_recorded(world, caplog):
    record = await world.answered()
    tones = {"recognitionType": "dtmf", "dtmfResult": {"tones": ["four", "two"]}, "tone": "seven"}
    events = [
        world.callback("RecognizeCompleted", "r", **tones),
        world.callback("ContinuousDtmfRecognitionToneReceived", "c", **tones),
    ]
    with caplog.at_level(logging.DEBUG):
        assert await post(world, record, events) == 200
    written = json.dumps([dict(event.data) for event in await world.calls.events(record.call_id)])
    for secret in ("four", "seven"):
        assert secret not in written
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("roster", "names"),
    [
        (ROSTER, ["+142…00"]),
        ([{"identifier": {}}, {}, 7], ["unknown"] * 3),
        ({"x": 1}, []),
        (None, []),
    ],
)
async def test_rosters_are_masked_and_may_be_strange(world, roster, names):
    event = one(
        world, "ParticipantsUpdated", sequenceNumber="x" if roster is None else 3, participants=roster
    )
    found = event.data["participants"]
    assert len(found) == len(names)
    assert "+14255550100" not in json.dumps(found)
    assert [name for name in found if name == "unknown"] == [name for name in names if name == "unknown"]
    assert event.data["sequenceNumber"] == (0 if roster is None else 3)


@pytest.mark.parametrize("update", [None, 7, {}, {"mediaStreamingStatusDetails": 7}])
async def test_details_may_be_missing(world, update):
    assert one(world, "MediaStreamingFailed", mediaStreamingUpdate=update).data["details"] == ""
