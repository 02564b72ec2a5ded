"""Exactly one answer: whoever inserts a call's claim first handles it.

Event Grid delivers at least once, in parallel too, and a process may die between the claim and the acknowledgement. So a
claim is a lease: it is renewed by replace-if-match by one later delivery, and only after `LEASE_S`, or when its holder
gave it back. That delivery goes on with the same call id and so sends ACS the same Repeatability-Request-ID.

Table `claims`, partition tenant, row SHA-256 of the call's ids and of who was dialled (after a redirect the same call
comes to another address, and is another one for us).
"""

import hashlib
from dataclasses import dataclass

from shared.calls.repository import all_rows, new_call_id
from shared.errors import EntityChanged, EntityExists
from shared.store.entities import Entity, EntityStore
from shared.wire.acs_events import IncomingCall

LEASE_S = 5.0
"""Seconds a delivery may take; Event Grid's first retry comes after 10 s."""

KEEP_S = 24 * 3600.0
"""Seconds a claim is remembered: Event Grid retries for 24 h at most."""

TABLE = "claims"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to handle one call; `first_at` is when it was first claimed (Unix seconds), `taken_over` by a later delivery."""

    tenant: str
    key: str
    call_id: str
    first_at: float
    taken_over: bool


def claim_key(call: IncomingCall) -> str:
    """The row key of a call's claim: the same for every delivery of the same ringing."""
    text = "\n".join((call.correlation_id or call.server_call_id, call.callee.raw_id))
    return hashlib.sha256(text.encode()).hexdigest()


async def claim(
    store: EntityStore, tenant: str, call: IncomingCall, now: float, *, fresh: bool = True
) -> Claim | None:
    """Claim the call, or None when another delivery holds the claim. `fresh` False only takes over, never begins.

    Raises:
        StoreUnavailable: nobody can know whether the call is taken, so it is not answered now.
    """
    key = claim_key(call)
    begun = Entity(tenant, key, {"callId": new_call_id(now), "firstAt": float(now), "at": float(now)})
    if fresh:
        try:
            await store.insert(TABLE, begun)
        except EntityExists:
            pass
        else:
            return Claim(tenant, key, str(begun.values["callId"]), now, False)
    known = await store.get(TABLE, tenant, key)
    if known is None or now - float(known.values["at"]) < LEASE_S:
        return None
    try:
        await store.replace(TABLE, Entity(tenant, key, {**known.values, "at": float(now)}, known.etag))
    except EntityChanged:
        return None
    return Claim(tenant, key, str(known.values["callId"]), float(known.values["firstAt"]), True)


async def give_back(store: EntityStore, held: Claim) -> None:
    """End the lease now, so that a redelivery may try at once."""
    known = await store.get(TABLE, held.tenant, held.key)
    if known is None:
        return
    try:
        await store.replace(TABLE, Entity(held.tenant, held.key, {**known.values, "at": 0.0}, known.etag))
    except EntityChanged:
        return  # somebody holds it again already


async def forget_claims(store: EntityStore, tenant: str, now: float) -> int:
    """Delete old claims of one 256th of the key space, a different one every 15 s; how many.

    Keys are hashes, so time cannot be read from them; a full round takes about an hour.
    """
    first = int(now // 15) % 256
    rows = await all_rows(store, TABLE, tenant, after=f"{first:02x}", before=f"{first:02x}g")
    old = [row for row in rows if now - float(row.values["firstAt"]) > KEEP_S]
    for row in old:
        await store.delete(TABLE, tenant, row.row)
    return len(old)
