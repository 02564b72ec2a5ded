"""Many clients at once, on both stores."""

import asyncio
from collections import Counter

import pytest

from shared.calls.repository import Calls
from shared.store import open_store
from shared.store.sqlite import SqliteStore
from shared.transfers.numbers import NumberPool, PoolExhausted
from shared.transfers.record import TransferKind
from shared.transfers.transfers import NewTransfer, Transfers
from tests.shared.transfers.dialling import dialled


@pytest.fixture(params=["sqlite", "tables"])
async def opened(request, tmp_path):
    if request.param == "tables":
        address = request.getfixturevalue("azurite")
    else:
        address = f"sqlite:{tmp_path / 'store.db'}"
    store = open_store(address)
    yield store
    await store.close()


async def test_four_creates_for_each_number(opened):
    now = [2_000_000.0]
    pool = NumberPool(opened, lambda: now[0])
    transfers = Transfers(opened, pool, Calls(opened, lambda: now[0]), lambda: now[0])
    size = 50 if isinstance(opened, SqliteStore) else 10  # Azurite takes a second for twenty creates
    numbers = [f"+1800555{n:04d}" for n in range(size)]
    await asyncio.gather(*(pool.add(number, "US") for number in numbers))

    async def create(n):
        try:
            return await transfers.create("acme", NewTransfer(f"t{n}", "c", TransferKind.PHONE_NUMBER, "US"))
        except PoolExhausted:
            return None

    made = [done for done in await asyncio.gather(*(create(n) for n in range(4 * size))) if done is not None]
    assert Counter(done.number for done in made) == Counter(numbers)
    # Each number goes to the first of four callers, and to no other.
    claims = await asyncio.gather(
        *(
            dialled(
                pool, transfers, number, call_key=f"{number}{n}", call_id=f"c{number}{n}", event_at=now[0]
            )
            for number in numbers[:10]
            for n in range(4)
        )
    )
    taken = Counter(claim.number for claim in claims if not isinstance(claim, str))
    assert taken == Counter(numbers[:10])
    # What was not called is free again by itself.
    now[0] += 120
    assert {number.state(now[0]) for number in await pool.list()} == {"free"}


async def test_the_same_request_twice_at_once_gets_one_number(opened):
    now = 3_000_000.0
    pool = NumberPool(opened, lambda: now)
    transfers = Transfers(opened, pool, Calls(opened, lambda: now), lambda: now)
    for n in range(8):
        await pool.add(f"+4420794600{n:02d}", "GB")
    asked = NewTransfer("same", "c", TransferKind.PHONE_NUMBER, "GB", "task", {"a": "b"})
    made = await asyncio.gather(*(transfers.create("acme", asked) for _ in range(8)))
    assert len({done.number for done in made}) == 1
    held = [
        number for number in await pool.list() if number.country == "GB" and number.state(now) == "assigned"
    ]
    assert [number.number for number in held] == [made[0].number]
