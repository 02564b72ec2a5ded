"""Call transfers through the function app: requests with credentials, IncomingCall events, and what the agent is told."""

import asyncio
import json

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.http import request
from shared.transfers.numbers import QUARANTINE_S, NumberPool
from tests.support.call_world import START

A, B = "+18005550100", "+18005550101"
ASKED = {
    "id": "t1",
    "externalConversationId": "conv-1",
    "type": "PHONE_NUMBER",
    "phoneNumber": {"country": "US"},
    "inputContext": {"taskName": "refund", "inputVariables": {"accountNumber": "00123"}},
}


@pytest.fixture
async def client(world):
    pool = NumberPool(world.store, world.clock)
    for number in (A, B):
        await pool.add(number, "US")
    await world.host()
    made = Client(world, await world.app.door.issue("default"))
    made.pool = pool
    return made


class Client:
    def __init__(self, world, credentials) -> None:
        self.world, self.credentials = world, credentials

    def headers(self, names=("api-id", "api-secret")):
        values = (self.credentials.api_id, self.credentials.api_secret)
        return {"content-type": "application/json; charset=utf-8"} | dict(zip(names, values, strict=True))

    async def post(self, headers=None, **changes):
        body = json.dumps(ASKED | changes).encode()
        asked = request("req-7", self.headers() if headers is None else headers, body)
        return shown(await self.world.app.create_call_transfer(asked, compatible=headers is not None))

    async def get(self, transfer_id="t1", headers=None):
        asked = request("req-8", headers or self.headers(), b"")
        return shown(
            await self.world.app.get_call_transfer(transfer_id, asked, compatible=headers is not None)
        )

    async def dial(self, number, correlation="corr-1", **more):
        event = self.world.incoming(number, correlation=correlation, event_id=f"ev-{correlation}", **more)
        await self.world.app.incoming_call(event, "req-1")
        records = [
            record
            for record in await self.world.calls.list("default")
            if record.correlation_id == correlation
        ]
        return await self.world.calls.get("default", records[0].call_id) if records else None


def shown(reply):
    return reply.status, json.loads(reply.body)


async def end(world, record, kind, **data):
    await world.calls.append(
        record.tenant, record.call_id, CallEvent(f"ev-{kind}", kind, world.clock(), data)
    )


async def test_lent_and_given_back(world, client):
    status, made = await client.post()
    assert (status, made["status"], made["phoneNumber"]["country"]) == (200, "ACTIVE", "US")
    number = made["phoneNumber"]["transferNumber"]
    world.clock.at += 20
    await world.host()
    record = await client.dial(number)
    assert (record.task, record.agent, record.route) == ("refund", "reception", "call-transfer")
    assert record.input_variables == {"accountNumber": "00123"}
    [answered] = world.acs.requests
    assert answered.operation == "answer"
    status, seen = await client.get()
    assert (seen["status"], seen["callId"], "outputContext" in seen) == ("ONGOING", record.call_id, False)
    # The outcome can be read as soon as the agent has said it: the call is still there.
    outcome = {
        "transferType": "AGENT",
        "task": "refund",
        "referenceVariables": {"case": 7},
        "transferVariables": {},
    }
    await end(world, record, EventKind.OUTCOME, **outcome)
    status, seen = await client.get()
    assert seen["status"] == "COMPLETED"
    assert seen["outputContext"] == {
        "transferType": "AGENT",
        "currentTaskName": "refund",
        "referenceVariables": {"case": "7"},
        "transferVariables": {},
    }
    world.clock.at += 5
    await end(world, record, EventKind.DISCONNECTED, code=0, subCode=0)
    assert await client.get() == (200, seen)


async def test_a_caller_who_hangs_up(world, client):
    _, made = await client.post()
    record = await client.dial(made["phoneNumber"]["transferNumber"])
    await end(world, record, EventKind.DISCONNECTED, code=0, subCode=0)
    _, seen = await client.get()
    assert (seen["status"], seen["outputContext"]) == ("COMPLETED", {"transferType": "CALLER_DISCONNECT",
                                                                     "currentTaskName": "refund"})  # fmt: skip


async def test_a_call_that_breaks_goes_to_a_person(world, client):
    _, made = await client.post()
    record = await client.dial(made["phoneNumber"]["transferNumber"])
    await end(world, record, EventKind.DISCONNECTED, code=500, subCode=7001)
    _, seen = await client.get()
    assert seen["outputContext"]["transferType"] == "AGENT"
    assert seen["outputContext"]["referenceVariables"] == {"error": "connection_failed"}


