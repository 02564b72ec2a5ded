"""The histogram of how late things were."""

import pytest

from emulator.lateness import REACH_MS, Lateness


def lateness(*ms: float) -> Lateness:
    found = Lateness()
    for value in ms:
        found.note(value / 1000)
    return found


def test_nothing_was_late_before_the_first_entry() -> None:
    assert lateness().summary() == {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0, "late": 0.0}


def test_quantiles_are_the_upper_edges_of_tenths_of_a_millisecond() -> None:
    found = lateness(*[0.55] * 98, 7.23, 42.0)
    assert found.summary() == {"count": 100, "p50": 0.6, "p99": 7.3, "max": 42.0, "late": 0.01}


@pytest.mark.parametrize(("ms", "late"), [(9.95, 0), (10.05, 1), (99.95, 1), (5000.0, 1)])
def test_late_is_beyond_10_ms(ms: float, late: int) -> None:
    assert lateness(ms).late == late


def test_what_is_beyond_its_reach_is_told_by_the_maximum() -> None:
    assert lateness(REACH_MS + 400).quantile_ms(0.99) == pytest.approx(REACH_MS + 400)


def test_a_timer_that_fired_early_was_on_time() -> None:
    assert lateness(-0.7).summary() == {"count": 1, "p50": 0.1, "p99": 0.1, "max": 0.0, "late": 0.0}


def test_clear_begins_anew() -> None:
    found = lateness(3.0)
    found.clear()
    assert (found.count, found.max_ms) == (0, 0.0)
