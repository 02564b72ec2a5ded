"""One heartbeat for all calls."""

import asyncio
import itertools
import logging
import time
from collections import Counter

import pytest

from emulator.pacing import SLOTS, TICK_S, OnTick, Ticker
from tests.support.timing import patience


def hold_up(seconds: float) -> None:
    """Block the loop, as a busy machine would."""
    time.sleep(seconds)


async def beats(ticker: Ticker, count: int) -> list[float]:
    seen: list[float] = []
    done = asyncio.Event()

    def listen(now: float) -> None:
        seen.append(now)
        if len(seen) >= count:
            ticker.remove(listen)
            done.set()

    ticker.add(listen)
    async with asyncio.timeout(patience(5)):
        await done.wait()
    return seen


async def test_ticks_lie_exactly_20_ms_apart() -> None:
    seen = await beats(Ticker(), 6)
    assert [b - a for a, b in itertools.pairwise(seen)] == pytest.approx([TICK_S] * 5)


async def test_late_ticks_are_made_up_for() -> None:
    ticker = Ticker()
    listening = asyncio.create_task(beats(ticker, 10))
    await asyncio.sleep(0)
    hold_up(0.1)
    seen = await listening
    assert seen[-1] - seen[0] == pytest.approx(9 * TICK_S)
    assert ticker.late > 0
    assert ticker.skipped == 0


async def test_after_a_long_stop_it_goes_on_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.pacing.MAX_BEHIND_S", 0.05)
    ticker = Ticker()
    listening = asyncio.create_task(beats(ticker, 3))
    await asyncio.sleep(0)
    hold_up(0.2)
    await listening
    assert ticker.skipped >= 8


async def test_one_failing_listener_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    ticker = Ticker()

    def fail(now: float) -> None:
        raise ValueError("broken")

    ticker.add(fail)
    with caplog.at_level(logging.ERROR):
        assert len(await beats(ticker, 3)) == 3
    assert caplog.text.count("a call failed") == 1


async def test_it_rests_when_nobody_listens_and_starts_again() -> None:
    ticker = Ticker()
    await beats(ticker, 1)
    count = ticker.ticks
    await asyncio.sleep(3 * TICK_S)
    assert ticker.ticks == count
    assert len(await beats(ticker, 2)) == 2


async def test_calls_are_spread_over_the_20_ms() -> None:
    ticker = Ticker()
    phases: dict[int, float] = {}
    done = asyncio.Event()

    def listener(number: int) -> OnTick:
        def listen(now: float) -> None:
            phases[number] = now % TICK_S
            if len(phases) == 2 * SLOTS:
                done.set()

        return listen

    listeners = [listener(number) for number in range(2 * SLOTS)]
    for listen in listeners:
        ticker.add(listen)
    async with asyncio.timeout(patience(5)):
        await done.wait()
    for listen in listeners:
        ticker.remove(listen)
    found = Counter(round(phase / (TICK_S / SLOTS)) % SLOTS for phase in phases.values())
    assert found == dict.fromkeys(range(SLOTS), 2)


async def test_it_knows_how_late_every_tick_began_and_every_listener_was_done() -> None:
    ticker = Ticker()

    def slow(_: float) -> None:
        hold_up(0.015)

    ticker.add(slow)
    count = len(await beats(ticker, 3))
    ticker.remove(slow)
    assert ticker.begun.count == ticker.ticks
    assert ticker.done.count >= count + 3
    assert ticker.done.late >= 3
    assert ticker.done.max_ms >= 15


async def test_who_is_added_twice_is_called_once() -> None:
    ticker = Ticker()
    seen: list[float] = []
    ticker.add(seen.append)
    ticker.add(seen.append)
    await beats(ticker, 4)
    ticker.remove(seen.append)
    assert len(seen) == len(set(seen))
