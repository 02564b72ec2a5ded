"""How many calls a tenant may begin in a minute: what makes stolen credentials cheap.

Table `placed`, partition tenant, row call id (newest first). As with admission, a call's place is the number of older ones,
so of a burst exactly the first ones get in, whoever counts first.
"""

from shared.calls.repository import PAGE, insert_once, new_call_id
from shared.errors import LimitReached
from shared.store.entities import EntityStore

TABLE = "placed"
WINDOW_S = 60.0


async def take_turn(store: EntityStore, tenant: str, call_id: str, limit: int, now: float) -> None:
    """Count the call; the same one may be counted again.

    Raises:
        LimitReached: `limit` calls have begun in the 60 s before it; it is not counted.
    """
    await insert_once(store, TABLE, tenant, call_id, {"at": now})
    older = await store.query(TABLE, tenant, after=call_id, before=_since(now), limit=limit)
    if len(older) >= limit:
        await store.delete(TABLE, tenant, call_id)
        raise LimitReached(f"at most {limit} calls may begin in a minute")


async def give_turn_back(store: EntityStore, tenant: str, call_id: str) -> None:
    """The call was not made after all; idempotent."""
    await store.delete(TABLE, tenant, call_id)


async def forget_turns(store: EntityStore, tenant: str, now: float) -> int:
    """Delete what no longer counts; how many."""
    old = await store.query(TABLE, tenant, after=_since(now), limit=PAGE)
    for row in old:
        await store.delete(TABLE, tenant, row.row)
    return len(old)


def _since(now: float) -> str:
    """The start of the ids of calls that began when the window of `now` did."""
    return new_call_id(now - WINDOW_S)[:12]
