"""The outbox: what is due by a record, once per call, and found again after a death in between."""

from dataclasses import replace

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallRecord, CallState
from shared.calls.repository import Calls, new_call_id
from shared.errors import EntityChanged, StoreUnavailable
from shared.publishing.outbox import PARTITION, TABLE, Announcement, Kind, Outbox, due

K = EventKind
NOW = 1_800_000_000.0
CONNECTED = CallRecord(state=CallState.CONNECTED, connected_at=NOW)


@pytest.fixture
def outbox(store):
    return Outbox(store, lambda: NOW)


@pytest.fixture
def calls(store, outbox):
    return Calls(store, lambda: NOW, outbox)


@pytest.mark.parametrize(
    ("record", "kinds"),
    [
        (CallRecord(), []),
        (CallRecord(answered_at=NOW), [Kind.CALL_ANSWERED]),
        (CONNECTED, [Kind.CALL_ANSWERED]),
        (replace(CONNECTED, transfer_id="t"), [Kind.CALL_ANSWERED]),
        (
            replace(CONNECTED, transfer_id="t", outcome={"transferType": "SYSTEM"}),
            [Kind.CALL_ANSWERED, Kind.TRANSFER_COMPLETED],
        ),
        (replace(CONNECTED, outcome={"transferType": "SYSTEM"}), [Kind.CALL_ANSWERED]),
        (
            CallRecord(state=CallState.REJECTED, released=True, transfer_id="t"),
            [Kind.CALL_ENDED, Kind.TRANSFER_COMPLETED],
        ),
        (CallRecord(recording={"file": "x.wav"}), [Kind.RECORDING_READY]),
    ],
)
def test_what_is_due(record, kinds):
    assert due(record) == kinds


async def begin(calls, **data):
    call_id = new_call_id(NOW)
    await calls.watch("t1", call_id)
    await note(calls, call_id, "received", K.RECEIVED, callId=call_id, tenant="t1", **data)
    return call_id


async def note(calls, call_id, event_id, kind, **data):
    await calls.append("t1", call_id, CallEvent(event_id, kind, NOW, data))


async def kinds(outbox, call_id):
    return [told.kind for told in await outbox.of_call(call_id)]


async def test_each_is_added_once(calls, outbox):
    added = []
    outbox.added = added.append
    call_id = await begin(calls)
    other = await begin(calls)
    assert await kinds(outbox, call_id) == []
    await note(calls, call_id, "a", K.ANSWERED)
    await note(calls, call_id, "c", K.CONNECTED)
    await note(calls, call_id, "r", K.RECORDING, file="call.wav", ms=100, consent=True)
    assert await kinds(outbox, call_id) == [Kind.CALL_ANSWERED, Kind.RECORDING_READY]
    assert added == [call_id, call_id]
    for told in await outbox.of_call(call_id):
        await outbox.delete(told)
        await outbox.delete(told)
    await note(calls, call_id, "d", K.DISCONNECTED, code=200)
    assert await kinds(outbox, call_id) == [Kind.CALL_ENDED]  # what was published does not come back
    assert await kinds(outbox, other) == []
    [row] = await outbox.page()
    assert row == Announcement("t1", call_id, Kind.CALL_ENDED, NOW)
    assert await outbox.page(row.row) == []


async def test_a_process_that_dies_before_the_snapshot_loses_nothing(calls, outbox, store, monkeypatch):
    call_id = await begin(calls)

    async def die(*_):
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(store, "replace", die)
        with pytest.raises(StoreUnavailable):
            await note(calls, call_id, "d", K.DISCONNECTED, code=200)
    assert (await calls.list("t1"))[0].state is CallState.RECEIVED
    await store.delete(TABLE, PARTITION, f"{call_id}.{Kind.CALL_ENDED}")  # published by somebody meanwhile
    await calls.refresh("t1", call_id)
    assert await kinds(outbox, call_id) == [Kind.CALL_ENDED]  # a second time, by the same id
    assert (await calls.list("t1"))[0].state is CallState.ENDED


async def test_two_writers_at_once_add_one_row(calls, outbox, store, monkeypatch):
    call_id = await begin(calls)
    replacing, first = store.replace, []

    async def overtaken(table, entity):
        if not first:
            first.append(entity)
            raise EntityChanged("another")
        return await replacing(table, entity)

    monkeypatch.setattr(store, "replace", overtaken)
    await note(calls, call_id, "d", K.DISCONNECTED, code=200)
    assert await kinds(outbox, call_id) == [Kind.CALL_ENDED]


async def test_a_writer_that_publishes_nothing_keeps_what_others_know(calls, outbox, store):
    call_id = await begin(calls)
    await note(calls, call_id, "a", K.ANSWERED)
    for told in await outbox.of_call(call_id):
        await outbox.delete(told)
    await note(Calls(store, lambda: NOW), call_id, "c", K.CONNECTED)
    await note(calls, call_id, "p", K.PARTICIPANTS)
    assert await kinds(outbox, call_id) == []
