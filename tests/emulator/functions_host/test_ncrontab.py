from datetime import UTC, datetime, timedelta, timezone

import pytest

from emulator.functions_host.ncrontab import BadSchedule, parse_schedule

START = datetime(2025, 1, 31, 23, 59, 58, 500_000, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("* * * * * *", "2025-01-31T23:59:59"),
        ("*/20 * * * * *", "2025-02-01T00:00:00"),
        ("10/20 * * * * *", "2025-02-01T00:00:10"),
        ("0 */5 * * * *", "2025-02-01T00:00:00"),
        ("0 30 9 * * *", "2025-02-01T09:30:00"),
        ("0 30 9 * * 1-5", "2025-02-03T09:30:00"),
        ("0 30 9 * * Mon,Wednes", "2025-02-03T09:30:00"),
        ("0 0 0 * * 0", "2025-02-02T00:00:00"),
        ("0 0 12 29 feb *", "2028-02-29T12:00:00"),
        ("0 0 0 13 * fri", "2025-06-13T00:00:00"),  # day and weekday must both fit
        ("59 59 23 31 12 *", "2025-12-31T23:59:59"),
        ("5,7-9/2 1 2 * * *", "2025-02-01T02:01:05"),
        ("0 0 0 * 11-3 *", "2025-03-01T00:00:00"),  # NCrontab swaps the ends: March to November
        ("0 12 * * *", "2025-02-01T12:00:00"),  # five fields: no seconds
        ("00:00:30", "2025-02-01T00:00:28.500000"),
        ("1.00:00:00", "2025-02-01T23:59:58.500000"),
    ],
)
def test_next_occurrence(text: str, following: str) -> None:
    assert parse_schedule(text).after(START) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_occurrences_follow_each_other() -> None:
    schedule = parse_schedule("0,30 0,1 12 * * *")
    moment, seen = START, []
    for _ in range(5):
        moment = schedule.after(moment)
        seen.append(moment.strftime("%d %H:%M:%S"))
    assert seen == ["01 12:00:00", "01 12:00:30", "01 12:01:00", "01 12:01:30", "02 12:00:00"]


def test_an_occurrence_is_not_its_own_successor_and_zones_are_converted() -> None:
    noon = datetime(2025, 5, 5, 12, tzinfo=UTC)
    assert parse_schedule("0 0 12 * * *").after(noon) == noon + timedelta(days=1)
    assert parse_schedule("0 0 12 * * *").after(
        noon.astimezone(timezone(timedelta(hours=2)))
    ) == noon + timedelta(days=1)


@pytest.mark.parametrize(
    "text",
    [
        "", "every minute", "* * * *", "* * * * * * *", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * * 13 *",
        "* * * * * 7", "*/0 * * * * *", "*/x * * * * *", "1- * * * * *", ", * * * * *", "* * * * foo *", "-1 * * * * *",
        "0 0 0 30 2 *", "24:00:00", "00:00:00", "00:61:00",
    ],
)  # fmt: skip
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(BadSchedule):
        parse_schedule(text)
