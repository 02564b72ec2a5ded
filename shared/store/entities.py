"""The entity protocol: five operations, and every race is settled by two of them.

An entity is found by table, partition key and row key; its values are flat. Whoever wants to be first inserts; whoever
wants to change what it has read replaces with the etag that it read. There are no locks and no read-then-write.
Two implementations (`sqlite`, `tables`) pass the same contract suite (`tests/shared/store/test_contract.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

type Value = str | int | float | bool
"""What a property may hold: text (32,000 characters at most, a limit of Azure Tables), int (64 bit), finite float, bool."""


@dataclass(frozen=True, slots=True)
class Entity:
    r"""One row.

    Attributes:
        partition: partition key, 1-512 characters, none of `/ \\ # ?`, no control character, none beyond U+FFFF.
        row: row key, with the same rules; rows of a partition are returned in its order (code points).
        values: the properties.
        etag: opaque version; empty on an entity that was not read from a store.
    """

    partition: str
    row: str
    values: Mapping[str, Value] = field(default_factory=dict)
    etag: str = ""


class EntityStore(Protocol):
    """What a store must do.

    All methods raise `StoreUnavailable` when the store does not answer within its time-out; whether a write has been carried
    out is then unknown. They raise `InvalidInput` for a table, key, value or bound that no store takes (see `checks`).
    Tables (3-63 of a-z and 0-9, a letter first) need not be created.
    """

    async def get(self, table: str, partition: str, row: str) -> Entity | None:
        """The entity, or None."""

    async def insert(self, table: str, entity: Entity) -> str:
        """Insert if absent and return the new etag.

        Raises:
            EntityExists: there is one with this key; nothing was changed.
        """

    async def replace(self, table: str, entity: Entity) -> str:
        """Replace all values if the stored etag is still `entity.etag`, and return the new etag.

        Raises:
            EntityChanged: the etag is another by now, or the entity is gone; nothing was changed.
        """

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """Delete; with `etag` only if it still matches. Deleting what is not there is no error (without `etag`).

        Raises:
            EntityChanged: `etag` was given and does not match any more, or the entity is gone.
        """

    async def query(
        self, table: str, partition: str, *, after: str = "", before: str = "", limit: int = 1000
    ) -> Sequence[Entity]:
        """At most `limit` (1-10,000) entities of one partition by row key: `after` < row < `before` ("" = no bound)."""

    async def close(self) -> None:
        """Give back connections; idempotent."""
