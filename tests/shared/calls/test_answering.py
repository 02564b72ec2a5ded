import asyncio
import logging

import pytest

from shared.calls.begun import input_variables
from shared.calls.events import EventKind
from shared.security.tokens import Audience, TokenVerifier
from shared.telemetry import redact
from tests.support.acs_rest import Told
from tests.support.call_world import CONTEXT, START
from tests.support.timing import patience


async def deliver(world, event=None, request_id="req-1"):
    await world.app.incoming_call(event or world.incoming(), request_id)


async def poison(world):
    return [row.values for row in await world.store.query("poison", "events")]


async def only(world, tenant="default"):
    [record] = await world.calls.list(tenant)
    return await world.calls.get(tenant, record.call_id)


async def test_a_call_is_answered_with_two_fresh_tokens(world):
    await world.host()
    voip = {"accountNumber": "00123", "bell": "a\x07b"}
    await deliver(world, world.incoming(customContext={"voipHeaders": voip}))
    [request] = world.acs.requests
    assert request.operation == "answer"
    assert request.body["incomingCallContext"] == CONTEXT
    record = await only(world)
    assert request.body["operationContext"] == record.call_id
    verifier = TokenVerifier(world.app.keys, world.clock)
    callback, media = request.body["callbackUri"], request.body["mediaStreamingOptions"]["transportUrl"]
    assert callback.startswith("https://fn.example/api/call-events/")
    assert media.startswith("wss://media.example/acs/")
    lives = {}
    for url, audience in ((callback, Audience.ACS_CALLBACK), (media, Audience.ACS_MEDIA)):
        claims = await verifier.verify(url.rpartition("/")[2], audience)
        assert (claims.call_id, claims.tenant) == (record.call_id, "default")
        lives[audience] = claims.expires_at - claims.issued_at
    assert lives == {Audience.ACS_CALLBACK: 10_800, Audience.ACS_MEDIA: 30}
    shown = record.to_json()
    assert {
        key: shown[key]
        for key in "state tenant environment route agent task inputVariables requestId from to".split()
    } == {
        "state": "answered",
        "tenant": "default",
        "environment": "test",
        "route": "desk",
        "agent": "reception",
        "task": "order_desk",
        "inputVariables": {"accountNumber": "00123", "bell": "ab"},
        "requestId": "req-1",
        "from": "+14255550100",
        "to": "+18005550000",
    }
    assert (shown["callConnectionId"], shown["correlationId"]) == ("cc-1", "corr-1")
    assert await world.calls.live("default") == [(record.call_id, START)]


async def test_the_record_is_there_before_acs_is_asked(world):
    await world.host()
    world.acs.hold = asyncio.Event()
    delivery = asyncio.create_task(deliver(world))
    await asyncio.wait_for(world.acs.arrived.wait(), patience(5))
    assert (await only(world)).state == "answering"
    world.acs.hold.set()
    await delivery
    assert (await only(world)).state == "answered"


async def test_sixteen_deliveries_are_one_answer(world):
    await world.host()
    await asyncio.gather(*(deliver(world, request_id=f"req-{i}") for i in range(16)))
    assert len(world.acs.of("answer")) == 1
    world.clock.at += 10
    await deliver(world)
    assert len(world.acs.of("answer")) == 1
    assert len(await world.calls.list("default")) == 1
    assert await poison(world) == []


async def interrupted(world):
    """A delivery whose process dies while ACS answers."""
    await world.host()
    world.acs.hold = asyncio.Event()
    delivery = asyncio.create_task(deliver(world))
    await asyncio.wait_for(world.acs.arrived.wait(), patience(5))
    delivery.cancel()
    await asyncio.gather(delivery, return_exceptions=True)
    world.acs.hold.set()
    world.acs.hold = None


async def test_after_a_crash_the_same_request_is_sent_again_but_only_after_the_lease(world):
    await interrupted(world)
    world.clock.at += 4.9
    await deliver(world)
    assert len(world.acs.of("answer")) == 1
    world.clock.at += 5.1
    await world.host()
    await asyncio.gather(*(deliver(world) for _ in range(8)))
    first, second = world.acs.of("answer")
    for header in ("Repeatability-Request-ID", "Repeatability-First-Sent"):
        assert first.headers[header] == second.headers[header]
    assert first.body["operationContext"] == second.body["operationContext"]
    assert (await only(world)).state == "answered"


@pytest.mark.parametrize(
    "kind", [EventKind.CONNECTED, EventKind.MEDIA_CONNECTED, EventKind.ANSWERED, EventKind.DISCONNECTED]
)
async def test_after_a_crash_nothing_is_sent_when_there_is_evidence_of_the_answer(world, kind):
    await interrupted(world)
    await world.event(await only(world), "evidence", kind, 1, callConnectionId="cc-1", hostId="host-a")
    world.clock.at += 10
    await world.host()
    await deliver(world)
    assert [r.operation for r in world.acs.requests] == ["answer"]


