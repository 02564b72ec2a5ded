import asyncio

import pytest

from shared.errors import KeysUnavailable
from shared.security.cached import Cached
from tests.support.timing import patience


class Source:
    """Gives 1, 2, 3…, waits for `gate`, fails while `broken`."""

    def __init__(self):
        self.reads = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.reads += 1
        await self.gate.wait()
        if self.broken:
            raise KeysUnavailable("out of order")
        return self.reads


@pytest.fixture
async def source():
    return Source()


@pytest.fixture
def cached(source, clock):
    return Cached(source, clock, name="numbers", ttl_s=300, retry_s=5)


async def test_a_value_is_read_once_until_its_time_is_over(cached, source, clock):
    assert [await cached.get(), await cached.get()] == [1, 1]
    clock.time += 299
    assert await cached.get() == 1
    clock.time += 1
    assert await cached.get() == 2


async def test_reads_out_of_turn_are_limited(cached, source, clock):
    assert await cached.get() == 1
    clock.time += 4.9
    assert [await cached.get_newer() for _ in range(100)] == [1] * 100
    clock.time += 0.1
    assert [await cached.get_newer() for _ in range(100)] == [2] * 100
    assert source.reads == 2


async def test_an_outage_leaves_the_last_value_and_is_not_hammered(cached, source, clock, caplog):
    await cached.get()
    source.broken = True
    clock.time += 300
    assert [await cached.get() for _ in range(100)] == [1] * 100
    assert source.reads == 2
    assert "stays in use" in caplog.text
    clock.time += 5
    source.broken = False
    assert await cached.get() == 3


async def test_with_nothing_known_the_failure_shows_and_the_next_call_tries_again(cached, source):
    source.broken = True
    for _ in range(2):
        with pytest.raises(KeysUnavailable, match="out of order"):
            await cached.get()
    source.broken = False
    assert await cached.get() == 3


async def test_all_waiters_share_one_read(cached, source):
    source.gate.clear()
    waiters = [asyncio.create_task(cached.get()) for _ in range(20)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await asyncio.sleep(0)
    source.gate.set()
    async with asyncio.timeout(patience(5)):
        assert await asyncio.gather(*waiters[1:]) == [1] * 19
    assert waiters[0].cancelled()
    assert source.reads == 1


async def test_a_clock_that_was_set_back_does_not_freeze_the_value(cached, clock):
    assert await cached.get() == 1
    clock.time -= 86_400
    assert await cached.get() == 2


async def test_a_mistake_of_the_loader_is_not_hidden(clock):
    async def load():
        raise ZeroDivisionError

    cached = Cached(load, clock, name="numbers", ttl_s=1, retry_s=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await cached.get()
