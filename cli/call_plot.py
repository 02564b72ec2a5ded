"""What a picture of a call shows: the record's moments and words, on the recording's clock. No drawing here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.waveform import Span
from shared.telemetry import mask_number

type Record = Mapping[str, Any]

EVENT, VOICE, KEYS, WARNING, FAULT, END = "event", "voice", "keys", "warning", "fault", "end"

_MARKERS: Mapping[str, tuple[str, str]] = {
    "received": ("received", EVENT),
    "answered": ("answered", VOICE),
    "connected": ("connected", EVENT),
    "keys": ("keys", KEYS),
    "barge_in": ("barge-in", WARNING),
    "tool": ("tool", EVENT),
    "outcome": ("outcome", EVENT),
    "transfer": ("transfer", EVENT),
    "transfer_failed": ("transfer failed", FAULT),
    "media_lost": ("media lost", FAULT),
    "recovery": ("recovery", WARNING),
    "fault": ("fault", FAULT),
    "hang_up": ("hang-up", END),
    "disconnected": ("end", END),
}
_KEYS_TOGETHER_S = 2.0
_NEAR_S = 0.3
_FARTHEST_S = 4.0


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment with a name.

    Attributes:
        at: seconds since the recording's start; below 0 before it.
        label: what to write.
        tone: one of EVENT, VOICE, KEYS, WARNING, FAULT, END; decides the colour.
        ticks: all moments that it stands for (key after key).
    """

    at: float
    label: str
    tone: str
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """Somebody speaks, and what is said, as far as it was understood.

    Attributes:
        span: when.
        text: the transcript; "" if nothing was understood.
        interrupted: the caller talked over it.
    """

    span: Span
    text: str
    interrupted: bool = False


def seconds_since(start: datetime, at: object) -> float | None:
    """Seconds from `start` to an RFC 3339 time; None if `at` is none."""
    moment = parse_time(at)
    return None if moment is None else (moment - start).total_seconds()


def parse_time(at: object) -> datetime | None:
    """An RFC 3339 time with a zone; None if `at` is none."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def start_of(record: Record) -> datetime | None:
    """The recording's first sample: `media.startedAt`, else the first time in the record; None if it has none."""
    media = record.get("media") or {}
    times = [
        entry.get("at") for entry in [*(record.get("timeline") or []), *(record.get("transcript") or [])]
    ]
    return next((time for at in [media.get("startedAt"), *times] if (time := parse_time(at))), None)


def markers(record: Record) -> list[Marker]:
    """The timeline's moments in order; keys pressed one after the other are one marker with a tick for each."""
    start = start_of(record)
    found: list[Marker] = []
    keys: list[float] = []
    for entry in record.get("timeline") or []:
        known = _MARKERS.get(str(entry.get("kind")))
        at = seconds_since(start, entry.get("at")) if start and known else None
        if known is None or at is None:
            continue
        label, tone = known
        if tone == KEYS:
            keys.append(at)
            continue
        reason = str(entry.get("reason") or "").replace("_", " ")
        found.append(Marker(at, f"{label}: {reason}" if reason else label, tone, (at,)))
    found.extend(_keys(sorted(keys), int(record.get("keysPressed") or 0)))
    return sorted(found, key=lambda marker: marker.at)


def _keys(times: Sequence[float], pressed: int) -> list[Marker]:
    groups: list[list[float]] = []
    for at in times:
        if groups and at - groups[-1][-1] <= _KEYS_TOGETHER_S:
            groups[-1].append(at)
        else:
            groups.append([at])
    one_each = len(times) == pressed
    result = []
    for group in groups:
        count = len(group) if one_each else pressed if len(groups) == 1 else 0
        label = f"{count} key{'s' if count != 1 else ''}" if count else "keys"
        result.append(Marker(group[0], label, KEYS, tuple(group)))
    return result


