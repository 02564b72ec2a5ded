"""Calls in the store.

Tables: `events` (partition call id, row event id), `calls` (partition tenant, row call id: a snapshot of the record
without its long parts, for lists), `live` (partition tenant, row call id: calls that ACS may still have), `markers`
(partition call id: who may act, which connection). Call ids sort newest first. The snapshot is folded again from all
events whenever an event may change it, so a crash between two writes heals with the next one.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.calls.events import (
    CallEvent,
    EventKind,
    from_entity,
    pack,
    row_key,
    to_entity,
    unpack,
)
from shared.calls.record import CallRecord, fold
from shared.errors import EntityChanged, EntityExists, StoreUnavailable
from shared.store.entities import Entity, EntityStore
from shared.telemetry import calls as telemetry

if TYPE_CHECKING:
    from shared.publishing.outbox import Outbox

PAGE = 1000
"""Rows per query."""

CONVERSATION_KINDS = frozenset(
    {
        EventKind.CALLER_SAID,
        EventKind.AGENT_SAID,
        EventKind.KEYS,
        EventKind.BARGE_IN,
        EventKind.TOOL,
        EventKind.AGENT_READY,
        EventKind.FIRST_AUDIO,
        EventKind.FAULT,
        EventKind.CALLBACK,
        EventKind.IVR_STEP,
    }
)
"""Frequent events that change nothing a list shows: the snapshot is left alone."""

_ATTEMPTS = 30
_NEWEST_MS = 0xFFF_FFFF_FFFF


def new_call_id(now: float) -> str:
    """A fresh call id: `c`, milliseconds counted down (so that newer ids sort first), 48 random bits; 24 characters."""
    return f"c{_NEWEST_MS - int(now * 1000):011x}{secrets.token_hex(6)}"


class Calls:
    """Reads and writes calls.

    Args:
        store: where they are.
        now: the clock, Unix seconds.
        outbox: takes what others are to be told; None when nothing is published.
    """

    def __init__(self, store: EntityStore, now: Callable[[], float], outbox: "Outbox | None" = None) -> None:
        self._store = store
        self._now = now
        self._outbox = outbox

    async def append(self, tenant: str, call_id: str, event: CallEvent) -> bool:
        """Insert `event` by its id; False when it was there already.

        Raises:
            StoreUnavailable: also when the snapshot could not be replaced; the same event may be given again.
        """
        try:
            await self._store.insert("events", to_entity(call_id, event))
            new = True
        except EntityExists:
            new = False  # its first writer may have died before the snapshot: bring that up to date all the same
        if event.kind not in CONVERSATION_KINDS:
            await self.refresh(tenant, call_id)
        return new

    async def note(
        self, tenant: str, call_id: str, event_id: str, kind: EventKind, /, **data: str | float | int | bool
    ) -> bool:
        """`append` an event that happens now; data keys are given in camelCase."""
        return await self.append(tenant, call_id, CallEvent(event_id, kind, self._now(), data))

    async def get(self, tenant: str, call_id: str) -> CallRecord | None:
        """The whole record, or None when this tenant has no such call."""
        if await self._store.get("calls", tenant, row_key(call_id)) is None:
            return None
        return fold(await self.events(call_id))

    async def events(self, call_id: str) -> list[CallEvent]:
        """All events of a call, in no particular order."""
        return [from_entity(entity) for entity in await all_rows(self._store, "events", row_key(call_id))]

    async def list(self, tenant: str, limit: int = 50) -> Sequence[CallRecord]:
        """The newest calls of a tenant, newest first, without variables, transcript and timeline."""
        rows = await self._store.query("calls", tenant, limit=limit)
        return [unpack(row.values, CallRecord) for row in rows]

    async def once(self, call_id: str, what: str) -> bool:
        """Whether the caller of this method is the first to do `what` in this call."""
        return await insert_once(self._store, "markers", row_key(call_id), row_key(what), {"at": self._now()})

    async def decided(self, call_id: str, what: str, value: str) -> str:
        """What was decided about `what` first: `value`, unless somebody was faster. For ever."""
        row = Entity(row_key(call_id), row_key(what), {"value": value})
        try:
            await self._store.insert("markers", row)
        except EntityExists:
            known = await self._store.get("markers", row.partition, row.row)
            return value if known is None else str(known.values["value"])
        return value

    async def bind_connection(self, call_id: str, connection_id: str) -> bool:
        """Tie the call to ACS's connection id, first come; whether it is tied to this one (now or before)."""
        row = Entity(row_key(call_id), "connection", {"callConnectionId": connection_id})
        try:
            await self._store.insert("markers", row)
        except EntityExists:
            known = await self._store.get("markers", row.partition, row.row)
            return known is not None and known.values["callConnectionId"] == connection_id
        return True

    async def watch(self, tenant: str, call_id: str) -> None:
        """Count the call as live and let the sweep look after it, until its record is released."""
        await insert_once(self._store, "live", tenant, call_id, {"at": self._now()})

    async def unwatch(self, tenant: str, call_id: str) -> None:
        """Stop counting it; idempotent."""
        await self._store.delete("live", tenant, call_id)

    async def live(self, tenant: str, limit: int = PAGE) -> Sequence[tuple[str, float]]:
        """Watched calls of a tenant with the time when they began, newest first."""
        rows = await self._store.query("live", tenant, limit=limit)
        return [(row.row, float(row.values["at"])) for row in rows]

    async def older_live(self, tenant: str, call_id: str, limit: int) -> int:
        """How many watched calls of `tenant` are older than `call_id`, counted up to `limit`."""
        if limit > PAGE:
            return min(limit, len(await all_rows(self._store, "live", tenant, after=call_id)))
        return len(await self._store.query("live", tenant, after=call_id, limit=limit))

    async def refresh(self, tenant: str, call_id: str) -> None:
        """Fold again and replace the snapshot; whoever comes last has seen every event.

        Raises:
            StoreUnavailable: also when others were faster too often.
        """
        for _ in range(_ATTEMPTS):
            before = await self._store.get("calls", tenant, call_id)
            record = fold(await self.events(call_id))
            told = str(before.values.get("announced", "")) if before else ""
            if self._outbox is not None:
                told = await self._outbox.note(tenant, call_id, record, told)
            values = pack(_short(record)) | ({"announced": told} if told else {})
            row = Entity(tenant, call_id, values, before.etag if before else "")
            try:
                if before is None:
                    await self._store.insert("calls", row)
                elif before.values != row.values:
                    await self._store.replace("calls", row)
            except (EntityExists, EntityChanged):
                continue
            if telemetry.on() and (before is None or before.values != row.values):
                telemetry.changed(None if before is None else unpack(before.values, CallRecord), record)
            if record.released:
                await self.unwatch(tenant, call_id)
            return
        raise StoreUnavailable(f"call {call_id}: the snapshot changed {_ATTEMPTS} times under us")


def _short(record: CallRecord) -> CallRecord:
    """The record without the parts that grow."""
    return replace(
        record,
        input_variables={},
        previous_calls=(),
        outcome=None,
        participants=(),
        transcript=(),
        faults=(),
        latencies={},
        timeline=(),
        ivr_steps=(),
        ivr_variables={},
        recording=None,
    )


async def insert_once(
    store: EntityStore, table: str, partition: str, row: str, values: Mapping[str, str | int | float | bool]
) -> bool:
    """Insert if absent; whether it was absent."""
    try:
        await store.insert(table, Entity(partition, row, values))
    except EntityExists:
        return False
    return True


async def all_rows(
    store: EntityStore, table: str, partition: str, *, after: str = "", before: str = ""
) -> Sequence[Entity]:
    """All rows of a partition between two keys, page by page."""
    rows: list[Entity] = []
    while True:
        page = await store.query(table, partition, after=after, before=before, limit=PAGE)
        rows.extend(page)
        if len(page) < PAGE:
            return rows
        after = page[-1].row
