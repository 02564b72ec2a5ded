"""Outbound calls through the function app: what is asked of ACS, what is kept, and who is refused."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallState
from shared.http import request
from shared.security.tenants import Scope
from shared.security.tokens import Audience
from tests.support.acs_rest import Told
from tests.support.call_world import START
from tests.support.outbound_client import PHONE, Caller

K = EventKind


@pytest.fixture
async def caller(world):
    await world.host()
    return await Caller.of(world)


async def report(world, call_id, *callbacks):
    token = await world.token(call_id)
    asked = request("r", {"authorization": world.signer.sign()}, json.dumps(callbacks).encode())
    reply = await world.app.call_events(token, asked)
    assert reply.status == 200, reply.body


async def test_a_call_is_made_and_rings(world, caller):
    made = await caller.call()
    assert made == {"id": "o1", "callId": made["callId"], "state": "ringing"}
    [asked] = world.acs.of("create")
    assert asked.body["targets"] == [{"rawId": f"4:{PHONE}", "phoneNumber": {"value": PHONE}}]
    assert asked.body["sourceCallerIdNumber"] == {"value": "+18005550000"}
    assert asked.body["operationContext"] == made["callId"]
    options = asked.body["mediaStreamingOptions"]
    assert (options["startMediaStreaming"], options["enableBidirectional"]) == (True, True)
    record = await caller.record(made["callId"])
    shown = record.to_json()
    assert (shown["direction"], shown["from"], shown["to"]) == ("outbound", "+18005550000", PHONE)
    assert (shown["agent"], shown["task"], shown["inputVariables"]) == (
        "reception",
        "remind",
        {"name": "Žofie"},
    )
    assert (shown["callConnectionId"], shown["correlationId"]) == ("cc-1", "corr-1")
    assert (record.person, record.our_number) == (PHONE, "+18005550000")
    assert record.live and not record.released
    assert [call_id for call_id, _ in await world.calls.live("default")] == [made["callId"]]


async def test_the_media_token_lives_as_long_as_it_may_ring(world, caller):
    made = await caller.call()
    [asked] = world.acs.of("create")
    verifier = world.app.callbacks.verifier
    media = urlsplit(asked.body["mediaStreamingOptions"]["transportUrl"]).path.rpartition("/")[2]
    claims = await verifier.verify(media, Audience.ACS_MEDIA)
    assert (claims.call_id, claims.expires_at - claims.issued_at) == (made["callId"], 40 + 30)
    callback = urlsplit(asked.body["callbackUri"]).path.rpartition("/")[2]
    assert (await verifier.verify(callback, Audience.ACS_CALLBACK)).tenant == "default"


async def test_the_same_request_is_the_same_call(world, caller):
    first = await caller.call()
    assert await caller.call() == first
    assert (await caller.refused(number="+14255550112"))[:2] == (409, "409-01")
    assert (await caller.refused(inputVariables={"name": "Zofie"}))[:2] == (409, "409-01")
    assert len(world.acs.of("create")) == 1
    assert (await caller.call(id="o2"))["callId"] != first["callId"]


async def test_the_same_request_many_times_at_once_is_one_call(world, caller):
    made = await asyncio.gather(*(caller.call() for _ in range(4)))
    assert len({body["callId"] for body in made}) == 1
    assert len({asked.headers["Repeatability-Request-ID"] for asked in world.acs.of("create")}) == 1
    assert len(await world.store.query("placed", "default")) == 1


async def test_picked_up_and_hung_up(world, caller):
    call_id = (await caller.call())["callId"]
    await report(world, call_id, world.callback("CallConnected", "e1", after_s=7))
    record = await caller.record(call_id)
    assert (record.state, record.answered_at) == (CallState.CONNECTED, START + 7)
    assert "eventToAnswerMs" not in record.latencies
    await world.event(record, "who", K.ANSWERED_BY, 9, answeredBy="person")
    await report(world, call_id, world.callback("CallDisconnected", "e2", after_s=20))
    shown = (await caller.record(call_id)).to_json()
    assert (shown["state"], shown["answeredBy"]) == ("ended", "person")
    assert shown["outcome"]["transferType"] == "CALLER_DISCONNECT"
    assert (await caller.call())["state"] == "ended"


@pytest.mark.parametrize(
    ("code", "sub_code", "reason"),
    [
        (486, 8539, "busy"),
        (603, 8538, "declined"),
        (408, 8587, "no_answer"),
        (480, 8544, "unreachable"),
        (480, 0, "no_answer"),
        (500, 9999, "create_failed"),
        (0, 0, "create_failed"),
    ],
)
@pytest.mark.parametrize("kind", ["CreateCallFailed", "CallDisconnected"])
async def test_why_nobody_picked_up(world, caller, code, sub_code, reason, kind):
    call_id = (await caller.call())["callId"]
    await report(world, call_id, world.callback(kind, "e1", after_s=9, code=code, sub_code=sub_code))
    record = await caller.record(call_id)
    assert (record.state, record.ended.reason, record.ended.by) == (CallState.FAILED, reason, "line")
    assert (record.ended.code, record.ended.sub_code, record.outcome) == (code, sub_code, None)
    assert record.ended_at == START + 9
    assert await world.calls.live("default") == []


async def test_callbacks_that_overtake_each_other(world, caller):
    call_id = (await caller.call())["callId"]
    await report(world, call_id, world.callback("CallDisconnected", "e2", after_s=20))
    assert (await caller.record(call_id)).state is CallState.FAILED
    await report(world, call_id, world.callback("CallConnected", "e1", after_s=7))
    record = await caller.record(call_id)
    assert (record.state, record.ended.reason) == (CallState.ENDED, "caller_hung_up")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"number": "4255550111"}, 400, "400-01"),
        ({"number": "+1 425 555 0111"}, 400, "400-01"),
        ({"number": "+99912345678"}, 400, "400-01"),
        ({"number": "+142555"}, 400, "400-01"),
        ({"number": "+14165550111"}, 403, "403-03"),  # Canada, also +1
        ({"number": "+18765551234"}, 403, "403-03"),  # Jamaica, also +1
        ({"number": "+442070313000"}, 403, "403-03"),
        ({"number": "+19005551234"}, 403, "403-03"),  # in a country that is allowed, at a premium
        ({"callerId": "+18005550777"}, 403, "403-04"),
        ({"callerId": "reception"}, 400, "400-01"),
        ({"agent": "other"}, 403, "403-01"),
        ({"agent": None}, 400, "400-01"),
        ({"id": ""}, 400, "400-01"),
        ({"inputVariables": {"a": 1}}, 400, "400-01"),
        ({"priority": "high"}, 400, "400-01"),
    ],
)
async def test_refused_before_anything_happens(world, caller, changes, status, code):
    assert (await caller.refused(**changes))[:2] == (status, code)
    assert world.acs.requests == []
    assert await world.store.query("outbound", "default") == []
    assert await world.store.query("placed", "default") == []
    assert await world.calls.live("default") == []


async def test_other_numbers_and_caller_ids_that_are_allowed(world, caller):
    await caller.call(number="+491701234567", callerId="+18005550009")
    assert world.acs.of("create")[0].body["sourceCallerIdNumber"] == {"value": "+18005550009"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id": "' + b"x" * 70_000 + b'"}'])
async def test_bodies_that_are_none(caller, body):
    status, told = await caller.post(body=body)
    assert (status, told["error"]["code"]) in ((400, "400-01"), (413, "413-01"))


async def test_the_content_type_is_checked(caller):
    status, _ = await caller.post(headers=caller.headers(**{"content-type": "text/plain"}))
    assert status in (400, 415)


async def test_credentials_and_their_scope(world, caller):
    assert (await caller.post(headers={"content-type": "application/json"}))[0] == 401
    reader = await Caller.of(world, scopes=[scope for scope in Scope if scope is not Scope.CALLS_CREATE])
    assert (await reader.refused())[:2] == (403, "403-02")
    maker = await Caller.of(world, scopes=[Scope.CALLS_CREATE])
    assert (await maker.call())["state"] == "ringing"


async def test_a_tenant_without_outbound_calls(world):
    await world.host()
    globex = await Caller.of(world, "globex")
    assert (await globex.refused())[:2] == (403, "403-01")


async def test_the_rate(world, caller):
    """Five a minute, however soon they end; a minute later there is room again, and the refused id is as good as new."""
    for number in range(5):
        world.clock.at += 1
        world.acs.connection_id = f"cc-{number}"
        call_id = (await caller.call(id=f"o{number}"))["callId"]
        busy = world.callback("CreateCallFailed", f"e{number}", connection=f"cc-{number}", code=486)
        await report(world, call_id, busy)
    world.clock.at += 1
    await world.host()
    status, code, message = await caller.refused(id="one-more")
    assert (status, code) == (429, "429-01")
    assert "5 calls may begin in a minute" in message
    assert len(await world.store.query("placed", "default")) == 5
    assert await world.calls.live("default") == []
    world.clock.at += 55.5
    await world.host()
    assert (await caller.call(id="one-more", number="+14255550199"))["state"] == "ringing"
    world.clock.at += 61
    assert (await world.app.sweeper.sweep())["turns_forgotten"] == 6


async def test_calls_at_once(world, caller):
    for number in range(3):
        world.clock.at += 1
        world.acs.connection_id = f"cc-{number}"
        await caller.call(id=f"o{number}")
    world.clock.at += 1
    await world.host()
    status, code, message = await caller.refused(id="o3")
    assert (status, code) == (429, "429-01")
    assert "3 calls may go on at once" in message
    # A refusal leaves nothing behind, not even a used-up id.
    assert len(await world.store.query("outbound", "default")) == 3
    assert len(await world.store.query("placed", "default")) == 3
    assert len(await world.calls.live("default")) == 3


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (None, "no_media_host"),
        ({"draining": True}, "no_media_host"),
        ({"active": 2, "capacity": 2}, "media_hosts_full"),
    ],
)
async def test_refused_while_nobody_could_carry_it(world, host, reason):
    caller = await Caller.of(world)
    if host is not None:
        await world.host(**host)
    status, code, message = await caller.refused()
    assert (status, code) == (503, "503-07")
    assert reason in message
    assert world.acs.requests == []
    await world.host()
    assert (await caller.call())["state"] == "ringing"


async def test_acs_refuses_for_good(world, caller):
    world.acs.tell("create", Told(400, "8523"))
    made = await caller.call()
    assert made["state"] == "failed"
    record = await caller.record(made["callId"])
    assert (record.ended.reason, record.released) == ("refused", True)
    assert await caller.call() == made
    assert len(world.acs.of("create")) == 1


async def test_acs_does_not_answer_and_the_same_request_goes_on(world, caller):
    world.acs.tell("create", Told(500), Told(500), Told(500))
    assert (await caller.refused())[:2] == (503, "503-04")
    [record] = await world.calls.list("default")
    assert record.state is CallState.CALLING
    made = await caller.call()
    assert (made["callId"], made["state"]) == (record.call_id, "ringing")
    assert len({asked.headers["Repeatability-Request-ID"] for asked in world.acs.of("create")}) == 1


@pytest.mark.parametrize("table", ["outbound", "live", "events", "mediahosts", "placed", "calls"])
async def test_a_store_that_is_away_at_any_point_leaks_nothing(world, caller, table):
    world.fail_store(1, table)
    assert (await caller.refused())[0] == 503
    made = await caller.call()
    assert made["state"] == "ringing"
    assert len(world.acs.of("create")) == 1


async def test_a_process_that_died_before_the_record_leaves_an_id_that_goes_on(world, caller):
    world.fail_store(1, "mediahosts")
    await caller.post()
    assert await world.calls.list("default") == []
    [row] = await world.store.query("outbound", "default")
    assert (await caller.call())["callId"] == row.values["callId"]


async def test_a_process_that_died_before_acs_was_asked_leaves_a_record_that_fails(world, caller):
    world.fail_store(1, "markers")  # after the call was made, before its connection is known
    assert (await caller.refused())[0] == 503
    [record] = await world.calls.list("default")
    world.clock.at += 121
    assert (await world.app.sweeper.sweep())["abandoned"] == 1
    record = await caller.record(record.call_id)
    assert (record.state, record.ended.reason) == (CallState.FAILED, "abandoned")
    assert (await caller.call())["state"] == "failed"


async def test_ringing_for_too_long(world, caller):
    call_id = (await caller.call())["callId"]
    world.clock.at += 39
    await world.host()
    assert (await world.app.sweeper.sweep())["fine"] == 1
    world.clock.at += 2
    assert (await world.app.sweeper.sweep())["not_answered"] == 1
    assert [asked.operation for asked in world.acs.requests] == ["create", "terminate"]
    record = await caller.record(call_id)
    assert (record.state, record.ended.reason) == (CallState.FAILED, "no_answer")
    await report(world, call_id, world.callback("CallDisconnected", "e1", after_s=42))
    assert (await caller.record(call_id)).ended.reason == "no_answer"


async def test_ringing_that_acs_has_given_up_already(world, caller):
    call_id = (await caller.call())["callId"]
    world.clock.at += 60
    world.acs.tell("terminate", Told(404, "8522"))
    assert (await world.app.sweeper.sweep())["not_answered"] == 1
    assert (await caller.record(call_id)).ended.reason == "no_answer"


async def test_a_hang_up_that_acs_does_not_take_is_tried_again(world, caller):
    call_id = (await caller.call())["callId"]
    world.clock.at += 60
    world.acs.tell("terminate", Told(503), Told(503), Told(503))
    assert (await world.app.sweeper.sweep())["failed"] == 1
    assert (await caller.record(call_id)).state is CallState.RINGING
    assert (await world.app.sweeper.sweep())["not_answered"] == 1


async def test_a_conversation_goes_on(world, caller):
    first = await caller.call(externalConversationId="conv-1", inputVariables={"a": "1", "b": "1"})
    assert (await caller.refused(id="o2", externalConversationId="conv-1"))[:2] == (409, "409-02")
    assert len(await world.store.query("outbound", "default")) == 1
    await report(world, first["callId"], world.callback("CreateCallFailed", "e1", after_s=1, code=486))
    world.acs.connection_id = "cc-2"
    second = await caller.call(id="o2", externalConversationId="conv-1", inputVariables={"b": "2"})
    record = await caller.record(second["callId"])
    assert record.input_variables == {"a": "1", "b": "2"}
    assert (record.conversation_id, list(record.previous_calls)) == ("conv-1", [first["callId"]])


async def test_callbacks_of_another_connection_come_first(world, caller):
    """ACS's answer names another connection than a callback has bound: the callback was signed, so it counts."""
    world.acs.hold = asyncio.Event()
    asking = asyncio.create_task(caller.call())
    await world.acs.arrived.wait()
    [record] = await world.calls.list("default")
    await report(world, record.call_id, world.callback("CallConnected", "e1", connection="cc-9"))
    world.acs.hold.set()
    made = await asking
    assert made["state"] == "connected"