def bars(record: Record, who: str, spans: Sequence[Span]) -> list[Bar]:
    """The speech of one side with its words.

    A transcript line's time is that of its end or its beginning, seen by another process; the recording says when somebody
    really spoke. So a line goes to the span that it is in or nearest to; one that is far from every span gets its own place.
    """
    start = start_of(record)
    texts: dict[int, list[str]] = {}
    cut: set[int] = set()
    alone: list[Bar] = []
    for line in record.get("transcript") or []:
        at = seconds_since(start, line.get("at")) if start else None
        if line.get("who") != who or at is None:
            continue
        nearest = min(range(len(spans)), key=lambda index: _distance(spans[index], at), default=None)
        if nearest is None or _distance(spans[nearest], at) > _FARTHEST_S:
            length = float(line.get("heardMs") or 500) / 1000
            alone.append(
                Bar(Span(at - length, at), str(line.get("text") or ""), bool(line.get("interrupted")))
            )
            continue
        texts.setdefault(nearest, []).append(str(line.get("text") or ""))
        if line.get("interrupted"):
            cut.add(nearest)
    heard = [Bar(span, " ".join(texts.get(index, [])), index in cut) for index, span in enumerate(spans)]
    return sorted([*heard, *alone], key=lambda bar: bar.span.start)


def _distance(span: Span, at: float) -> float:
    if span.start - _NEAR_S <= at <= span.end + _NEAR_S:
        return 0.0
    return min(abs(at - span.start), abs(at - span.end))


def title(record: Record, seconds: float) -> str:
    """Who called, which agent answered, how long it took, and why it ended."""
    ended = record.get("ended") or {}
    reason = str(ended.get("reason") or record.get("state") or "unknown").replace("_", " ")
    by = f" (by the {ended['by']})" if ended.get("by") else ""
    caller = str(record.get("from") or "")
    shown = caller if "…" in caller else mask_number(caller)
    return f"Call from {shown}  ·  agent {record.get('agent') or '—'}  ·  {duration(seconds)}  ·  ended: {reason}{by}"


def subtitle(record: Record) -> str:
    """The latencies, the outcome and the call's id."""
    measured = record.get("latencies") or {}
    parts = [
        f"{name} {value:.0f} ms"
        for name, value in (
            ("event to answer", measured.get("eventToAnswerMs")),
            ("answer to first audio", measured.get("answerToFirstAudioMs")),
            *(("barge-in to silence", value) for value in measured.get("bargeInToSilenceMs") or []),
        )
        if isinstance(value, int | float)
    ]
    outcome = record.get("outcome") or {}
    if outcome.get("transferType"):
        parts.append(f"outcome {outcome['transferType']}")
    return "   ·   ".join([*parts, f"call {record.get('callId') or '—'}"])


def duration(seconds: float) -> str:
    """`42.3 s`, or `3 min 07 s` from a minute on."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


@dataclass(frozen=True, slots=True)
class Scale:
    """The time axis: seconds from `start` to `end` over the pixels from `left` to `right`."""

    start: float
    end: float
    left: int
    right: int

    def x(self, seconds: float) -> int:
        """The pixel column of a time; what is outside stands at the edge."""
        share = (seconds - self.start) / (self.end - self.start)
        return round(self.left + min(1.0, max(0.0, share)) * (self.right - self.left))

    def ticks(self, least_px: int = 70) -> list[float]:
        """Round times at least `least_px` pixels apart."""
        steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
        width = (self.right - self.left) / (self.end - self.start)
        step = next((step for step in steps if step * width >= least_px), 7200)
        first = -int(-self.start // step)
        return [index * step for index in range(first, int(self.end // step) + 1)]


def scale_of(seconds: float, moments: Iterable[float], left: int, right: int) -> Scale:
    """An axis with the whole recording and everything within 5 s before and 10 s after it."""
    times = list(moments)
    start = min([0.0, *(max(at, -5.0) for at in times)])
    end = max([seconds, 1.0, *(min(at, seconds + 10.0) for at in times)])
    margin = (end - start) * 0.005
    return Scale(start - margin, end + margin, left, right)
