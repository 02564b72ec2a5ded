"""Whoever is first wins, alone: over several connections, and over several processes."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.shared.store.contract import row
from tests.shared.store.racers import delete, increment, insert, replace
from tests.support.timing import patience

ROOT = Path(__file__).parents[3]
RACERS = 16


@pytest.fixture
def stores(backend):
    """Two connections; racers take turns on them."""
    pair = backend.open(), backend.open()
    return [pair[index % 2] for index in range(RACERS)]


async def test_one_insert_wins(stores, backend):
    for number in range(5):
        won = await asyncio.gather(
            *(
                insert(store, backend.table, str(number), f"racer{index}")
                for index, store in enumerate(stores)
            )
        )
        found = await stores[0].get(backend.table, "race", str(number))
        assert [f"racer{index}" for index, each in enumerate(won) if each] == [found.values["winner"]]


async def test_one_replace_wins(stores, backend):
    await stores[0].insert(backend.table, row(winner="nobody"))
    for _ in range(5):
        read = await stores[0].get(backend.table, "p", "r")
        won = await asyncio.gather(
            *(replace(store, backend.table, read, f"racer{index}") for index, store in enumerate(stores))
        )
        found = await stores[0].get(backend.table, "p", "r")
        assert [f"racer{index}" for index, each in enumerate(won) if each] == [found.values["winner"]]


async def test_one_delete_wins(stores, backend):
    for _ in range(3):
        await stores[0].insert(backend.table, row())
        read = await stores[0].get(backend.table, "p", "r")
        won = await asyncio.gather(*(delete(store, backend.table, read) for store in stores))
        assert sum(won) == 1


async def test_no_increment_is_lost(stores, backend):
    await stores[0].insert(backend.table, row(count=0))
    async with asyncio.timeout(patience(30)):
        await asyncio.gather(*(increment(store, backend.table, "p", "r") for store in stores))
    assert (await stores[0].get(backend.table, "p", "r")).values == {"count": RACERS}


async def test_a_table_that_all_want_at_once(backend):
    """The first use of a table creates it, whoever comes first."""
    for number in range(3):
        table = f"{backend.table}n{number}"
        stores = [backend.open(), backend.open()]
        await asyncio.gather(*(stores[index % 2].insert(table, row(str(index))) for index in range(RACERS)))
        assert len(await stores[0].query(table, "p")) == RACERS


async def test_processes_race(backend):
    """Two processes, eight racers each: every race has one winner among all sixteen, and no increment is lost."""
    rounds = 10
    store = backend.open()
    await store.insert(backend.table, row("all", "count", count=0))
    processes = [
        await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.shared.store.racers",
                backend.address,
                backend.table,
                "8",
                str(rounds),
            ),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        async with asyncio.timeout(patience(60)):
            for process in processes:
                assert await process.stdout.readline() == b"ready\n"
            results = [
                json.loads(output)
                for output, _ in await asyncio.gather(*(p.communicate(b"\n") for p in processes))
            ]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert sum(result["inserted"] for result in results) == rounds
    assert (await store.get(backend.table, "count", "all")).values == {"count": 2 * rounds}
