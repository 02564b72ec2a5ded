import pytest

from shared.errors import Conflict, EntityChanged, InvalidInput, NotFound
from shared.transfers.numbers import QUARANTINE_S, NumberPool, PoolExhausted

A, B = "+18005550100", "+18005550101"


class Times:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def times():
    return Times()


@pytest.fixture
async def pool(store, times):
    made = NumberPool(store, times, choice=lambda numbers: numbers[0])
    await made.add(A, "us")
    await made.add(B, "US")
    return made


async def state(pool, number=A):
    return (await pool.get(number)).state(pool._now())


async def test_the_life_of_a_number(pool, times):
    taken = await pool.assign("US", "acme", "t1", 60)
    assert (taken.number, taken.tenant, taken.transfer_id, taken.expires_at) == (A, "acme", "t1", 1060.0)
    assert await state(pool) == "assigned"
    await pool.release(A, "acme", "t1")
    assert await state(pool) == "quarantine"
    assert (await pool.assign("US", "acme", "t2", 60)).number == B
    with pytest.raises(PoolExhausted):
        await pool.assign("US", "acme", "t3", 60)
    times.now += QUARANTINE_S
    assert await state(pool) == "free"
    assert (await pool.assign("US", "globex", "t3", 60)).number == A


async def test_nobody_calls(pool, times):
    await pool.assign("US", "acme", "t1", 60)
    times.now += 61
    assert await state(pool) == "assigned"
    times.now += 2
    assert await state(pool) == "quarantine"
    times.now += QUARANTINE_S
    assert await state(pool) == "free"


async def test_the_same_transfer_gets_the_number_that_it_had(pool):
    for _ in range(3):
        assert (await pool.assign("US", "acme", "t1", 60)).number == A
    assert (await pool.assign("US", "globex", "t1", 60)).number == B


async def test_only_the_owner_releases(pool):
    await pool.release(A, "acme", "t1")
    await pool.release("+19995550100", "acme", "t1")
    await pool.assign("US", "acme", "t1", 60)
    await pool.release(A, "acme", "t2")
    await pool.release(A, "globex", "t1")
    assert await state(pool) == "assigned"
    await pool.release(A, "acme", "t1")
    before = await pool.get(A)
    await pool.release(A, "acme", "t1")
    assert await pool.get(A) == before


async def test_out_of_use(pool):
    await pool.assign("US", "acme", "t1", 60)
    await pool.disable(A)
    assert await state(pool) == "assigned"
    await pool.release(A, "acme", "t1")
    await pool.disable(B)
    assert await state(pool, B) == "disabled"
    with pytest.raises(NotFound):
        await pool.assign("US", "acme", "t2", 60)
    await pool.add(B, "US")
    assert (await pool.assign("US", "acme", "t2", 60)).number == B


async def test_what_is_refused(pool):
    for number, country, field in (
        ("18005550100", "US", "number"),
        (A, "USA", "country"),
        (A, "Ü1", "country"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await pool.add(number, country)
        assert caught.value.field == field
    with pytest.raises(Conflict, match="belongs to US"):
        await pool.add(A, "GB")
    with pytest.raises(NotFound):
        await pool.disable("+19995550100")
    with pytest.raises(NotFound, match="no numbers of GB"):
        await pool.assign("GB", "acme", "t1", 60)
    assert await pool.get("no number") is None


async def test_one_that_loses_every_race_looks_again(store, pool, times, monkeypatch):
    replace, lost = store.replace, []

    async def lose(table, entity):
        if len(lost) < 2:
            lost.append(entity.row)
            raise EntityChanged("numbers")
        return await replace(table, entity)

    monkeypatch.setattr(store, "replace", lose)
    assert (await pool.assign("US", "acme", "t1", 60)).number == A
    assert lost == [A, A]
    lost.clear()
    await pool.disable(B)
    assert lost == [B, B]
    lost.clear()
    await pool.release(A, "acme", "t1")
    assert lost == [A, A]
    assert await state(pool) == "quarantine"