async def test_after_a_crash_an_old_event_ends_as_failed(world):
    await interrupted(world)
    world.clock.at += 61
    await deliver(world, world.incoming(age_s=61))
    assert len(world.acs.of("answer")) == 1
    record = await only(world)
    assert (record.state, record.ended.reason) == ("failed", "too_old")
    assert await world.calls.live("default") == []


async def test_a_passing_fault_of_acs_is_raised_and_the_redelivery_may_try_at_once(world):
    from shared.errors import CallControlUnavailable

    await world.host()
    world.acs.tell("answer", *[Told(503)] * 3)
    with pytest.raises(CallControlUnavailable):
        await deliver(world)
    await deliver(world)
    assert (await only(world)).state == "answered"
    assert len({r.headers["Repeatability-Request-ID"] for r in world.acs.of("answer")}) == 1


@pytest.mark.parametrize("table", ["claims", "live", "events", "calls", "mediahosts", "markers"])
async def test_a_passing_fault_of_the_store_is_raised_and_the_redelivery_answers(world, table):
    from shared.errors import StoreUnavailable

    await world.host()
    world.fail_store(1, table)
    with pytest.raises(StoreUnavailable):
        await deliver(world)
    if table == "markers":  # ACS had answered already: the same request again
        assert len(world.acs.of("answer")) == 1
    await deliver(world)
    assert (await only(world)).state == "answered"
    assert len({r.headers["Repeatability-Request-ID"] for r in world.acs.of("answer")}) == 1


async def test_a_store_that_fails_again_while_a_claim_is_taken_over_leaves_no_lease_behind(world):
    from shared.errors import StoreUnavailable

    await world.host()
    for _ in range(3):
        world.fail_store(1, "calls")
        with pytest.raises(StoreUnavailable):
            await deliver(world)
    await deliver(
        world
    )  # no clock has moved: a lease would make this one a duplicate, and the caller ring for ever
    assert (await only(world)).state == "answered"


async def test_missing_keys_are_a_passing_fault(world, tmp_path):
    from shared.errors import KeysUnavailable

    await world.host()
    document = (tmp_path / "signing.json").read_text()
    (tmp_path / "signing.json").unlink()
    with pytest.raises(KeysUnavailable):
        await deliver(world)
    assert world.acs.requests == []
    (tmp_path / "signing.json").write_text(document)
    world.clock.at += 6
    await world.host()
    await deliver(world)
    assert (await only(world)).state == "answered"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Told(404, "8522"), "caller_gone"),
        (Told(400, "8501"), "caller_gone"),
        (Told(400, "8523"), "400-01"),
        (Told(403, "7507"), "500-02"),
    ],
)
async def test_an_answer_that_cannot_be_given_is_recorded_and_not_repeated(world, told, reason):
    await world.host()
    world.acs.tell("answer", told)
    await deliver(world)
    record = await only(world)
    assert (record.state, record.ended.reason) == ("failed", reason)
    assert await world.calls.live("default") == []
    world.clock.at += 10
    await deliver(world)
    assert len(world.acs.of("answer")) == 1


@pytest.mark.parametrize(("age_s", "answers"), [(0, 1), (59, 1), (61, 0), (-59, 1), (-61, 0)])
async def test_events_out_of_their_time_are_recorded_and_dropped(world, age_s, answers):
    await world.host()
    await deliver(world, world.incoming(age_s=age_s))
    assert len(world.acs.of("answer")) == answers
    assert [row["reason"] for row in await poison(world)] == ["too_old"] * (1 - answers)


async def test_an_old_copy_of_an_answered_call_is_only_a_duplicate(world):
    await world.answered()
    world.clock.at += 100
    await deliver(world, world.incoming(age_s=100))
    assert await poison(world) == []
    assert len(world.acs.of("answer")) == 1


async def test_an_address_that_nobody_named_is_left_alone(world, caplog):
    await world.host()
    await deliver(world, world.incoming("+18005550077"))
    assert world.acs.requests == []
    assert [row["reason"] for row in await poison(world)] == ["no_route"]
    assert await world.calls.list("default") == []


async def test_no_media_host_means_busy(world):
    await deliver(world)
    [request] = world.acs.requests
    assert (request.operation, request.body["callRejectReason"]) == ("reject", "busy")
    record = await only(world)
    assert (record.state, record.ended.reason) == ("rejected", "no_media_host")
    assert await world.calls.live("default") == []
    await deliver(world)
    assert len(world.acs.requests) == 1


async def test_a_route_may_redirect_instead(world):
    await deliver(world, world.incoming("+18005550001"))
    [request] = world.acs.requests
    assert request.operation == "redirect"
    assert request.body["target"]["phoneNumber"] == {"value": "+18005550009"}
    record = await only(world)
    assert (record.state, record.ended.reason) == ("redirected", "no_media_host")


