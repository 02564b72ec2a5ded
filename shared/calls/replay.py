"""Tokens that may be used once: whoever inserts a token's `jti` first has used it up.

Table `jti`, one partition; rows sort by expiry, so that the sweep finds the old ones without reading the others.
"""

from shared.calls.events import row_key
from shared.calls.repository import all_rows, insert_once
from shared.store.entities import EntityStore

TABLE, PARTITION = "jti", "spent"


async def spend(store: EntityStore, jti: str, expires_at: float) -> bool:
    """Use up a token; False when it was used before. `expires_at` (Unix seconds) is the token's own, signed `exp`.

    Raises:
        StoreUnavailable: then nobody can know, so the door stays closed.
    """
    row = f"{int(expires_at):012d}-{row_key(jti)}"
    return await insert_once(store, TABLE, PARTITION, row, {"jti": row_key(jti)})


async def forget_spent(store: EntityStore, older_than: float) -> int:
    """Delete rows of tokens that expired before `older_than` (Unix seconds); how many."""
    rows = await all_rows(store, TABLE, PARTITION, before=f"{int(older_than):012d}")
    for row in rows:
        await store.delete(TABLE, PARTITION, row.row)
    return len(rows)