async def test_a_call_that_left_no_trace(world, client):
    await client.post()
    await world.app.transfers.transfers["default"].claim(
        "default", "t1", call_key="k", call_id="c-lost", event_at=START
    )
    assert (await client.get())[1]["status"] == "ONGOING"
    world.clock.at += 121
    _, seen = await client.get()
    assert seen["outputContext"]["referenceVariables"] == {"error": "call_lost"}


@pytest.mark.parametrize(("after", "status"), [(59, "ACTIVE"), (61, "EXPIRED")])
async def test_expiry_needs_no_timer(world, client, after, status):
    _, made = await client.post()
    world.clock.at += after
    assert (await client.get())[1]["status"] == status
    await world.host()
    record = await client.dial(made["phoneNumber"]["transferNumber"])
    _, seen = await client.get()
    if status == "ACTIVE":
        assert (record.state, seen["status"]) == ("answered", "ONGOING")
    else:
        assert (record.state, record.ended.reason) == ("rejected", "call_transfer_expired")
        assert (seen["status"], record.input_variables) == ("EXPIRED", {})
        assert world.acs.requests[-1].operation == "reject"


async def test_a_second_caller_is_refused(world, client):
    _, made = await client.post()
    number = made["phoneNumber"]["transferNumber"]
    first = await client.dial(number)
    second = await client.dial(number, correlation="corr-2")
    assert (first.state, second.state, second.ended.reason) == ("answered", "rejected", "call_transfer_taken")
    assert second.input_variables == {}
    assert [asked.operation for asked in world.acs.requests] == ["answer", "reject"]
    assert (await client.get())[1]["callId"] == first.call_id


async def test_a_late_delivery_meets_no_new_owner(world, client):
    _, made = await client.post()
    number = made["phoneNumber"]["transferNumber"]
    await client.pool.disable(A if number == B else B)
    await client.dial(number)
    world.clock.at += QUARANTINE_S + 1
    await world.host()
    status, again = await client.post(id="t2")
    assert (status, again["phoneNumber"]["transferNumber"]) == (200, number)
    late = await client.dial(number, correlation="corr-late", age_s=QUARANTINE_S)
    assert (late.state, late.ended.reason) == ("rejected", "call_transfer_too_early")
    assert (await client.get("t2"))[1]["status"] == "ACTIVE"


async def test_the_number_that_nobody_waits_at(world, client):
    record = await client.dial(A)
    assert (record.state, record.ended.reason) == ("rejected", "call_transfer_unknown")


async def test_a_call_that_died_with_its_first_delivery_is_taken_up_again(world, client):
    _, made = await client.post()
    number = made["phoneNumber"]["transferNumber"]
    world.fail_store(1, "live")  # the claim is made; then the store is away
    with pytest.raises(Exception, match="away"):
        await client.dial(number)
    record = await client.dial(number)
    assert (record.state, record.task) == ("answered", "refund")
    assert (await client.get())[1]["callId"] == record.call_id


async def test_two_requests_at_once_that_each_get_a_number(world, client, monkeypatch):
    """Both have looked before either has taken one: the slower gives its own back, and answers with the other's."""
    pool = world.app.transfers.transfers["default"]._pool
    both, look, numbers = asyncio.Barrier(2), pool.list, iter((A, B))

    async def look_together():
        found = await look()
        await both.wait()
        return found

    monkeypatch.setattr(pool, "list", look_together)
    monkeypatch.setattr(pool, "_choice", lambda free: {n.number: n for n in free}[next(numbers)])
    first, second = await asyncio.gather(client.post(), client.post())
    assert first == second
    states = sorted(number.state(world.clock()) for number in await client.pool.list())
    assert states == ["assigned", "quarantine"]


async def test_a_request_that_meets_another_ones_failure(world, client, monkeypatch):
    """The row that stood in the way is gone when it is read, or was changed meanwhile: ask again, or leave it."""
    transfers = world.app.transfers.transfers["default"]
    read, gone = transfers._read, []

    async def find_nothing_once(*key):
        if not gone:
            gone.append(key)
            await world.store.delete("transfers", *key)
            return None
        return await read(*key)

    await client.post(type="ACS_USER", phoneNumber=None)
    monkeypatch.setattr(transfers, "_read", find_nothing_once)
    assert (await client.post(type="ACS_USER", phoneNumber=None))[0] == 200
    assert gone == [("default", "t1")]
    monkeypatch.setattr(transfers, "_read", read)
    assign = transfers._pool.assign

    async def succeed_elsewhere(*args):
        row = await world.store.get("transfers", "default", "t2")
        await world.store.replace("transfers", row)
        return await assign("GB", *args[1:])

    monkeypatch.setattr(transfers._pool, "assign", succeed_elsewhere)
    assert (await client.post(id="t2"))[0] == 422
    assert await world.store.get("transfers", "default", "t2") is not None


