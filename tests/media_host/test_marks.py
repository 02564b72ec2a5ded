import random

import pytest

from media_host.marks import EVERY_MS, LOST_MS, Marks


def echo(marks, number, delay_ms, jitter=0.0, generation=0):
    """One mark, sent and come back."""
    name = marks.sent(EVERY_MS, number * 1000.0)
    assert name == f"g{generation}.{number}"
    marks.echoed(name, number * 1000.0 + delay_ms + jitter)


def test_the_first_audio_is_marked_at_once_and_then_every_so_often():
    marks = Marks(150)
    names = [marks.sent(20, n * 20) for n in range(21)]
    assert [n for n, name in enumerate(names) if name] == [0, 10, 20]
    marks.flushed()
    assert marks.sent(20, 500) == "g1.4"


@pytest.mark.parametrize("true_ms", [60.0, 150.0, 250.0])
def test_the_delay_is_learnt_from_the_first_echo_and_one_late_echo_does_not_matter(true_ms):
    marks = Marks(150)
    assert marks.delay_ms(0) == 150
    echo(marks, 1, true_ms)
    assert marks.delay_ms(1000) == pytest.approx(true_ms)
    dice = random.Random(1)
    for number in range(2, 12):
        echo(marks, number, true_ms, jitter=900 if number == 7 else dice.uniform(-5, 5))
        assert marks.delay_ms(number * 1000 + true_ms) == pytest.approx(true_ms, abs=8)


def test_a_path_that_grows_is_followed():
    marks = Marks(150)
    for number in range(1, 6):
        echo(marks, number, 80)
    for number in range(6, 9):
        echo(marks, number, 220)
    assert marks.delay_ms(9000) == 220


def test_an_echo_that_should_be_back_says_that_the_path_is_longer():
    marks = Marks(150)
    marks.sent(20, 1000)
    assert marks.delay_ms(1100) == 150
    assert marks.delay_ms(1240) == 240
    assert marks.delay_ms(1000 + LOST_MS + 1) == 150  # it was lost: nothing is known


def test_marks_that_come_back_after_a_clear_mean_nothing():
    marks = Marks(150)
    old = [marks.sent(EVERY_MS, n * 100.0) for n in range(1, 4)]
    marks.flushed()
    for name in old:
        marks.echoed(name, 5000)
    assert marks.delay_ms(5000) == 150
    name = marks.sent(20, 6000)
    for wrong in (*old, "", "g1.99", "g0.4", name + "0"):
        marks.echoed(wrong, 6001)
    marks.echoed(name, 6090)
    marks.echoed(name, 9999)  # twice
    assert marks.delay_ms(9999) == 90


def test_a_mark_that_was_overtaken_is_lost():
    marks = Marks(150)
    first, second = marks.sent(EVERY_MS, 100), marks.sent(EVERY_MS, 300)
    marks.echoed(second, 370)
    assert marks.delay_ms(10_000) == 70
    marks.echoed(first, 400)
    assert marks.delay_ms(10_000) == 70


def test_a_clock_that_disagrees_gives_no_negative_path():
    marks = Marks(150)
    echo(marks, 1, -40)
    assert marks.delay_ms(1000) == 0


def test_a_line_that_never_answers_costs_no_memory():
    marks = Marks(150)
    for n in range(10_000):
        marks.sent(EVERY_MS, n * EVERY_MS)
    assert len(marks._pending) <= 64