async def test_a_snapshot_that_is_gone(world, caller, monkeypatch):
    async def nothing(tenant, call_id):
        return None

    monkeypatch.setattr(world.calls, "get", nothing)
    assert (await caller.refused())[:2] == (503, "503-01")


async def test_nothing_secret_and_no_number_in_the_log(world, caller, caplog):
    caplog.set_level("DEBUG", logger="shared")
    await caller.call()
    for secret in (PHONE, "Žofie", caller.credentials.api_secret, "eyJ"):
        assert secret not in caplog.text


async def test_the_default_caller_id_is_the_settings_one(tmp_path, monkeypatch):
    from tests.support import call_world

    config = call_world.CONFIG.replace('caller_ids: ["+18005550000", "+18005550009"], ', "")
    monkeypatch.setattr(call_world, "CONFIG", config)
    for number, found in (("+18005550042", "ringing"), ("", "403-04")):
        folder = tmp_path / (number or "none")
        folder.mkdir()
        async with call_world.open_world(folder, monkeypatch, ACS_PHONE_NUMBER=number) as world:
            await world.host()
            caller = await Caller.of(world)
            status, body = await caller.post()
            assert (body["state"] if status == 202 else body["error"]["code"]) == found


async def test_an_agent_that_is_gone_from_the_file(world, caller):
    object.__setattr__(world.app.config, "tenants", {"default": world.app.config.tenants["default"]})
    tenant = world.app.config.tenants["default"]
    object.__setattr__(tenant, "agents", [])
    assert (await caller.refused(agent="other"))[:2] == (400, "400-01")


def test_an_event_of_an_outbound_call_that_is_only_received():
    from shared.calls.record import fold

    record = fold([CallEvent("received", K.RECEIVED, START, {"direction": "outbound"})])
    assert (record.direction, record.state, record.live) == ("outbound", CallState.RECEIVED, True)
