"""The outbox: what is still to be published, one row each, written before the call's snapshot says that it is known.

Table `outbox`, one partition, row `CALL.KIND`. Whoever brings a call's snapshot up to date (the function app or a media host)
adds the rows; the function app publishes and deletes them. A process that dies in between leaves a snapshot that does not
name the announcement, or a row that the sweep finds: so each is published at least once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.calls.record import CallRecord
from shared.calls.repository import insert_once
from shared.store.entities import EntityStore

TABLE, PARTITION = "outbox", "events"

PAGE = 50
"""Rows that are read, and published in one request: far below Event Grid's 1 MB."""


class Kind(StrEnum):
    """What is told."""

    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    TRANSFER_COMPLETED = "call-transfer.completed"
    RECORDING_READY = "recording.ready"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One row: `kind` of the call `call_id` of `tenant`, found at `at` (Unix seconds)."""

    tenant: str
    call_id: str
    kind: Kind
    at: float

    @property
    def row(self) -> str:
        """Its row key."""
        return f"{self.call_id}.{self.kind}"


def due(record: CallRecord) -> list[Kind]:
    """What a call gives reason to tell, by its record."""
    found = {
        Kind.CALL_ANSWERED: record.answered_at is not None or record.connected_at is not None,
        Kind.CALL_ENDED: record.released,
        Kind.TRANSFER_COMPLETED: record.transfer_id != "" and (record.outcome is not None or not record.live),
        Kind.RECORDING_READY: record.recording is not None,
    }
    return [kind for kind, is_due in found.items() if is_due]


def _nobody(_call_id: str) -> None:
    """A media host adds rows and publishes none."""


@dataclass(slots=True)
class Outbox:
    """Adds, lists and deletes rows.

    Attributes:
        store: where they are.
        now: Unix seconds.
        added: called with the call's id when it has a new row.
    """

    store: EntityStore
    now: Callable[[], float]
    added: Callable[[str], None] = _nobody

    async def note(self, tenant: str, call_id: str, record: CallRecord, known: str) -> str:
        """Add what is due and not yet in `known`; returns the new `known`, for the call's snapshot.

        Args:
            tenant: whose call.
            call_id: which.
            record: as it is now.
            known: kinds that were added before, with blanks between them.
        """
        before = known.split()
        new = [kind for kind in due(record) if kind not in before]
        for kind in new:
            row = f"{call_id}.{kind}"
            values = {"tenant": tenant, "callId": call_id, "kind": kind.value, "at": self.now()}
            await insert_once(self.store, TABLE, PARTITION, row, values)
        if new:
            self.added(call_id)
        return " ".join([*before, *new])

    async def of_call(self, call_id: str) -> Sequence[Announcement]:
        """A call's rows."""
        return await self._query(f"{call_id}.", f"{call_id}.~")

    async def page(self, after: str = "") -> Sequence[Announcement]:
        """The first rows behind the key `after`, at most `PAGE`."""
        return await self._query(after, "")

    async def delete(self, announcement: Announcement) -> None:
        """It is published; idempotent."""
        await self.store.delete(TABLE, PARTITION, announcement.row)

    async def _query(self, after: str, before: str) -> Sequence[Announcement]:
        rows = await self.store.query(TABLE, PARTITION, after=after, before=before, limit=PAGE)
        return [
            Announcement(
                str(row.values["tenant"]),
                str(row.values["callId"]),
                Kind(str(row.values["kind"])),
                float(row.values["at"]),
            )
            for row in rows
        ]
