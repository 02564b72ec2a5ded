"""Timers with a clock and a sleep of our own, over an engine that only notes what it is asked to run."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from emulator.functions_host.engine import Function, FunctionFailed, LoadFailed
from emulator.functions_host.timers import Timers, load_timer

START = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


def timer_function(schedule: str, name: str = "sweep", **more: object) -> Function:
    return Function(name, name, [{"type": "timerTrigger", "name": "t", "schedule": schedule, **more}])


class Noting:
    """An engine and a clock: each run takes `takes[i]` seconds of the clock; after the last one the loop is left."""

    def __init__(self, takes: list[float], fail: bool = False) -> None:
        self.now = START
        self.takes = takes
        self.fail = fail
        self.runs: list[tuple[float, bool]] = []

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def invoke(self, function: Function, data: object) -> None:
        payload = json.loads(data.json)
        self.runs.append(((self.now - START).total_seconds(), payload["IsPastDue"]))
        assert datetime.fromisoformat(payload["ScheduleStatus"]["Next"]) > self.now
        if len(self.runs) > len(self.takes):
            raise asyncio.CancelledError
        self.now += timedelta(seconds=self.takes[len(self.runs) - 1])
        if self.fail:
            raise FunctionFailed(function.name, "ValueError: no")


async def runs_of(noting: Noting, function: Function) -> list[tuple[float, bool]]:
    timers = Timers(noting, [function], lambda: noting.now, noting.sleep)
    with pytest.raises(asyncio.CancelledError):
        await timers.run()
    return noting.runs


@pytest.mark.parametrize(
    ("schedule", "takes", "expected"),
    [
        ("*/10 * * * * *", [1, 1], [(10, False), (20, False), (30, False)]),
        ("*/10 * * * * *", [12, 1], [(10, False), (22, True), (30, False)]),  # one was missed: made up for
        ("*/10 * * * * *", [95, 1], [(10, False), (105, True), (110, False)]),  # nine were missed: one run
        ("00:00:10", [1, 1], [(10, False), (20, False), (30, False)]),
        ("0 5 * * * *", [1], [(300, False), (3900, False)]),  # longer than a single sleep
    ],
)
async def test_runs_on_time_and_once_for_all_that_were_missed(
    schedule: str, takes: list, expected: list
) -> None:
    assert await runs_of(Noting(takes), timer_function(schedule)) == expected


async def test_run_on_startup() -> None:
    runs = await runs_of(Noting([1]), timer_function("*/10 * * * * *", runOnStartup=True))
    assert runs == [(0, False), (10, False)]


async def test_a_failing_run_is_logged_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    assert len(await runs_of(Noting([0, 0], fail=True), timer_function("*/10 * * * * *"))) == 3
    assert "Exception while executing function: Functions.sweep" in caplog.text


async def test_the_same_timer_never_runs_twice_at_once() -> None:
    running, most = 0, 0

    class Slow:
        async def invoke(self, *_: object) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    timers = Timers(Slow(), [timer_function("0 0 0 1 1 *")])
    await asyncio.gather(*(timers.fire("sweep") for _ in range(5)))
    assert most == 1


def test_schedule_from_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_SCHEDULE", "0 */2 * * * *")
    assert load_timer(timer_function("%SWEEP_SCHEDULE%")).schedule.after(START) == START + timedelta(
        minutes=2
    )
    monkeypatch.delenv("SWEEP_SCHEDULE")
    with pytest.raises(LoadFailed, match="'%SWEEP_SCHEDULE%' does not resolve to a value"):
        load_timer(timer_function("%SWEEP_SCHEDULE%"))


def test_nonsense_schedule_names_function_and_text() -> None:
    with pytest.raises(
        LoadFailed, match="The 'sweep' function is in error: The schedule expression 'often' was not recog"
    ):
        load_timer(timer_function("often"))
