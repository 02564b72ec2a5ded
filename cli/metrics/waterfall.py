"""A trace as rows under one time axis: for the page and for the picture alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from cli.metrics.otlp import SpanData
from shared.telemetry.traces import CALL_ID


@dataclass(frozen=True, slots=True)
class Row:
    """One span: how deep it hangs, and its place on the axis (seconds since the first one began)."""

    span: SpanData
    depth: int
    begin_s: float
    end_s: float

    @property
    def took(self) -> str:
        """How long, for people; "" for a moment."""
        return duration(self.end_s - self.begin_s)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace.

    Attributes:
        title: whose it is.
        rows: each span below the one that it hangs on.
        seconds: of the whole.
        complete: the trace's first span is there, so the call is over.
    """

    title: str
    rows: Sequence[Row]
    seconds: float
    complete: bool


def waterfall(spans: Sequence[SpanData]) -> Waterfall:
    """Lay out the spans of one trace (one at least)."""
    begun = min(span.begun for span in spans)
    known = {span.span_id for span in spans}
    below: dict[str, list[SpanData]] = {}
    for span in sorted(spans, key=lambda span: (span.begun, -span.ended)):
        below.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    rows: list[Row] = []

    def lay(parent: str, depth: int) -> None:
        for span in below.get(parent, ()):
            rows.append(Row(span, depth, span.begun - begun, span.ended - begun))
            lay(span.span_id, depth + 1)

    lay("", 0)
    first = next((span for span in spans if not span.parent_id), None)
    call_id = next((str(span.attributes[CALL_ID]) for span in spans if CALL_ID in span.attributes), "")
    about = first.attributes if first else {}
    parts = [
        f"call {call_id}" if call_id else "a call that has not come yet",
        *(
            str(about[name])
            for name in ("patchcord.line", "patchcord.agent", "patchcord.end.reason")
            if name in about
        ),
    ]
    seconds = max(span.ended for span in spans) - begun
    return Waterfall(" · ".join(parts), rows, max(seconds, 0.001), first is not None)


def duration(seconds: float) -> str:
    """For people: `340 ms`, `2.5 s`, `3:05 min`."""
    if seconds < 0.0005:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def step_of(seconds: float, marks: int = 8) -> float:
    """A round distance (s) between the axis' marks, so that there are about so many."""
    step = 0.001
    while True:
        for factor in (1, 2, 5):
            if seconds / (step * factor) <= marks:
                return step * factor
        step *= 10
