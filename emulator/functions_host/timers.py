"""Timer functions: each runs at its schedule's times, never twice at once, and a missed time is made up for once."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from emulator.functions_host.engine import (
    Engine,
    Function,
    FunctionFailed,
    LoadFailed,
    TypedData,
    log_failure,
)
from emulator.functions_host.ncrontab import BadSchedule, Schedule, parse_schedule

logger = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 60.0  # so that a clock that was set, or a machine that was asleep, is noticed


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Timer:
    """One timer function with its schedule and what the schedule's status says."""

    function: Function
    schedule: Schedule
    run_on_startup: bool
    last: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def load_timer(function: Function) -> Timer:
    """The timer of a function with a timer trigger; `%NAME%` in the schedule is the setting of that name.

    Raises:
        LoadFailed: the setting is missing or the schedule is none. (Azure's worker accepts any text; its host does not.)
    """
    text = str(function.trigger.get("schedule", ""))
    setting = re.fullmatch(r"%(\w+)%", text)
    if setting:
        found = os.environ.get(setting[1])
        if found is None:
            raise LoadFailed(
                f"The '{function.name}' function is in error: '%{setting[1]}%' does not resolve to a value."
            )
        text = found
    try:
        schedule = parse_schedule(text)
    except BadSchedule as error:
        raise LoadFailed(
            f"The '{function.name}' function is in error: The schedule expression '{text}' was not recognized as a valid "
            f"cron expression or timespan string: {error}."
        ) from None
    return Timer(function, schedule, bool(function.trigger.get("runOnStartup", False)))


class Timers:
    """Runs timers until it is cancelled.

    Args:
        engine: runs the functions.
        functions: those with a timer trigger.
        now: the clock (UTC).
        sleep: waits that many seconds.

    Raises:
        LoadFailed: a schedule is wrong.
    """

    def __init__(
        self,
        engine: Engine,
        functions: Iterable[Function],
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._now = now
        self._sleep = sleep
        self._timers = {function.name: load_timer(function) for function in functions}

    async def run(self) -> None:
        """Serve all schedules; returns at once when there are none."""
        await asyncio.gather(*(self._serve(timer) for timer in self._timers.values()))

    async def _serve(self, timer: Timer) -> None:
        if timer.run_on_startup:
            await self.fire(timer.function.name)
        due = timer.schedule.after(self._now())
        while True:
            behind = due <= self._now()  # it came due while the last run went on
            while (wait := (due - self._now()).total_seconds()) > 0:
                await self._sleep(min(wait, _LONGEST_SLEEP_S))
            woke = self._now()
            # However many times have passed meanwhile, they are one run.
            await self.fire(timer.function.name, past_due=behind or timer.schedule.after(due) <= woke)
            due = timer.schedule.after(woke)

    async def fire(self, name: str, *, past_due: bool = False) -> None:
        """Run a timer function once, after the run that is going on; a failure is logged."""
        timer = self._timers[name]
        async with timer.lock:
            started = self._now()
            status = {
                "Last": (timer.last or datetime(1, 1, 1, tzinfo=UTC)).isoformat(),
                "Next": timer.schedule.after(started).isoformat(),
                "LastUpdated": (timer.last or datetime(1, 1, 1, tzinfo=UTC)).isoformat(),
            }
            payload = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
            logger.info("timer %s%s", name, " (past due)" if past_due else "")
            try:
                await self._engine.invoke(timer.function, TypedData(json=json.dumps(payload)))
            except FunctionFailed as failure:
                log_failure(failure)
            timer.last = started
