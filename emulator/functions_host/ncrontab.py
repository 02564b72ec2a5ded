"""Timer schedules: six-field NCRONTAB (seconds first), five fields, or a time span `hh:mm:ss`.

Meaning as in NCrontab, the library of Azure's timer extension (CrontabFieldImpl.cs): `*`, `a`, `a-b`, `*/n`, `a-b/n`, `a/n` (from
`a` to the field's end), lists of these; months and weekdays by number or by the beginning of their English names; Sunday is
0 and 7 is no weekday; day and weekday must both fit. One thing is stricter here: a step of 0 is refused. Times are UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from emulator.functions_host.settings import parse_duration

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "sunday monday tuesday wednesday thursday friday saturday".split()
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_HORIZON_DAYS = 366 * 8  # 29 February comes at the latest after 8 years (1896-1904, 2096-2104)


class BadSchedule(ValueError):
    """The expression is none; the message says which part."""


def _value(text: str, name: str, low: int, high: int, names: list[str]) -> int:
    if text.isascii() and text.isdigit():
        if low <= int(text) <= high:
            return int(text)
    elif text:
        for index, full in enumerate(names):
            if full.startswith(text.lower()):
                return index + low
    raise BadSchedule(f"'{text}' is not a {name} ({low} to {high})")


def _field(text: str, name: str, low: int, high: int, names: list[str]) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text) > 0):
            raise BadSchedule(f"'{item}': the step of a {name} must be a whole number above 0")
        step = int(step_text) if slash else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_value(part, name, low, high, names) for part in span.split("-", 1))
            first, last = min(first, last), max(first, last)
        else:
            first = _value(span, name, low, high, names)
            last = high if slash else first
        values.update(range(first, last + 1, step))
    return frozenset(values)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed NCRONTAB expression: the seconds, minutes, hours, days, months and weekdays that fit."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, moment: datetime) -> datetime:
        """The first occurrence later than `moment` (UTC).

        Raises:
            BadSchedule: there is none (30 February).
        """
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day = start.replace(hour=0, minute=0, second=0)
        for _ in range(_HORIZON_DAYS):
            if day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                found = self._in_day(max(start, day))
                if found is not None:
                    return found
            day += timedelta(days=1)
        raise BadSchedule("the schedule never occurs")

    def _in_day(self, start: datetime) -> datetime | None:
        """The first fitting time of the day at or after `start`."""
        for hour in sorted(h for h in self.hours if h >= start.hour):
            first_minute = start.minute if hour == start.hour else 0
            for minute in sorted(m for m in self.minutes if m >= first_minute):
                same = hour == start.hour and minute == start.minute
                seconds = [s for s in self.seconds if not same or s >= start.second]
                if seconds:
                    return start.replace(hour=hour, minute=minute, second=min(seconds))
        return None


@dataclass(frozen=True, slots=True)
class Every:
    """A constant interval, from the last run on."""

    interval: timedelta

    def after(self, moment: datetime) -> datetime:
        """`moment` plus the interval."""
        return moment + self.interval


type Schedule = Cron | Every


def parse_schedule(text: str) -> Schedule:
    """Parse a timer trigger's schedule.

    Raises:
        BadSchedule: it is no schedule, or one that never occurs.
    """
    span = parse_duration(text)
    if span is not None:
        if span < 1:
            raise BadSchedule("the interval must be at least a second")
        return Every(timedelta(seconds=span))
    parts = text.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise BadSchedule(f"expected six fields or hh:mm:ss, found '{text}'")
    cron = Cron(*(_field(part, *spec) for part, spec in zip(parts, _FIELDS, strict=True)))
    cron.after(datetime(2000, 1, 1, tzinfo=UTC))
    return cron