async def test_two_requests_at_once_that_find_the_same_number(world, client, monkeypatch):
    transfers = world.app.transfers.transfers["default"]
    assign, made = transfers._pool.assign, []

    async def overtaken(*args):
        found = await assign(*args)
        if not made:
            made.append(None)
            made[0] = await client.post()
        return found

    monkeypatch.setattr(transfers._pool, "assign", overtaken)
    assert await client.post() == made[0]
    assert [number.state(world.clock()) for number in await client.pool.list()].count("assigned") == 1


@pytest.mark.parametrize("then", ["changed", "gone"])
async def test_two_readers_find_the_end_at_once(world, client, monkeypatch, then):
    await client.post()
    world.clock.at += 61
    transfers = world.app.transfers.transfers["default"]
    read, times = transfers._read, []

    async def overtaken(*key):
        found = await read(*key)
        times.append(key)
        if len(times) == 1 and then == "changed":
            assert (await client.get())[1]["status"] == "EXPIRED"
        elif len(times) == 1:
            await world.store.delete("transfers", *key)
        return found

    monkeypatch.setattr(transfers, "_read", overtaken)
    status, seen = await client.get()
    assert (status, seen.get("status")) == ((200, "EXPIRED") if then == "changed" else (404, None))


async def test_two_claims_at_once(world, client, monkeypatch):
    await client.post()
    transfers = world.app.transfers.transfers["default"]
    claims = [
        transfers.claim("default", "t1", call_key=f"k{n}", call_id=f"c{n}", event_at=START) for n in range(2)
    ]
    both, read = asyncio.Barrier(2), transfers._read

    async def read_together(*key):
        found = await read(*key)
        if both.n_waiting < 2 and not both.broken and len(waited) < 2:
            waited.append(key)
            await both.wait()
        return found

    waited = []
    monkeypatch.setattr(transfers, "_read", read_together)
    found = await asyncio.gather(*claims)
    assert sorted(isinstance(claim, str) for claim in found) == [False, True]
    assert await transfers.claim("default", "t9", call_key="k", call_id="c", event_at=START) == "unknown"


async def test_by_the_agents_own_identity(world, client):
    _, made = await client.post(type="ACS_USER", phoneNumber=None)
    assert made["acsUser"]["communicationUserId"] == "8:acs:r_agent"
    to = {"kind": "communicationUser", "rawId": "8:acs:r_agent", "communicationUser": {"id": "8:acs:r_agent"}}
    headers = made["acsUser"]["voipHeaders"] | {"accountNumber": "666", "other": "x"}
    record = await client.dial(A, to=to, customContext={"voipHeaders": headers})
    assert (record.state, record.task) == ("answered", "refund")
    assert record.input_variables == {"accountNumber": "00123", "other": "x"}
    stranger = await client.dial(
        A, correlation="corr-2", to=to, customContext={"voipHeaders": {"callTransferId": "t9"}}
    )
    assert (stranger.state, stranger.ended.reason) == ("rejected", "call_transfer_unknown")
    plain = await client.dial(A, correlation="corr-3", to=to)
    assert plain is None  # no transfer's id, and no route


async def test_a_repeated_request_is_the_same_transfer(world, client):
    first = await client.post()
    world.clock.at += 5
    assert await client.post() == first
    status, refused = await client.post(externalConversationId="another")
    assert (status, refused["error"]["code"]) == (409, "409-01")
    held = [number for number in await client.pool.list() if number.state(world.clock()) == "assigned"]
    assert len(held) == 1


async def test_no_number_is_free(world, client):
    for n in (1, 2):
        assert (await client.post(id=f"t{n}"))[0] == 200
    asked = request("r", client.headers(), json.dumps(ASKED | {"id": "t3"}).encode())
    reply = await world.app.create_call_transfer(asked)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert json.loads(reply.body)["error"]["code"] == "503-06"
    assert (await client.get("t3"))[0] == 404
    world.clock.at += 60 + 2 + QUARANTINE_S
    assert (await client.post(id="t3"))[0] == 200


