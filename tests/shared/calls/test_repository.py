import asyncio

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallState
from shared.calls.repository import Calls, all_rows, new_call_id
from shared.errors import EntityChanged, EntityExists, StoreUnavailable
from shared.store.entities import Entity
from shared.store.sqlite import SqliteStore

K = EventKind
NOW = 1_800_000_000.0


@pytest.fixture
def calls(store):
    return Calls(store, lambda: NOW)


def event(ident, kind, at=0.0, **data):
    return CallEvent(ident, kind, NOW + at, data)


def received(call_id, tenant="t1", **data):
    return event("received", K.RECEIVED, callId=call_id, tenant=tenant, **data)


async def begin(calls, tenant="t1", at=NOW):
    call_id = new_call_id(at)
    await calls.watch(tenant, call_id)
    await calls.append(tenant, call_id, received(call_id, tenant))
    return call_id


def test_newer_ids_sort_first_and_survive_the_log_filter():
    from shared.telemetry import redact

    ids = [new_call_id(NOW + i * 0.001) for i in range(200)]
    assert ids == sorted(ids, reverse=True)
    assert len({len(call_id) for call_id in ids}) == 1
    assert all(redact(call_id) == call_id for call_id in ids)
    assert new_call_id(NOW) != new_call_id(NOW)


async def test_an_event_is_inserted_once(calls):
    call_id = await begin(calls)
    assert await calls.append("t1", call_id, event("x", K.ANSWERED))
    assert not await calls.append("t1", call_id, event("x", K.ANSWERED, 5))
    [answered] = [e for e in await calls.events(call_id) if e.kind is K.ANSWERED]
    assert answered.at == NOW


async def test_a_record_belongs_to_its_tenant(calls):
    call_id = await begin(calls)
    assert (await calls.get("t1", call_id)).call_id == call_id
    assert await calls.get("t2", call_id) is None
    assert await calls.get("t1", "unknown") is None
    assert await calls.get("t1", "../odd/id") is None
    assert await calls.list("t2") == []


async def test_lists_are_newest_first_and_short(calls):
    ids = [await begin(calls, at=NOW + i) for i in range(5)]
    await calls.note("t1", ids[0], "d", K.DISCONNECTED, code=200)
    listed = await calls.list("t1", limit=10)
    assert [record.call_id for record in listed] == ids[::-1]
    assert listed[-1].state is CallState.ENDED
    assert not listed[0].timeline
    assert [record.call_id for record in await calls.list("t1", limit=2)] == ids[:-3:-1]


async def test_what_is_said_does_not_touch_the_snapshot(calls, store):
    call_id = await begin(calls)
    before = await store.get("calls", "t1", call_id)
    await calls.note("t1", call_id, "s", K.CALLER_SAID, text="hello")
    await calls.append("t1", call_id, received(call_id))
    assert (await store.get("calls", "t1", call_id)).etag == before.etag
    assert len((await calls.get("t1", call_id)).transcript) == 1


async def test_a_crash_between_event_and_snapshot_heals(calls, store):
    call_id = await begin(calls)
    before = await store.get("calls", "t1", call_id)
    await calls.note("t1", call_id, "d", K.DISCONNECTED)
    # As if the process had died after the event's insert: the old snapshot is back.
    after = await store.get("calls", "t1", call_id)
    await store.replace("calls", Entity("t1", call_id, before.values, after.etag))
    assert not await calls.note("t1", call_id, "d", K.DISCONNECTED)
    assert (await calls.list("t1"))[0].state is CallState.ENDED


async def test_many_writers_leave_a_snapshot_that_has_seen_all(store, tmp_path):
    other_store = SqliteStore(tmp_path / "store.db")
    writers = [Calls(store, lambda: NOW), Calls(other_store, lambda: NOW)]
    call_id = await begin(writers[0])
    kinds = [K.ANSWERING, K.ANSWERED, K.CONNECTED, K.MEDIA_CONNECTED, K.HANG_UP, K.DISCONNECTED]
    await asyncio.gather(
        *(
            writers[i % 2].append("t1", call_id, event(kind.value, kind, i))
            for _ in range(2)
            for i, kind in enumerate(kinds)
        )
    )
    assert (await writers[0].list("t1"))[0].state is CallState.ENDED
    assert await writers[0].live("t1") == []
    await other_store.close()


@pytest.mark.parametrize("error", [EntityChanged, EntityExists])
async def test_a_snapshot_that_never_stands_still_is_a_fault_of_the_store(store, error):
    class Restless:
        def __getattr__(self, name):
            return getattr(store, name)

        async def replace(self, table, entity):
            raise error(table)

        async def insert(self, table, entity):
            if table == "calls":
                raise error(table)
            return await store.insert(table, entity)

    with pytest.raises(StoreUnavailable):
        await Calls(Restless(), lambda: NOW).append("t1", "c1", received("c1"))
    assert await Calls(store, lambda: NOW).append("t1", "c1", received("c1")) is False


async def test_once(calls):
    firsts = await asyncio.gather(*(calls.once("c1", "recover") for _ in range(16)))
    assert firsts.count(True) == 1
    assert await calls.once("c1", "other")
    assert await calls.once("c2", "recover")


async def test_the_first_connection_binds(calls):
    names = [f"cc-{i % 4}" for i in range(16)]
    results = await asyncio.gather(*(calls.bind_connection("c1", name) for name in names))
    winners = {name for name, ok in zip(names, results, strict=True) if ok}
    assert len(winners) == 1
    assert results.count(True) == 4
    assert await calls.bind_connection("c2", "cc-9")


async def test_a_call_is_watched_until_it_is_released(calls):
    call_id = await begin(calls)
    await calls.watch("t1", call_id)
    assert await calls.live("t1") == [(call_id, NOW)]
    await calls.note("t1", call_id, "h", K.HANG_UP, reason="agent_done")
    assert len(await calls.live("t1")) == 1
    await calls.note("t1", call_id, "d", K.DISCONNECTED)
    assert await calls.live("t1") == []
    await calls.unwatch("t1", call_id)


async def test_older_calls_are_counted(calls):
    ids = [await begin(calls, at=NOW + i) for i in range(4)]
    assert [await calls.older_live("t1", call_id, 10) for call_id in ids] == [0, 1, 2, 3]
    assert await calls.older_live("t1", ids[3], 2) == 2
    assert await calls.older_live("t1", ids[3], 5000) == 3
    assert await calls.older_live("t2", ids[3], 10) == 0


async def test_all_rows_goes_on_after_a_page(store, monkeypatch):
    monkeypatch.setattr("shared.calls.repository.PAGE", 3)
    for i in range(7):
        await store.insert("events", Entity("c1", f"r{i}", {"n": i}))
    assert [row.row for row in await all_rows(store, "events", "c1")] == [f"r{i}" for i in range(7)]
    assert len(await all_rows(store, "events", "c1", after="r1", before="r5")) == 3


async def test_the_first_decision_stays(calls):
    said = await asyncio.gather(*(calls.decided("c1", "end", f"way {n}") for n in range(8)))
    assert len(set(said)) == 1
    assert await calls.decided("c1", "end", "another") == said[0]
    assert await calls.decided("c2", "end", "another") == "another"
