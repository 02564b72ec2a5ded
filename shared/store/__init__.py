"""Where everything that must outlive a process is kept: one small entity protocol over SQLite or Azure Tables."""

from pathlib import Path

from shared.errors import ConfigurationError
from shared.store.entities import Entity, EntityStore, Value

__all__ = ["Entity", "EntityStore", "Value", "open_store"]


def open_store(address: str, managed_identity: str = "") -> EntityStore:
    """The store at `address` (the setting PATCHCORD_STORE); nothing is opened or called before its first use.

    Args:
        address: `sqlite:PATH`, a storage connection string (also `UseDevelopmentStorage=true`), or
            `https://ACCOUNT.table.core.windows.net` for Azure Tables by managed identity.
        managed_identity: client id of the user-assigned identity, or "" for the default chain.

    Raises:
        ConfigurationError: the address has none of these forms. It is not shown, since it may hold a key.
    """
    scheme, _, path = address.partition(":")
    if scheme == "sqlite" and path:
        from shared.store.sqlite import SqliteStore

        return SqliteStore(Path(path))
    if scheme == "https" or "=" in address:
        from shared.store.tables import TablesStore

        return TablesStore(address, managed_identity)
    raise ConfigurationError("PATCHCORD_STORE", "sqlite:PATH, https://ACCOUNT.table.… or a connection string")
