import asyncio

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.conversations.conversations import RETENTION_S, ConversationBusy, Conversations


async def begin(world, call_id, **received):
    await world.calls.append(
        "default", call_id, CallEvent("received", EventKind.RECEIVED, world.clock(), {"callId": call_id})
    )


async def end(world, call_id):
    await world.calls.append(
        "default", call_id, CallEvent("gone", EventKind.DISCONNECTED, world.clock(), {"code": 0})
    )


@pytest.fixture
def conversations(world):
    return Conversations(world.store, world.calls, world.clock)


async def test_a_later_call_goes_on(world, conversations):
    first = await conversations.join("default", "conv/1", "c1", {"name": "Zoë", "order": "1"})
    assert (first.calls, first.variables) == (("c1",), {"name": "Zoë", "order": "1"})
    await begin(world, "c1")
    await end(world, "c1")
    world.clock.at += 100
    second = await conversations.join("default", "conv/1", "c2", {"order": "2"})
    assert (second.calls, second.variables) == (("c1", "c2"), {"name": "Zoë", "order": "2"})
    assert await conversations.join("default", "conv/1", "c2", {}) == second  # delivered again
    await begin(world, "c2")
    await end(world, "c2")
    third = await conversations.join("default", "conv/1", "c3", {})  # nothing new: all is kept
    assert third.variables == second.variables


async def test_who_the_caller_is_stays_with_it(world, conversations):
    first = await conversations.join("default", "c", "c1", {}, customer_id="customer-1")
    assert first.customer_id == "customer-1"
    await begin(world, "c1")
    await end(world, "c1")
    assert (await conversations.join("default", "c", "c2", {})).customer_id == "customer-1"
    await begin(world, "c2")
    await end(world, "c2")
    assert (await conversations.join("default", "c", "c3", {}, customer_id="other")).customer_id == "other"


async def test_tenants_do_not_meet(conversations):
    await conversations.join("default", "same", "c1", {"secret": "x"})
    assert (await conversations.join("globex", "same", "c2", {})).variables == {}


async def test_it_is_forgotten_after_a_day(world, conversations):
    await conversations.join("default", "conv", "c1", {"a": "1"})
    await begin(world, "c1")
    await end(world, "c1")
    world.clock.at += RETENTION_S + 1
    assert (await conversations.join("default", "conv", "c2", {})).calls == ("c2",)


async def test_one_live_call_at_a_time(world, conversations):
    await conversations.join("default", "conv", "c1", {})
    with pytest.raises(ConversationBusy) as caught:  # on its way to us, without a record yet
        await conversations.join("default", "conv", "c2", {})
    assert (caught.value.status, caught.value.code) == (409, "409-02")
    await begin(world, "c1")
    world.clock.at += 1000
    with pytest.raises(ConversationBusy):
        await conversations.join("default", "conv", "c2", {})
    several = Conversations(world.store, world.calls, world.clock, one_at_a_time=False)
    assert (await several.join("default", "conv", "c3", {})).calls == ("c1", "c3")


async def test_a_call_that_never_came_does_not_block(world, conversations):
    await conversations.join("default", "conv", "c1", {})
    world.clock.at += 61
    assert (await conversations.join("default", "conv", "c2", {})).calls == ("c1", "c2")


async def test_two_at_once(world, conversations):
    both, get = asyncio.Barrier(2), world.store._store.get
    waiting = [2]

    async def look_together(table, *key):
        found = await get(table, *key)
        if table == "conversations" and waiting[0]:
            waiting[0] -= 1
            await both.wait()
        return found

    world.store._store.get = look_together
    found = await asyncio.gather(
        *(conversations.join("default", "conv", f"c{n}", {}) for n in range(2)), return_exceptions=True
    )
    assert sorted(type(item).__name__ for item in found) == ["Conversation", "ConversationBusy"]


async def test_only_so_many_calls_are_remembered(world, conversations):
    for n in range(15):
        found = await conversations.join("default", "conv", f"c{n}", {})
        await begin(world, f"c{n}")
        await end(world, f"c{n}")
    assert found.calls == tuple(f"c{n}" for n in range(5, 15))


async def test_a_call_that_is_being_transferred_makes_room_for_the_next(world, conversations):
    await conversations.join("default", "conv", "c1", {"a": "1"})
    await begin(world, "c1")
    moving = CallEvent(
        "t", EventKind.TRANSFER, world.clock(), {"attempt": "x", "mode": "blind", "target": "ivr"}
    )
    await world.calls.append("default", "c1", moving)
    assert (await conversations.join("default", "conv", "c2", {})).calls == ("c1", "c2")


async def test_a_call_brings_what_it_has_learnt(world, conversations):
    await conversations.join("default", "conv", "c1", {"a": "1"})
    await begin(world, "c1")
    learnt = await conversations.join("default", "conv", "c1", {"a": "1", "b": "2"})
    assert (learnt.calls, learnt.variables) == (("c1",), {"a": "1", "b": "2"})
