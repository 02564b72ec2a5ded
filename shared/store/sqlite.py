"""The entity store in one SQLite file: for one machine, several processes.

Every operation is one SQL statement, so it is atomic without a transaction of ours; WAL lets readers go on while one
process writes. A killed process loses nothing that was acknowledged; a power cut may lose the last moments
(`synchronous=NORMAL`). Blocking calls run on one worker thread, never on the event loop.
"""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from shared.errors import EntityChanged, EntityExists, StoreUnavailable
from shared.store.checks import check_bounds, check_entity, check_key, check_table
from shared.store.entities import Entity
from shared.telemetry import metrics

MAX_WAITING = 1000
"""Operations that may wait for the worker thread; one more is refused at once."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS entities (
        tbl TEXT NOT NULL, part TEXT NOT NULL, row TEXT NOT NULL, etag TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (tbl, part, row)
    ) STRICT
"""


class SqliteStore:
    """An `EntityStore` in the file `path`; folder and file are made on first use, the file for its owner only.

    Args:
        path: the database file; `-wal` and `-shm` files stand beside it.
        timeout_s: how long an operation may wait for other writers and for its turn (s).
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        self._connection: sqlite3.Connection | None = None
        self._waiting = 0
        self._closed = False

    async def get(self, table: str, partition: str, row: str) -> Entity | None:
        """The entity, or None."""
        _check(table, partition, row)
        found = await self._run(
            "SELECT row, etag, data FROM entities WHERE tbl=? AND part=? AND row=?", (table, partition, row)
        )
        return _entity(partition, found[0]) if found else None

    async def insert(self, table: str, entity: Entity) -> str:
        """Insert if absent and return the new etag; raises EntityExists."""
        data, etag = _prepare(table, entity)
        done = await self._run(
            "INSERT INTO entities (tbl, part, row, etag, data) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING etag",
            (table, entity.partition, entity.row, etag, data),
        )
        if not done:
            raise EntityExists(f"{table} already has this entity")
        return etag

    async def replace(self, table: str, entity: Entity) -> str:
        """Replace all values if the etag still matches and return the new one; raises EntityChanged."""
        data, etag = _prepare(table, entity)
        done = await self._run(
            "UPDATE entities SET etag=?, data=? WHERE tbl=? AND part=? AND row=? AND etag=? RETURNING etag",
            (etag, data, table, entity.partition, entity.row, entity.etag),
        )
        if not done:
            raise EntityChanged(f"the entity in {table} has changed or is gone")
        return etag

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """Delete; with `etag` only if it still matches (else EntityChanged)."""
        _check(table, partition, row)
        done = await self._run(
            "DELETE FROM entities WHERE tbl=? AND part=? AND row=? AND coalesce(?, etag)=etag RETURNING etag",
            (table, partition, row, etag),
        )
        if etag is not None and not done:
            raise EntityChanged(f"the entity in {table} has changed or is gone")

    async def query(
        self, table: str, partition: str, *, after: str = "", before: str = "", limit: int = 1000
    ) -> Sequence[Entity]:
        """Entities of one partition in the order of their row keys, `after` < row < `before`, at most `limit`."""
        check_table(table)
        check_key("partition", partition)
        check_bounds(after, before, limit)
        found = await self._run(
            "SELECT row, etag, data FROM entities WHERE tbl=? AND part=? AND row>? AND (?='' OR row<?) "
            "ORDER BY row LIMIT ?",
            (table, partition, after, before, before, limit),
        )
        return [_entity(partition, each) for each in found]

    async def close(self) -> None:
        """Close the file; idempotent. What is under way ends first; later operations raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._worker, self._disconnect)
        self._worker.shutdown(wait=False)

    async def _run(self, statement: str, values: tuple[str | int | None, ...]) -> list[tuple[str, ...]]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable("too many operations are waiting for the store")
        self._waiting += 1
        try:
            # Twice: the turn in the queue, then SQLite's own wait for another process.
            async with asyncio.timeout(2 * self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(
                    self._worker, self._execute, statement, values
                )
        except TimeoutError:
            metrics.STORE_ERRORS.add(store="sqlite")
            raise StoreUnavailable("the store did not answer in time") from None
        except (sqlite3.Error, OSError) as error:
            metrics.STORE_ERRORS.add(store="sqlite")
            raise StoreUnavailable(f"the store does not answer: {error}") from error
        finally:
            self._waiting -= 1

    def _execute(self, statement: str, values: tuple[str | int | None, ...]) -> list[tuple[str, ...]]:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.execute(statement, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
        try:
            _retry_locked(lambda: connection.execute("PRAGMA journal_mode=WAL"), self._timeout_s)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_SCHEMA)
        except BaseException:  # interrupted too: no file stays open; raised on
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _retry_locked(action: Callable[[], object], timeout_s: float) -> None:
    """The switch to WAL does not wait for other processes by itself (sqlite.org/wal.html, section 5)."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


def _check(table: str, partition: str, row: str) -> None:
    check_table(table)
    check_key("partition", partition)
    check_key("row", row)


def _prepare(table: str, entity: Entity) -> tuple[str, str]:
    """The values as JSON (which tells 1 from 1.0 and from true), and a new etag."""
    check_table(table)
    return json.dumps(check_entity(entity), ensure_ascii=False), uuid4().hex


def _entity(partition: str, found: tuple[str, ...]) -> Entity:
    row, etag, data = found
    return Entity(partition, row, json.loads(data), etag)
