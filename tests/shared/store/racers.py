"""Racers of one process: `python -m tests.shared.store.racers ADDRESS TABLE RACERS ROUNDS`, started by test_races.

Prints `ready`, waits for a line, and prints how often its racers won each kind of race.
"""

import asyncio
import json
import sys

from shared.errors import EntityChanged, EntityExists
from shared.store import Entity, EntityStore, open_store


async def insert(store: EntityStore, table: str, key: str, name: str) -> bool:
    try:
        await store.insert(table, Entity("race", key, {"winner": name}))
    except EntityExists:
        return False
    return True


async def replace(store: EntityStore, table: str, read: Entity, name: str) -> bool:
    try:
        await store.replace(table, Entity(read.partition, read.row, {"winner": name}, read.etag))
    except EntityChanged:
        return False
    return True


async def delete(store: EntityStore, table: str, read: Entity) -> bool:
    try:
        await store.delete(table, read.partition, read.row, etag=read.etag)
    except EntityChanged:
        return False
    return True


async def increment(store: EntityStore, table: str, partition: str, key: str) -> None:
    """Add one, reading again whenever another was quicker."""
    while True:
        found = await store.get(table, partition, key)
        assert found is not None
        count = found.values["count"]
        assert isinstance(count, int)
        try:
            await store.replace(table, Entity(partition, key, {"count": count + 1}, found.etag))
        except EntityChanged:
            continue
        return


async def main(address: str, table: str, racers: int, rounds: int) -> None:
    store = open_store(address)
    await store.get(table, "race", "warm-up")
    print("ready", flush=True)
    sys.stdin.readline()
    won = 0
    for number in range(rounds):
        names = [f"racer{index}" for index in range(racers)]
        won += sum(await asyncio.gather(*(insert(store, table, f"{number:03}", name) for name in names)))
    await asyncio.gather(*(increment(store, table, "count", "all") for _ in range(rounds)))
    await store.close()
    print(json.dumps({"inserted": won}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