async def test_the_tenants_limit(world):
    await world.host()
    for i in range(4):
        await deliver(world, world.incoming(correlation=f"corr-{i}"))
        world.clock.at += 0.1
    assert [r.operation for r in world.acs.requests] == ["answer"] * 3 + ["reject"]
    await deliver(world, world.incoming("+18005550002", correlation="other tenant"))
    assert world.acs.requests[-1].operation == "answer"
    first = (await world.calls.list("default"))[-1]
    await world.event(first, "d", EventKind.DISCONNECTED, 1)
    await deliver(world, world.incoming(correlation="corr-5"))
    assert world.acs.requests[-1].operation == "answer"


async def test_of_a_burst_exactly_the_limit_is_answered(world):
    await world.host()
    await asyncio.gather(*(deliver(world, world.incoming(correlation=f"c{i}")) for i in range(10)))
    assert len(world.acs.of("answer")) == 3
    assert len(world.acs.of("reject")) == 7


async def test_a_connection_bound_by_a_callback_is_not_lost(world, caplog):
    await interrupted(world)
    record = await only(world)
    assert await world.calls.bind_connection(record.call_id, "cc-other")
    world.clock.at += 10
    await world.host()
    with caplog.at_level(logging.ERROR):
        await deliver(world)
    assert "another connection" in caplog.text


async def test_nothing_secret_reaches_log_or_store(world, caplog, tmp_path):
    with caplog.at_level(logging.DEBUG):
        await world.answered()
        await deliver(world, world.incoming("+18005550077"))
    text = caplog.text
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    [request] = world.acs.of("answer")
    tokens = [request.body["callbackUri"], request.body["mediaStreamingOptions"]["transportUrl"]]
    for secret in (CONTEXT, *(url.rpartition("/")[2] for url in tokens)):
        assert secret not in redact(text)
        assert secret not in text
        assert secret.encode() not in stored


def test_input_variables_are_cut_not_refused(caplog):
    many = {f"k{i}": "v" * 2000 for i in range(30)} | {"n" * 65: "long name", "\x01": "no name"}
    found = input_variables(many)
    assert len(found) == 20
    assert {len(value) for value in found.values()} == {1024}
    assert "input variables cut" in caplog.text
    caplog.clear()
    assert input_variables({"Übung": "", "a": "tab\tnl\n"}) == {"Übung": "", "a": "tabnl"}
    assert caplog.text == ""


RETURN = {"returnTo": "8:acs:r_ivr", "returnStep": "step 7 ✓", "account": "00123"}
RETURNING = {"ivr": "8:acs:r_ivr", "stranger": "8:acs:r_stranger", "number": "+18005550009", "nobody": ""}


@pytest.mark.parametrize("who", RETURNING)
async def test_a_caller_is_given_back_only_to_an_identity_of_the_tenant(world, caplog, who):
    world.app.config.tenants["default"].return_identities.append(RETURNING["ivr"])
    await world.host()
    headers = RETURN | {"returnTo": RETURNING[who]}
    await deliver(world, world.incoming(customContext={"voipHeaders": headers}))
    record = await only(world)
    assert record.return_to == (RETURNING["ivr"] if who == "ivr" else "")
    assert record.return_step == "step 7 ✓"
    assert record.input_variables == {"account": "00123"}, "the model never sees where the caller goes next"
    assert ("returnTo names nobody" in caplog.text) is (who in ("stranger", "number"))
    shown = record.to_json()
    assert (shown["returnTo"], shown["returnStep"]) == (record.return_to or None, "step 7 ✓")


async def test_another_tenants_identity_is_nobody(world):
    world.app.config.tenants["globex"].return_identities.append(RETURNING["ivr"])
    await world.host()
    await deliver(world, world.incoming(customContext={"voipHeaders": RETURN}))
    assert (await only(world)).return_to == ""


@pytest.mark.parametrize("step", ["x" * 65, "a\nb"])
async def test_a_return_step_that_could_not_come_back_unchanged_is_dropped(world, step):
    await world.host()
    await deliver(world, world.incoming(customContext={"voipHeaders": RETURN | {"returnStep": step}}))
    assert (await only(world)).return_step == ""


async def test_after_an_outage_of_the_store_callers_ring_until_the_hosts_are_heard_of_again(world):
    """All heartbeats are old then: that is no reason to turn callers away from hosts that live."""
    await world.host("host-a", age_s=20)
    waited = []

    async def pause(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            await world.host("host-a")

    object.__setattr__(world.app.answering, "pause", pause)
    await deliver(world)
    assert (await only(world)).state == "answered"
    assert len(waited) == 3


@pytest.mark.parametrize(("age_s", "pauses"), [(20, 8), (61, 0)])
async def test_but_not_for_long_and_not_for_hosts_that_have_been_gone_for_a_minute(world, age_s, pauses):
    await world.host("host-a", age_s=age_s)
    waited = []

    async def pause(seconds):
        waited.append(seconds)

    object.__setattr__(world.app.answering, "pause", pause)
    await deliver(world)
    assert (await only(world)).ended.reason == "no_media_host"
    assert len(waited) == pauses
