"""Everything of tenant A, asked for with B's credentials: the answer is the one for what does not exist, word for word."""

import json

import pytest

from shared.http import request
from shared.security.tenants import ALL_SCOPES, Scope, TenantDoor
from shared.transfers.numbers import NumberPool
from tests.support import call_world
from tests.support.call_world import NUMBER, open_world
from tests.support.outbound_client import ASKED

CONFIG = call_world.CONFIG.replace(
    "globex: {}", 'globex: {outbound: {countries: [US], caller_ids: ["+18005550002"]}}'
)
POOLED = "+18005550100"
LENT = {
    "id": "t1",
    "externalConversationId": "conv-lent",
    "type": "PHONE_NUMBER",
    "phoneNumber": {"country": "US"},
    "inputContext": {"inputVariables": {"secret": "of A"}},
}
CALLED = ASKED | {"externalConversationId": "conv-called", "inputVariables": {"secret": "of A"}}


@pytest.fixture
async def world(tmp_path, monkeypatch):
    assert CONFIG != call_world.CONFIG
    monkeypatch.setattr(call_world, "CONFIG", CONFIG)
    async with open_world(tmp_path, monkeypatch) as opened:
        await opened.host()
        yield opened


class Tenant:
    """One tenant's credentials, and every door."""

    def __init__(self, world, credentials) -> None:
        self.world, self.credentials = world, credentials

    @classmethod
    async def of(cls, world, tenant, scopes=ALL_SCOPES):
        return cls(world, await world.app.door.issue(tenant, scopes))

    async def ask(self, door, body=None, **arguments):
        """Status and body without the request's own id, as text."""
        headers = {"content-type": "application/json"}
        if self.credentials is not None:
            headers |= {"api-id": self.credentials.api_id, "api-secret": self.credentials.api_secret}
        sent = b"" if body is None else json.dumps(body).encode()
        reply = await door(asked=request("req", headers, sent), **arguments)
        shown = json.loads(reply.body)
        return reply.status, shown

    async def call(self, call_id):
        return await self.ask(self.world.app.get_call, call_id=call_id)

    async def calls(self):
        return await self.ask(self.world.app.list_calls)

    async def transfer(self, transfer_id):
        return await self.ask(self.world.app.get_call_transfer, transfer_id=transfer_id)

    async def lend(self, **changes):
        return await self.ask(self.world.app.create_call_transfer, LENT | changes)

    async def have_called(self, **changes):
        return await self.ask(self.world.app.create_call, CALLED | changes)

    async def event(self, number, correlation):
        body = [self.world.incoming(number, correlation=correlation, event_id=f"ev-{correlation}")]
        return await self.ask(self.world.app.acs_events, body, options=False)


@pytest.fixture
async def things(world):
    """What A has: an answered call, one that rings, a transfer with its number, and both their conversations."""
    pool = NumberPool(world.store, world.clock)
    for number in (POOLED, "+18005550101"):
        await pool.add(number, "US")
    owner = await Tenant.of(world, "default")
    status, lent = await owner.lend()
    assert status == 200
    assert (await owner.event(NUMBER, "corr-a"))[0] == 200
    [answered] = await world.calls.list("default")
    world.acs.connection_id = "cc-2"
    status, called = await owner.have_called()
    assert status == 202
    return owner, {
        "answered": answered.call_id,
        "called": called["callId"],
        "number": lent["phoneNumber"]["transferNumber"],
    }


async def test_calls_and_transfers_of_another_tenant_do_not_exist(world, things):
    owner, known = things
    other = await Tenant.of(world, "globex")
    for name in ("answered", "called"):
        assert (await owner.call(known[name]))[0] == 200
        assert (
            await other.call(known[name])
            == await other.call("c0000000000000000000000")
            != await owner.call(known[name])
        )
        assert (await other.call(known[name]))[0] == 404
    assert (await owner.transfer("t1"))[0] == 200
    assert await other.transfer("t1") == await other.transfer("t2")
    assert (await other.transfer("t1"))[0] == 404
    assert await other.calls() == (200, {"calls": []})


async def test_ids_of_another_tenant_are_free_here(world, things):
    _, known = things
    other = await Tenant.of(world, "globex")
    status, lent = await other.lend(inputContext={"inputVariables": {"mine": "B"}})
    assert (status, lent["inputContext"]) == (200, {"inputVariables": {"mine": "B"}})
    assert lent["phoneNumber"]["transferNumber"] != known["number"]
    world.acs.connection_id = "cc-3"
    status, called = await other.have_called(inputVariables={"mine": "B"})
    assert status == 202  # no conflict with A's request of this id, and no live call in A's conversation
    assert called["callId"] != known["called"]
    record = await world.calls.get("globex", called["callId"])
    assert (record.input_variables, list(record.previous_calls)) == ({"mine": "B"}, [])


@pytest.mark.parametrize("which", ["routed", "lent"])
async def test_events_about_another_tenants_numbers(world, things, which):
    owner, known = things
    other = await Tenant.of(world, "globex")
    number = NUMBER if which == "routed" else known["number"]
    before = len(world.acs.requests)
    assert await other.event(number, "corr-b") == await other.event("+18005550777", "corr-c")
    assert len(world.acs.requests) == before
    assert await other.calls() == (200, {"calls": []})
    assert (await owner.transfer("t1"))[1]["status"] == "ACTIVE"


async def test_secrets_and_ids_do_not_mix(world, things):
    owner, known = things
    other = await Tenant.of(world, "globex")
    mixed = [
        type(owner.credentials)(owner.credentials.api_id, other.credentials.api_secret),
        type(owner.credentials)(other.credentials.api_id, owner.credentials.api_secret),
        await TenantDoor(world.store, "production", world.clock).issue("default"),
        None,
    ]
    for credentials in mixed:
        stranger = Tenant(world, credentials)
        answers = [
            await stranger.call(known["answered"]),
            await stranger.call("nothing"),
            await stranger.calls(),
            await stranger.transfer("t1"),
            await stranger.transfer("t2"),
            await stranger.lend(),
            await stranger.have_called(),
            await stranger.have_called(id="o2"),
            await stranger.event(NUMBER, "corr-x"),
        ]
        assert {status for status, _ in answers} == {401}
        assert len({json.dumps(body) for _, body in answers}) == 1


DOORS = {
    "call": Scope.CALLS_READ,
    "calls": Scope.CALLS_READ,
    "transfer": Scope.CALL_TRANSFERS,
    "lend": Scope.CALL_TRANSFERS,
    "have_called": Scope.CALLS_CREATE,
    "event": Scope.EVENTS,
}


@pytest.mark.parametrize(("door", "scope"), DOORS.items())
async def test_every_door_wants_its_scope(world, things, door, scope):
    """Own credentials without it: the same words for what is there and for what is not; with it alone, it opens."""
    _, known = things
    there = {"call": (known["answered"],), "transfer": ("t1",), "event": (NUMBER, "corr-n")}.get(door, ())
    absent = {"call": ("nothing",), "transfer": ("t2",), "event": ("+18005550777", "corr-m")}.get(door, ())
    less = await Tenant.of(world, "default", ALL_SCOPES - {scope})
    before = len(world.acs.requests)
    refused = await getattr(less, door)(*there)
    assert (refused[0], refused[1]["error"]["code"]) == (403, "403-02")
    assert refused == await getattr(less, door)(*absent)
    assert len(world.acs.requests) == before
    alone = await Tenant.of(world, "default", [scope])
    assert (await getattr(alone, door)(*there))[0] in (200, 202)
