"""The page of `patchcord up --metrics`: plain HTML that loads itself again, no script."""

from collections.abc import Iterable
from html import escape

from cli.metrics.kept import Kept, quantile
from cli.metrics.otlp import Point
from cli.metrics.waterfall import Row, Waterfall, duration, step_of, waterfall

SHOWN = 5
"""Traces on the page."""

AGAIN_S = 2
WIDTH, LABELS, ROW = 1100, 250, 19
_COLOURS = {"patchcord-functions": "#2563eb", "patchcord-media": "#0f8a7e"}
_OTHER, _FAILED = "#6b7280", "#c81e1e"

_STYLE = """
body{font:14px system-ui,sans-serif;color:#1f2937;margin:24px;max-width:1160px}
h1{font-size:20px}h2{font-size:16px;margin:24px 0 6px}h3{font-size:14px;margin:18px 0 4px}
table{border-collapse:collapse}td,th{text-align:left;padding:2px 14px 2px 0;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}th{color:#6b7280;font-weight:500}
.soft{color:#6b7280}svg{display:block;background:#f6f8fa}
"""


def page(kept: Kept) -> str:
    """The page, of what is known now."""
    points, traces = kept.points(), kept.traces()
    counts = [point for point in points if point.count is None]
    latencies = [point for point in points if point.count]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<meta http-equiv=refresh content={AGAIN_S}><title>Patchcord: metrics</title><style>{_STYLE}</style>",
        "<h1>Patchcord on this machine</h1>",
        "<p class=soft>Fed by the OTLP exporters of the function app and the media host; "
        "it loads itself again every two seconds.</p>",
        "<h2>Counters and gauges</h2>",
        _counts(counts) if counts else "<p class=soft>Nothing has come yet.</p>",
        "<h2>How long it took</h2>",
        _latencies(latencies) if latencies else "<p class=soft>Nothing has come yet.</p>",
        "<h2>The latest calls</h2>",
        *(_trace(waterfall(spans)) for spans in traces[:SHOWN]),
        "" if traces else "<p class=soft>No call yet.</p>",
    ]
    return "".join(parts)


def _counts(points: Iterable[Point]) -> str:
    rows = (
        f"<tr><td title='{escape(point.description, quote=True)}'>{escape(point.name)}<td>{_split(point)}"
        f"<td class=n>{point.value:g}<td class=soft>{escape(point.unit)}"
        for point in points
    )
    return f"<table><tr><th>metric<th>of<th>value<th>unit{''.join(rows)}</table>"


def _latencies(points: Iterable[Point]) -> str:
    rows = (
        f"<tr><td title='{escape(point.description, quote=True)}'>{escape(point.name)}<td>{_split(point)}"
        f"<td class=n>{point.count}<td class=n>{duration(point.value / (point.count or 1))}"
        f"<td class=n>{duration(quantile(point, 0.5) or 0)}<td class=n>{duration(quantile(point, 0.95) or 0)}"
        for point in points
    )
    return f"<table><tr><th>metric<th>of<th>times<th>mean<th>half below<th>95 % below{''.join(rows)}</table>"


def _split(point: Point) -> str:
    return escape(", ".join(f"{name}={value}" for name, value in sorted(point.attributes.items())))


def _trace(found: Waterfall) -> str:
    height = ROW * len(found.rows) + 26
    state = "" if found.complete else " <span class=soft>(goes on)</span>"
    return (
        f"<h3>{escape(found.title)}{state}</h3><svg width={WIDTH} height={height} font-size=12>"
        f"{_axis(found, height)}{''.join(_row(found, row, at) for at, row in enumerate(found.rows))}</svg>"
    )


def _axis(found: Waterfall, height: int) -> str:
    step, parts, at = step_of(found.seconds), [], 0.0
    while at <= found.seconds:
        x = _x(found, at)
        parts.append(
            f"<line x1={x:.1f} x2={x:.1f} y1=18 y2={height} stroke='#e5e7eb'/>"
            f"<text x={x + 3:.1f} y=13 fill='#6b7280'>{duration(at) or '0'}</text>"
        )
        at += step
    return "".join(parts)


def _row(found: Waterfall, row: Row, at: int) -> str:
    span, y = row.span, 22 + at * ROW
    colour = _FAILED if span.failed else _COLOURS.get(span.service, _OTHER)
    x, width = _x(found, row.begin_s), _x(found, row.end_s) - _x(found, row.begin_s)
    told = [f"{name}: {value}" for name, value in span.attributes.items()]
    about = escape("\n".join([span.name, span.service, *told, *([span.failed] if span.failed else [])]))
    moments = "".join(
        f"<circle cx={_x(found, row.begin_s + moment.at - span.begun):.1f} cy={y + 6} r=3 fill='#1f2937'>"
        f"<title>{escape(moment.name)}</title></circle>"
        for moment in span.moments
    )
    inside = _x(found, row.end_s) + 70 > WIDTH
    place = f"x={x + 4:.1f} fill='#fff'" if inside and width > 60 else f"x={x + width + 6:.1f} fill='#6b7280'"
    return (
        f"<g><title>{about}</title><text x={4 + 12 * row.depth} y={y + 11}>{escape(span.name)}</text>"
        f"<rect x={x:.1f} y={y} width={max(2.0, width):.1f} height=13 rx=2 fill='{colour}'/>"
        f"<text {place} y={y + 11}>{row.took}</text>{moments}</g>"
    )


def _x(found: Waterfall, seconds: float) -> float:
    return LABELS + (WIDTH - LABELS - 60) * seconds / found.seconds