async def test_what_is_refused(world, client):
    status, refused = await client.post(phoneNumber={"country": "GB"})
    assert (status, refused["error"]["code"]) == (422, "422-02")
    assert (await client.get())[0] == 404
    for kind in ("SIP",):
        status, refused = await client.post(type=kind)
        assert (status, refused["error"]["code"]) == (422, "422-01")
    asked = request("r", client.headers() | {"content-type": "text/plain"}, json.dumps(ASKED).encode())
    assert shown(await world.app.create_call_transfer(asked))[1]["error"]["code"] == "415-01"
    old = await world.app.create_call_transfer(asked, compatible=True)
    assert shown(old)[1]["error"]["code"] == "400-01"  # requirement 114
    asked = request("r", client.headers(), b" " * 70_000)
    assert (await world.app.create_call_transfer(asked)).status == 413
    assert (await world.app.create_call_transfer(request("r", {}, json.dumps(ASKED).encode()))).status == 401
    assert (await world.app.get_call_transfer("t1", request("r", {}, b""))).status == 401


async def test_another_tenants_transfer_does_not_exist(world, client):
    await client.post()
    globex = Client(world, await world.app.door.issue("globex"))
    assert await globex.get() == await globex.get("t-unknown")
    assert (await globex.get())[0] == 404
    status, own = await globex.post()  # the same id, another tenant
    assert (status, own["status"]) == (200, "ACTIVE")
    assert own["phoneNumber"]["transferNumber"] != (await client.get())[1]["phoneNumber"]["transferNumber"]
    status, refused = await globex.post(id="t2", type="ACS_USER", phoneNumber=None)
    assert (status, refused["error"]["code"]) == (422, "422-01")
    nobody = Client(world, await world.app.door.issue("acme"))
    assert (await nobody.post())[0] == 403
    assert (await nobody.get())[0] == 404


async def test_the_event_of_a_foreign_subscription_takes_no_transfer(world, client):
    """A tenant's own subscription may bring only calls of its own transfers."""
    _, made = await client.post()
    globex = await world.app.door.issue("globex")
    event = world.incoming(made["phoneNumber"]["transferNumber"])
    headers = {"api-id": globex.api_id, "api-secret": globex.api_secret}
    await world.app.acs_events(request("r", headers, json.dumps(event).encode()), options=False)
    assert (await client.get())[1]["status"] == "ACTIVE"
    assert world.acs.requests == []


async def test_an_existing_client_changes_host_and_keys_only(world, client):
    old = client.headers(("asapp-api-id", "asapp-api-secret"))
    assert (await client.post(headers=old))[0] == 200
    assert (await client.get(headers=old))[1]["status"] == "ACTIVE"
    asked = request("r", old, json.dumps(ASKED).encode())
    assert (await world.app.create_call_transfer(asked)).status == 401  # on its own path only


async def test_the_same_request_twice_at_once(world, client):
    first, second = await asyncio.gather(client.post(), client.post())
    assert first == second
    assert first[0] == 200


async def test_the_second_call_of_a_conversation_goes_on_where_the_first_ended(world, client):
    _, made = await client.post()
    first = await client.dial(made["phoneNumber"]["transferNumber"])
    assert (first.transfer_id, first.conversation_id, first.previous_calls) == ("t1", "conv-1", [])
    _, made = await client.post(id="t2", inputContext={"inputVariables": {"mood": "better"}})
    busy = await client.dial(made["phoneNumber"]["transferNumber"], correlation="corr-2")
    assert (busy.state, busy.ended.reason) == ("rejected", "conversation_busy")
    await end(world, first, EventKind.DISCONNECTED, code=0, subCode=0)
    world.clock.at += QUARANTINE_S + 1
    await world.host()
    _, made = await client.post(id="t3", inputContext=None)
    again = await client.dial(made["phoneNumber"]["transferNumber"], correlation="corr-3")
    assert (again.state, again.previous_calls) == ("answered", [first.call_id])
    assert again.input_variables == {"accountNumber": "00123"}


async def test_an_acs_call_may_name_its_conversation(world, client):
    for n in (1, 2):
        voip = {"externalConversationId": "conv-9", f"from{n}": "x"}
        record = await client.dial("+18005550000", f"corr-{n}", customContext={"voipHeaders": voip})
        assert record.conversation_id == "conv-9"
        await end(world, record, EventKind.DISCONNECTED, code=0, subCode=0)
    assert record.input_variables == {"from1": "x", "from2": "x"}
