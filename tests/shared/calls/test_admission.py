import pytest

from shared.calls.admission import (
    Heartbeat,
    admit,
    admit_call,
    heartbeats,
    remove_heartbeat,
    write_heartbeat,
)
from shared.calls.repository import Calls, new_call_id
from shared.errors import EntityChanged, EntityExists

NOW = 1_800_000_000.0


def beat(host_id="a", active=0, capacity=10, draining=False, age_s=0.0):
    return Heartbeat(host_id, active, capacity, draining, NOW - age_s)


async def test_a_heartbeat_is_replaced_and_removed(store):
    await write_heartbeat(store, beat(active=1))
    await write_heartbeat(store, beat(active=2, draining=True))
    assert await heartbeats(store) == [beat(active=2, draining=True)]
    await remove_heartbeat(store, "a")
    await remove_heartbeat(store, "a")
    assert await heartbeats(store) == []


@pytest.mark.parametrize("error", [EntityChanged, EntityExists])
async def test_a_lost_race_of_heartbeats_is_no_fault(store, error):
    class Racing:
        get = store.get

        async def insert(self, table, entity):
            raise error(table)

        replace = insert

    await write_heartbeat(Racing(), beat())
    await write_heartbeat(store, beat())
    await write_heartbeat(Racing(), beat())


@pytest.mark.parametrize(
    ("beats", "reason"),
    [
        ([], "no_media_host"),
        ([beat()], ""),
        ([beat(age_s=5.0)], ""),
        ([beat(age_s=5.1)], "no_media_host"),
        ([beat(draining=True)], "no_media_host"),
        ([beat(active=9)], ""),
        ([beat(active=10)], "media_hosts_full"),
        ([beat("a", active=10), beat("b", active=9)], ""),
        ([beat("a", age_s=9), beat("b", draining=True)], "no_media_host"),
    ],
)
async def test_a_host_must_be_ready(store, beats, reason):
    for each in beats:
        await write_heartbeat(store, each)
    admission = await admit(store, NOW)
    assert admission.reason == reason
    assert bool(admission) is (reason == "")


async def place(store, calls, count, tenant="t1", limit=100, tenants=("t1", "t2")):
    """Watch so many calls at once, then ask for each; the reasons, oldest first."""
    ids = [new_call_id(NOW + i * 0.001) for i in range(count)]
    for call_id in ids:
        await calls.watch(tenant, call_id)
    asked = [
        await admit_call(store, calls, tenant=tenant, call_id=call_id, limit=limit, tenants=tenants, now=NOW)
        for call_id in reversed(ids)  # whoever asks first
    ]
    return [admission.reason for admission in reversed(asked)]


async def test_the_101st_call_of_a_tenant_is_refused(store):
    calls = Calls(store, lambda: NOW)
    await write_heartbeat(store, beat(capacity=1000))
    assert await place(store, calls, 101) == [""] * 100 + ["tenant_limit"]


async def test_a_burst_does_not_get_past_the_capacity_of_old_heartbeats(store):
    calls = Calls(store, lambda: NOW)
    await write_heartbeat(store, beat("a", capacity=2))
    await write_heartbeat(store, beat("b", capacity=1))
    await write_heartbeat(store, beat("c", capacity=5, draining=True))
    await calls.watch("t2", new_call_id(NOW - 1))
    assert await place(store, calls, 4) == ["", "", "media_hosts_full", "media_hosts_full"]


async def test_no_host_is_no_admission(store):
    assert await place(store, Calls(store, lambda: NOW), 1) == ["no_media_host"]


async def test_calls_of_a_host_that_drains_take_no_room_of_the_others(store):
    """In a rolling update the new host is empty, whatever is still going on over the old one."""
    calls = Calls(store, lambda: NOW)
    await write_heartbeat(store, beat("old", active=3, capacity=3, draining=True))
    await write_heartbeat(store, beat("new", active=0, capacity=2))
    assert await place(store, calls, 6) == [""] * 5 + ["media_hosts_full"]


async def test_a_moved_caller_has_a_place_already(store):
    calls = Calls(store, lambda: NOW)
    await write_heartbeat(store, beat("new", active=0, capacity=1))
    reasons = await place(store, calls, 3, limit=1)
    assert reasons == ["", "tenant_limit", "tenant_limit"]
    call_id = new_call_id(NOW + 1)
    asked = {"tenant": "t1", "call_id": call_id, "limit": 1, "tenants": ("t1",), "now": NOW}
    assert await admit_call(store, calls, **asked, moved=True)
    await write_heartbeat(store, beat("new", active=1, capacity=1))
    assert (await admit_call(store, calls, **asked, moved=True)).reason == "media_hosts_full"
