"""The pool of temporary numbers: who may be called at which number, until when.

Table `numbers`, one partition, row the E.164 number. A number is assigned by replace-if-match on a random free row: random
because allocators that all want the first free one mostly lose (twilio-and-transfers.md 2F has the measurement). Nothing
waits for a timer: a number whose transfer was never called is free again when its time, the grace and the quarantine are over.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.calls.repository import all_rows
from shared.errors import Conflict, EntityChanged, EntityExists, InvalidInput, NotFound, Unavailable
from shared.settings import E164
from shared.store.entities import Entity, EntityStore, Value
from shared.transfers.record import GRACE_S

TABLE, PARTITION = "numbers", "pool"

QUARANTINE_S = 45.0
"""How long a number rests after use, so that a late delivery of its last call meets no new owner: Event Grid waits 30 s for
an answer and delivers again after 10 s (race R9); also between tenants (R11)."""

type State = Literal["free", "assigned", "quarantine", "disabled"]


class PoolExhausted(Unavailable):
    """No number of that country is free now."""

    code = "503-06"


@dataclass(frozen=True, slots=True)
class PoolNumber:
    """One number. Times are Unix seconds.

    Attributes:
        number: E.164.
        country: ISO 3166, two letters.
        disabled: taken out of use by an operator.
        tenant, transfer_id: its owner; after a release its last one, so that the owner's own call, delivered again, is
            known, and any other is refused.
        assigned_at, expires_at: of the present or last assignment.
        free_at: from when it may be assigned again; 0 while it is assigned.
    """

    number: str
    country: str
    disabled: bool = False
    tenant: str = ""
    transfer_id: str = ""
    assigned_at: float = 0.0
    expires_at: float = -1e9
    free_at: float = 0.0
    etag: str = ""

    def state(self, now: float, quarantine_s: float = QUARANTINE_S) -> State:
        """What the number is doing at `now`."""
        if self.transfer_id and not self.free_at and now < self.expires_at + GRACE_S:
            return "assigned"
        if now < (self.free_at or self.expires_at + GRACE_S + quarantine_s):
            return "quarantine"
        return "disabled" if self.disabled else "free"


class NumberPool:
    """All numbers.

    Args:
        store: where they are.
        now: Unix seconds.
        quarantine_s: seconds between two owners.
        choice: picks one of several free numbers.
    """

    def __init__(
        self,
        store: EntityStore,
        now: Callable[[], float],
        *,
        quarantine_s: float = QUARANTINE_S,
        choice: Callable[[Sequence[PoolNumber]], PoolNumber] = random.choice,
    ) -> None:
        self._store = store
        self._now = now
        self._quarantine_s = quarantine_s
        self._choice = choice

    async def add(self, number: str, country: str) -> None:
        """Put a number into the pool; one that is there already and disabled is used again.

        Raises:
            InvalidInput: no E.164 number, or no country code.
            Conflict: it is there already, for another country.
        """
        if not E164.fullmatch(number):
            raise InvalidInput("number", "an E.164 number such as +18005550100")
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise InvalidInput("country", "two letters (ISO 3166) such as US")
        new = PoolNumber(number, country.upper())
        try:
            await self._store.insert(TABLE, _to_entity(new))
        except EntityExists:
            known = await self._change(number, lambda found: replace(found, disabled=False))
            if known.country != new.country:
                raise Conflict(f"{number} belongs to {known.country}") from None

    async def disable(self, number: str) -> None:
        """Assign it to nobody from now on; a transfer that has it keeps it until it is called or expires.

        Raises:
            NotFound: it is not in the pool.
        """
        await self._change(number, lambda found: replace(found, disabled=True))

    async def list(self) -> list[PoolNumber]:
        """All numbers, in order."""
        return [_from_entity(row) for row in await all_rows(self._store, TABLE, PARTITION)]

    async def get(self, number: str) -> PoolNumber | None:
        """The number, or None when it does not belong to the pool."""
        row = await self._store.get(TABLE, PARTITION, number) if E164.fullmatch(number) else None
        return None if row is None else _from_entity(row)

    async def assign(self, country: str, tenant: str, transfer_id: str, lifetime_s: float) -> PoolNumber:
        """A free number of `country` for a transfer, for `lifetime_s` seconds from now.

        A number that this very transfer was given before (the process died then) is given again.

        Raises:
            NotFound: there is no number of that country at all.
            PoolExhausted: none is free now.
        """
        while True:
            numbers = [number for number in await self.list() if number.country == country]
            if all(number.disabled for number in numbers):
                raise NotFound(f"no numbers of {country}")
            now = self._now()
            own = [
                number
                for number in numbers
                if not number.free_at and (number.tenant, number.transfer_id) == (tenant, transfer_id)
            ]
            free = own or [number for number in numbers if number.state(now, self._quarantine_s) == "free"]
            if not free:
                raise PoolExhausted(f"no number of {country} is free")
            taken = replace(
                self._choice(free),
                tenant=tenant,
                transfer_id=transfer_id,
                assigned_at=now,
                expires_at=now + lifetime_s,
                free_at=0.0,
            )
            try:
                etag = await self._store.replace(TABLE, _to_entity(taken))
                return replace(taken, etag=etag)
            except EntityChanged:
                continue  # somebody has it: look again, because by now others have gone too

    async def release(self, number: str, tenant: str, transfer_id: str) -> None:
        """The transfer needs the number no more (it was called): rest, then free. Not its number any more: nothing."""
        row = await self.get(number)
        if row is None or row.free_at or (row.tenant, row.transfer_id) != (tenant, transfer_id):
            return
        freed = replace(row, free_at=self._now() + self._quarantine_s)
        try:
            await self._store.replace(TABLE, _to_entity(freed))
        except EntityChanged:
            return await self.release(number, tenant, transfer_id)

    async def _change(self, number: str, change: Callable[[PoolNumber], PoolNumber]) -> PoolNumber:
        while True:
            known = await self.get(number)
            if known is None:
                raise NotFound(f"{number} is not in the pool")
            changed = change(known)
            try:
                if changed != known:
                    await self._store.replace(TABLE, _to_entity(changed))
                return changed
            except EntityChanged:
                continue


def _to_entity(number: PoolNumber) -> Entity:
    values: dict[str, Value] = {
        "country": number.country,
        "disabled": number.disabled,
        "tenant": number.tenant,
        "transferId": number.transfer_id,
        "assignedAt": number.assigned_at,
        "expiresAt": number.expires_at,
        "freeAt": number.free_at,
    }
    return Entity(PARTITION, number.number, values, number.etag)


def _from_entity(row: Entity) -> PoolNumber:
    values = row.values
    return PoolNumber(
        row.row,
        str(values["country"]),
        bool(values["disabled"]),
        str(values["tenant"]),
        str(values["transferId"]),
        float(values["assignedAt"]),
        float(values["expiresAt"]),
        float(values["freeAt"]),
        row.etag,
    )
