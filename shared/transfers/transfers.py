"""Call transfers in the store: create, claim, read.

Table `transfers`, partition tenant, row the transfer's id. What is written first decides: a transfer's row before its number,
the transfer's claim before the number's release. So a process that dies between two writes leaves a state that the same
request, or time alone, puts right (the labelled points are in tests/shared/transfers/test_crashes.py).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.calls.events import CallEvent, EventKind, pack, row_key, unpack
from shared.calls.record import fold
from shared.calls.repository import Calls
from shared.errors import Conflict, EntityChanged, EntityExists, NotFound
from shared.store.entities import Entity, EntityStore
from shared.transfers.numbers import NumberPool
from shared.transfers.record import (
    CallTransfer,
    OutputContext,
    Refusal,
    Status,
    TransferKind,
    activated,
    begun,
    claimed,
    completed,
    expired,
    may_begin_anew,
    strings,
)

TABLE = "transfers"

LIFETIME_S = 60.0
"""How long a call may take to come (requirement 122)."""

LOST_S = 120.0
"""After so long (s) a call that took a transfer and then left no trace at all is given up: whoever answered it has died."""


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """What a client asks for; see `CallTransfer`."""

    id: str
    conversation_id: str
    kind: TransferKind
    country: str = ""
    task_name: str = ""
    input_variables: dict[str, str] | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same request."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Transfers:
    """The resource.

    Args:
        store: where transfers are.
        pool: the numbers.
        calls: where their calls are.
        now: Unix seconds.
        lifetime_s: from creation to expiry (s).
    """

    def __init__(
        self,
        store: EntityStore,
        pool: NumberPool,
        calls: Calls,
        now: Callable[[], float],
        *,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self._store = store
        self._pool = pool
        self._calls = calls
        self._now = now
        self._lifetime_s = lifetime_s

    async def create(self, tenant: str, asked: NewTransfer) -> CallTransfer:
        """Create a transfer; asked again with the same content, it is the same transfer, however far that has got.

        Raises:
            Conflict: the id belongs to another request.
            NotFound: there is no number of that country at all.
            PoolExhausted: no number is free now; the id may be used again.
            StoreUnavailable: nobody can say how far it came: ask again.
        """
        new = _fresh(tenant, asked)
        try:
            etag = await self._store.insert(TABLE, _to_entity(new, ""))
        except EntityExists:
            found = await self._read(tenant, asked.id)
            if found is None:
                return await self.create(tenant, asked)  # given back by whoever made it
            known, etag = found
            if known.fingerprint != new.fingerprint:
                raise Conflict("this id belongs to another transfer") from None
            if known.created_at is not None:
                return await self._settled(known, etag)
        return await self._activate(new, etag)

    async def _activate(self, new: CallTransfer, etag: str) -> CallTransfer:
        number = ""
        if new.kind is TransferKind.PHONE_NUMBER:
            try:
                assigned = await self._pool.assign(new.country, new.tenant, new.id, self._lifetime_s)
            except Exception:  # no number: as if it had never been asked for; raised on
                await self._forget(new, etag)
                raise
            number = assigned.number
        ready = activated(new, number, self._now(), self._lifetime_s)
        try:
            await self._store.replace(TABLE, _to_entity(ready, etag))
        except EntityChanged:
            # The same request, sent twice at once: the other one was faster, and its number counts.
            await self._give_back_spare(new, number)
            return await self.get(new.tenant, new.id)
        return ready

    async def _give_back_spare(self, new: CallTransfer, number: str) -> None:
        found = await self._read(new.tenant, new.id)
        if found is None or found[0].number != number:
            await self._pool.release(number, new.tenant, new.id)

    async def _forget(self, new: CallTransfer, etag: str) -> None:
        try:
            await self._store.delete(TABLE, new.tenant, row_key(new.id), etag=etag)
        except EntityChanged:
            return  # a parallel request got a number after all

    async def get(self, tenant: str, transfer_id: str) -> CallTransfer:
        """The transfer as it stands now: expiry and outcome are found here, and kept.

        Raises:
            NotFound: this tenant has no such transfer.
        """
        found = await self._read(tenant, transfer_id)
        if found is None or found[0].created_at is None:
            raise NotFound("no such call transfer")
        return await self._settled(*found)

    async def claim(
        self, tenant: str, transfer_id: str, *, call_key: str, call_id: str, event_at: float
    ) -> CallTransfer | Refusal:
        """Give the transfer to a call, once; its number is free for the next one after the quarantine."""
        while True:
            found = await self._read(tenant, transfer_id)
            if found is None:
                return Refusal.UNKNOWN
            known, etag = found
            taken = claimed(known, call_key=call_key, call_id=call_id, event_at=event_at, now=self._now())
            if isinstance(taken, Refusal):
                return taken
            if taken != known:
                try:
                    await self._store.replace(TABLE, _to_entity(taken, etag))
                except EntityChanged:
                    continue
            if taken.number:
                await self._pool.release(taken.number, tenant, transfer_id)
            return taken

    async def begin(self, tenant: str, asked: NewTransfer, *, call_key: str, call_id: str) -> CallTransfer:
        """Begin a transfer of kind TWILIO together with its call: it is ONGOING at once.

        One that this Twilio call (`call_key`, its CallSid) has completed is begun anew: the caller has come back to the agent.

        Raises:
            Conflict: the id belongs to a transfer of another kind or another call, or its call goes on.
        """
        new = begun(_fresh(tenant, asked), call_key, call_id, self._now())
        while True:
            found = await self._read(tenant, asked.id)
            if found is not None:
                known, etag = found
                if not may_begin_anew(known, call_key):
                    if may_begin_anew(await self._settled(known, etag), call_key):
                        continue  # nobody had asked for its outcome yet
                    raise Conflict("this id belongs to another transfer, or its call goes on")
            try:
                if found is None:
                    await self._store.insert(TABLE, _to_entity(new, ""))
                else:
                    await self._store.replace(TABLE, _to_entity(new, etag))
            except (EntityExists, EntityChanged):
                continue
            return new

    async def _settled(self, known: CallTransfer, etag: str) -> CallTransfer:
        """With what time or the call has made of it since; whoever comes first writes it down."""
        while True:
            status = known.status(self._now())
            if status is Status.EXPIRED:
                changed = expired(known, self._now())
            elif status is Status.ONGOING:
                changed = await self._with_outcome(known)
            else:
                return known
            if changed == known:
                return known
            try:
                await self._store.replace(TABLE, _to_entity(changed, etag))
                return changed
            except EntityChanged:
                found = await self._read(known.tenant, known.id)
                if found is None:
                    raise NotFound("no such call transfer") from None
                known, etag = found

    async def _with_outcome(self, known: CallTransfer) -> CallTransfer:
        events = await self._calls.events(known.call_id)
        found = outcome_of(events)
        if not events and self._now() - (known.call_received_at or 0.0) > LOST_S:
            found = OutputContext("AGENT", known.task_name, {"error": "call_lost"}), self._now()
        return known if found is None else completed(known, *found)

    async def _read(self, tenant: str, transfer_id: str) -> tuple[CallTransfer, str] | None:
        row = await self._store.get(TABLE, tenant, row_key(transfer_id))
        return None if row is None else (unpack(row.values, CallTransfer), row.etag)


def _fresh(tenant: str, asked: NewTransfer) -> CallTransfer:
    return CallTransfer(
        id=asked.id,
        tenant=tenant,
        conversation_id=asked.conversation_id,
        kind=asked.kind,
        fingerprint=asked.fingerprint,
        country=asked.country,
        task_name=asked.task_name,
        input_variables=dict(asked.input_variables or {}),
    )


def outcome_of(events: Sequence[CallEvent]) -> tuple[OutputContext, float] | None:
    """What a call has come to, and when; None while it goes on.

    It is there as soon as the agent has said so, before our leg hangs up (requirement 126). A call that ended without an
    outcome and not by its caller fails to a person (race R6).
    """
    record = fold(events)
    if record.outcome is not None:
        said = min((event.at for event in events if event.kind is EventKind.OUTCOME), default=record.ended_at)
        return _output(record.outcome), said or 0.0
    if record.live:
        return None
    reason = record.ended.reason if record.ended else record.state.value
    failed = OutputContext("AGENT", record.task, {"error": reason})
    return failed, record.ended_at or record.last_at or 0.0


def _output(outcome: Mapping[str, object]) -> OutputContext:
    def variables(name: str) -> dict[str, str]:
        found = outcome.get(name)
        return strings(found) if isinstance(found, Mapping) else {}

    return OutputContext(
        outcome["transferType"],  # type: ignore[arg-type]  # one of the three: `record.fold` made it
        str(outcome.get("currentTaskName", "")),
        variables("referenceVariables"),
        variables("transferVariables"),
    )


def _to_entity(transfer: CallTransfer, etag: str) -> Entity:
    return Entity(transfer.tenant, row_key(transfer.id), pack(transfer), etag)
