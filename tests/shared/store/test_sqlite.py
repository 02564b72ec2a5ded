"""What only the SQLite store does: its file, its thread, other processes in its way."""

import asyncio
import sqlite3
import stat
import sys
import threading

import pytest

from shared.errors import StoreUnavailable
from shared.store import sqlite
from shared.store.sqlite import SqliteStore
from tests.shared.store.contract import row
from tests.support.timing import patience


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
async def store(path):
    store = SqliteStore(path, timeout_s=0.2)
    yield store
    await store.close()


async def test_nothing_is_made_before_the_first_use(store, path):
    assert not path.exists()
    await store.get("calls", "p", "r")
    assert path.exists()


async def test_only_the_owner_can_read_the_files(store, path):
    await store.insert("calls", row())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(["store.db", "store.db-wal", "store.db-shm"], 0o600)


async def test_the_loop_goes_on_while_the_store_waits(store, path):
    await store.insert("calls", row())
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            await asyncio.sleep(0.001)
            beats += 1

    async with asyncio.TaskGroup() as group:
        heart = group.create_task(beat())
        with locked(path), pytest.raises(StoreUnavailable):
            await store.insert("calls", row("other"))
        heart.cancel()
    assert beats > 5
    assert [each.name for each in threading.enumerate()].count("sqlite-store_0") == 1


class locked:
    """The database with a writer that does not finish."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self):
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.connection.close()


async def test_another_process_that_keeps_the_file_locked(store, path):
    await store.insert("calls", row(a=1))
    with locked(path):
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.insert("calls", row("other"))
        assert (await store.get("calls", "p", "r")).values == {"a": 1}  # WAL: readers go on
    await store.insert("calls", row("other"))


async def test_it_waits_for_a_lock_that_is_given_back(path):
    store = SqliteStore(path, timeout_s=patience(10))
    await store.insert("calls", row())
    with locked(path):
        waiting = asyncio.ensure_future(store.insert("calls", row("other")))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await waiting
    await store.close()


async def test_opening_waits_while_another_process_has_the_file_to_itself(path):
    """The switch to WAL does not wait by itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE other (a)")
    connection.execute("BEGIN EXCLUSIVE")
    store = SqliteStore(path, timeout_s=patience(10))
    waiting = asyncio.ensure_future(store.insert("calls", row()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    connection.close()
    assert await waiting
    await store.close()


async def test_a_file_that_stays_locked_at_the_start(store, path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE other (a)")
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        await store.insert("calls", row())
    connection.close()
    await store.insert("calls", row())


@pytest.mark.parametrize("make", ["no database", "folder", "no folder"])
async def test_a_place_that_cannot_be_one(tmp_path, path, make):
    match make:
        case "no database":
            path.write_bytes(b"this is something else, and long enough to be looked at" * 100)
        case "folder":
            path.mkdir()
        case "no folder":
            (tmp_path / "file").touch()
            path = tmp_path / "file" / "store.db"
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.insert("calls", row())
    await store.close()


async def test_a_worker_that_hangs(store, monkeypatch):
    release = threading.Event()
    execute = store._execute
    monkeypatch.setattr(store, "_execute", lambda *_: release.wait(patience(30)))
    with pytest.raises(StoreUnavailable, match="in time"):
        await store.get("calls", "p", "r")
    waiting = asyncio.ensure_future(store.get("calls", "p", "r"))
    with pytest.raises(StoreUnavailable, match="in time"):
        await waiting
    release.set()
    monkeypatch.setattr(store, "_execute", execute)
    assert await store.get("calls", "p", "r") is None


async def test_the_queue_before_the_worker_is_bounded(store, monkeypatch):
    monkeypatch.setattr(sqlite, "MAX_WAITING", 3)
    results = await asyncio.gather(*(store.get("calls", "p", "r") for _ in range(5)), return_exceptions=True)
    assert results[:3] == [None] * 3
    assert [type(each) for each in results[3:]] == [StoreUnavailable] * 2
    assert await store.get("calls", "p", "r") is None


async def test_what_was_acknowledged_survives_a_killed_process(path):
    program = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from shared.store.sqlite import SqliteStore\n"
        "from shared.store import Entity\n"
        "async def main():\n"
        "    store = SqliteStore(Path(sys.argv[1]))\n"
        "    for number in range(50):\n"
        "        await store.insert('calls', Entity('p', f'{number:02}', {}))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path))
    async with asyncio.timeout(patience(30)):
        assert await process.wait() == -9
    store = SqliteStore(path)
    assert len(await store.query("calls", "p")) == 50
    await store.close()


async def test_both_retries_of_the_switch_to_wal(monkeypatch):
    """An error that is no lock is not waited for; a lock is, until the time is over."""

    def failing(code):
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = code

        def action():
            calls.append(code)
            raise error

        return action

    for code, timeout_s in ((sqlite3.SQLITE_IOERR, patience(10)), (sqlite3.SQLITE_BUSY_RECOVERY, 0.01)):
        calls = []
        with pytest.raises(sqlite3.OperationalError):
            sqlite._retry_locked(failing(code), timeout_s)
        assert (len(calls) > 1) == (code == sqlite3.SQLITE_BUSY_RECOVERY)
