import asyncio
from dataclasses import replace

from shared.calls.claims import KEEP_S, LEASE_S, claim, claim_key, forget_claims, give_back
from shared.wire.acs_events import grid_event_from_dict, parse_incoming_call
from tests.support.call_world import Clock, World

NOW = 1_800_000_000.0


def a_call(number="+18005550000", correlation="corr-1"):
    world = World.__new__(World)
    world.clock = Clock()
    return parse_incoming_call(grid_event_from_dict(world.incoming(number, correlation=correlation)))


async def test_one_of_many_claims(store):
    claims = await asyncio.gather(*(claim(store, "t1", a_call(), NOW) for _ in range(16)))
    [held] = [each for each in claims if each]
    assert not held.taken_over
    assert held.first_at == NOW


async def test_the_key_is_the_call_and_who_was_dialled():
    call = a_call()
    assert claim_key(call) == claim_key(replace(call, event_id="another delivery", context="x"))
    others = [
        a_call(correlation="corr-2"),
        a_call("+18005550001"),
        replace(call, correlation_id="", server_call_id="s"),
    ]
    assert len({claim_key(each) for each in [call, *others]}) == 4


async def test_tenants_have_claims_of_their_own(store):
    assert await claim(store, "t1", a_call(), NOW)
    assert await claim(store, "t2", a_call(), NOW)


async def test_a_lease_is_taken_over_by_one_and_keeps_the_call_id(store):
    first = await claim(store, "t1", a_call(), NOW)
    assert await claim(store, "t1", a_call(), NOW + LEASE_S - 0.1) is None
    later = NOW + LEASE_S
    claims = await asyncio.gather(*(claim(store, "t1", a_call(), later) for _ in range(16)))
    [held] = [each for each in claims if each]
    assert (held.call_id, held.first_at, held.taken_over) == (first.call_id, NOW, True)
    assert await claim(store, "t1", a_call(), later + 1) is None


async def test_a_claim_given_back_can_be_taken_at_once(store):
    first = await claim(store, "t1", a_call(), NOW)
    await give_back(store, first)
    assert (await claim(store, "t1", a_call(), NOW + 0.1)).call_id == first.call_id
    await store.delete("claims", "t1", first.key)
    await give_back(store, first)


async def test_giving_back_never_ends_another_ones_lease(store):
    held = await claim(store, "t1", a_call(), NOW)
    stale = await store.get("claims", "t1", held.key)
    assert await claim(store, "t1", a_call(), NOW + LEASE_S)

    class ReadTooEarly:
        replace = store.replace

        async def get(self, table, partition, row):
            return stale

    await give_back(ReadTooEarly(), held)
    assert await claim(store, "t1", a_call(), NOW + LEASE_S + 1) is None


async def test_only_what_was_begun_can_be_taken_over_late(store):
    assert await claim(store, "t1", a_call(), NOW, fresh=False) is None
    assert await claim(store, "t1", a_call(), NOW)
    assert await claim(store, "t1", a_call(), NOW + LEASE_S, fresh=False)


async def test_old_claims_are_forgotten_slice_by_slice(store):
    old = [await claim(store, "t1", a_call(correlation=f"c{i}"), NOW - KEEP_S - 1) for i in range(20)]
    new = await claim(store, "t1", a_call(correlation="new"), NOW)
    counts = [await forget_claims(store, "t1", NOW + 15 * i) for i in range(256)]
    assert sum(counts) == len(old)
    assert max(counts) < len(old)
    assert await store.get("claims", "t1", new.key)
