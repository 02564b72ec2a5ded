"""What the view keeps: bounded, newest first, processes added up."""

from dataclasses import replace

import pytest

from cli.metrics import kept as module
from cli.metrics.kept import Kept, quantile
from cli.metrics.otlp import Point
from tests.cli.metrics.support import span, trace

POINT = Point("patchcord.x", "{call}", "X", {"tenant": "a"}, 3.0, None, (), (), "patchcord-media", "h1")
TIMES = replace(POINT, name="patchcord.y", unit="s", value=2.0, count=4, bounds=(0.1, 1.0), buckets=(1, 2, 1))


def test_a_trace_is_whole_when_its_first_span_has_come():
    kept = Kept()
    assert kept.trace_of("c1") == () and not kept.has_ended("c1")
    kept.add_spans([one for one in trace() if one.name != "call"])
    assert not kept.has_ended("c1")
    kept.add_spans([one for one in trace() if one.name == "call"])
    assert kept.has_ended("c1") and not kept.has_ended("c2")
    assert [one.name for one in kept.trace_of("c1")] == ["call", "answer", "media", "agent speaks", "tool x"]


def test_it_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "SPANS", 3)
    monkeypatch.setattr(module, "SERIES", 1)
    kept = Kept()
    for number in range(module.TRACES + 5):
        kept.add_spans(replace(span("x", n, begun=number), trace_id=f"{number:032x}") for n in range(5))
    kept.add_points([POINT, TIMES])
    kept.add_points([replace(POINT, value=4.0)])
    traces = kept.traces()
    assert len(traces) == module.TRACES and {len(spans) for spans in traces} == {3}
    assert traces[0][0].begun > traces[-1][0].begun
    assert [point.value for point in kept.points()] == [4.0]


def test_processes_of_a_service_are_added_up():
    kept = Kept()
    age = replace(POINT, name="patchcord.cache.age", unit="s", value=5.0)
    for instance, more in (("h1", 0), ("h2", 1)):
        kept.add_points(
            [replace(one, instance=instance, value=one.value + more) for one in (POINT, TIMES, age)]
        )
    cache, counter, times = kept.points()
    assert (cache.value, counter.value) == (6.0, 7.0)
    assert (times.value, times.count, times.buckets) == (5.0, 8, (2, 4, 2))


@pytest.mark.parametrize(("part", "wanted"), [(0.25, 0.1), (0.5, 0.55), (0.75, 1.0), (0.95, 1.0)])
def test_quantiles(part, wanted):
    assert quantile(TIMES, part) == pytest.approx(wanted)


def test_no_quantile_without_values():
    assert quantile(POINT, 0.5) is None
