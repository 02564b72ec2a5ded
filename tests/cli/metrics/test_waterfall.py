import pytest

from cli.metrics.waterfall import duration, step_of, waterfall
from tests.cli.metrics.support import span, trace


def test_each_span_stands_below_the_one_that_it_hangs_on():
    found = waterfall(trace())
    assert [(row.span.name, row.depth) for row in found.rows] == [
        ("call", 0), ("answer", 1), ("media", 2), ("agent speaks", 3), ("tool x", 3),
    ]  # fmt: skip
    assert found.complete and found.seconds == 10.0 and found.title == "call c1 · acs · desk · agent_done"
    speaks = found.rows[3]
    assert (speaks.begin_s, speaks.end_s, speaks.took) == (0.5, 2.5, "2.0 s")


def test_a_call_that_goes_on_has_no_first_span_yet():
    found = waterfall([one for one in trace() if one.name in ("media", "agent speaks")])
    assert [(row.span.name, row.depth) for row in found.rows] == [("media", 0), ("agent speaks", 1)]
    assert not found.complete and found.title == "call c1"
    assert waterfall([span("engage", 1, attributes={})]).title.startswith("a call that")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, ""), (0.0021, "2 ms"), (0.34, "340 ms"), (2.51, "2.5 s"), (125, "2:05 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "step"), [(0.004, 0.001), (1, 0.2), (27, 5), (700, 100), (0.0005, 0.001)]
)
def test_marks_of_the_axis(seconds, step):
    assert step_of(seconds) == pytest.approx(step)
