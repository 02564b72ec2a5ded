"""kill -9 at every write of create, claim and complete: done again, it comes to the same, and nothing leaks."""

import asyncio
import signal
import sys

import pytest

from shared.store.sqlite import SqliteStore
from shared.transfers.record import Status
from tests.shared.transfers import killed
from tests.support.timing import patience

ROOT = killed.Path(__file__).parents[3]
POINTS = [
    ("create", 0),
    ("create", 1),  # the transfer has a row, and no number
    ("create", 2),  # the number is assigned, the transfer does not know it
    ("create", 3),
    ("claim", 0),
    ("claim", 1),  # the call has the transfer, the number is not released
    ("claim", 2),
    ("complete", 0),
    ("complete", 2),
    ("complete", 4),  # the outcome is recorded, the transfer not completed
    ("complete", 5),
]


async def kill(database, step, writes) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.shared.transfers.killed", str(database), step, str(writes), cwd=ROOT
    )
    async with asyncio.timeout(patience(30)):
        return await process.wait()


@pytest.mark.parametrize(("step", "writes"), POINTS)
async def test_killed(tmp_path, step, writes):
    database = tmp_path / "store.db"
    store = SqliteStore(database)
    now = killed.START
    pool = killed.NumberPool(store, lambda: now)
    await pool.add(killed.NUMBER, "US")
    steps = list(killed.STEPS)
    for earlier in steps[: steps.index(step)]:
        await killed.STEPS[earlier](store, lambda: now)
    assert await kill(database, step, writes) == -signal.SIGKILL
    now += 3
    done = await killed.STEPS[step](store, lambda: now)  # the client, Event Grid or a reader asks again
    assert done.status(now) is [Status.ACTIVE, Status.ONGOING, Status.COMPLETED][steps.index(step)]
    assert done.number == killed.NUMBER
    for later in steps[steps.index(step) + 1 :]:
        done = await killed.STEPS[later](store, lambda: now)
    assert done.status(now) is Status.COMPLETED
    assert done.output.transfer_variables == {"n": "7"}
    now += 200
    [number] = await pool.list()
    assert number.state(now) == "free"
    await store.close()


@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_a_client_that_never_asks_again_leaks_no_number(tmp_path, writes):
    database = tmp_path / "store.db"
    store = SqliteStore(database)
    now = killed.START
    pool = killed.NumberPool(store, lambda: now)
    await pool.add(killed.NUMBER, "US")
    assert await kill(database, "create", writes) == -signal.SIGKILL
    now += 120
    [number] = await pool.list()
    assert number.state(now) == "free"
    other = killed.NewTransfer("t2", "conversation", killed.TransferKind.PHONE_NUMBER, "US")
    made = await killed.transfers(store, lambda: now).create("globex", other)
    assert made.number == killed.NUMBER
    refused = await killed.transfers(store, lambda: now).claim(
        "acme", "t1", call_key="k", call_id="c", event_at=now
    )
    assert refused in ("expired", "unknown")
    await store.close()
