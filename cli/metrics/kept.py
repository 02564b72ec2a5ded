"""What the local view keeps: the newest value of each metric, and the newest calls' traces."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from cli.metrics.otlp import Point, SpanData
from shared.telemetry.traces import CALL_ID

TRACES, SPANS, SERIES = 20, 500, 2000
"""So many traces of so many spans, and values of so many metrics, are kept at most."""


@dataclass(slots=True)
class Kept:
    """Bounded; what is oldest goes first.

    Attributes:
        spans: how many have come.
    """

    spans: int = 0
    _traces: OrderedDict[str, list[SpanData]] = field(default_factory=OrderedDict)
    _points: dict[tuple[object, ...], Point] = field(default_factory=dict)

    def add_spans(self, spans: Iterable[SpanData]) -> None:
        """Spans of any trace, in any order."""
        for span in spans:
            self.spans += 1
            known = self._traces.setdefault(span.trace_id, [])
            if len(known) < SPANS:
                known.append(span)
            while len(self._traces) > TRACES:
                self._traces.popitem(last=False)

    def add_points(self, points: Iterable[Point]) -> None:
        """Values; each replaces the one of before (they are cumulative)."""
        for point in points:
            key = (point.name, point.service, point.instance, *sorted(point.attributes.items()))
            if key in self._points or len(self._points) < SERIES:
                self._points[key] = point

    def traces(self) -> Sequence[Sequence[SpanData]]:
        """Newest first, each trace's spans in the order in which they began."""
        found = [sorted(spans, key=lambda span: span.begun) for spans in self._traces.values()]
        return sorted(found, key=lambda spans: spans[0].begun, reverse=True)

    def has_ended(self, call_id: str) -> bool:
        """Whether the first span of the call's trace has come, which comes last."""
        return any(not span.parent_id for span in self.trace_of(call_id))

    def trace_of(self, call_id: str) -> Sequence[SpanData]:
        """The spans of a call's trace, as far as they have come."""
        for spans in self.traces():
            if any(span.attributes.get(CALL_ID) == call_id for span in spans):
                return spans
        return ()

    def points(self) -> Sequence[Point]:
        """By name; the processes of one service are added up, but for gauges of different ones."""
        merged: dict[tuple[object, ...], Point] = {}
        for point in self._points.values():
            attributes = tuple(sorted(point.attributes.items()))
            key = (point.name, point.service, *attributes)
            other = merged.get(key)
            merged[key] = point if other is None else _sum(other, point)
        return sorted(merged.values(), key=lambda point: (point.name, str(sorted(point.attributes.items()))))


def _sum(one: Point, other: Point) -> Point:
    """Of two processes of one service; of ages, the higher one."""
    if one.count is None and one.unit == "s" and one.name.endswith(".age"):
        return max(one, other, key=lambda point: point.value)
    counts = None if one.count is None or other.count is None else one.count + other.count
    buckets = tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=False))
    return replace(one, value=one.value + other.value, count=counts, buckets=buckets)


def quantile(point: Point, part: float) -> float | None:
    """About the value below which `part` (0 to 1) of a histogram's values are, by its buckets; None without values."""
    if not point.count or not point.bounds:
        return None
    wanted, seen, low = part * point.count, 0, 0.0
    for bound, count in zip(point.bounds, point.buckets, strict=False):
        if count and seen + count >= wanted:
            return low + (bound - low) * (wanted - seen) / count
        seen, low = seen + count, bound
    return point.bounds[-1]
