"""A call's trace as a picture (PNG): `patchcord demo --trace`."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cli.metrics.waterfall import Row, Waterfall, duration, step_of

WIDTH, LEFT, RIGHT = 1600, 330, 110
TOP, ROW, BAR = 108, 27, 17

INK, SOFT, FAINT, PAPER, STRIPE = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff", "#f6f8fa"
COLOURS = {"patchcord-functions": "#2563eb", "patchcord-media": "#0f8a7e"}
NAMES = {"patchcord-functions": "function app", "patchcord-media": "media host"}
FAILED, OTHER = "#c81e1e", "#6b7280"


def draw_trace(found: Waterfall, target: Path) -> None:
    """Draw a trace into a PNG file 1600 pixels wide; it is as high as the trace has rows."""
    height = TOP + ROW * len(found.rows) + 24
    image = Image.new("RGB", (WIDTH, height), PAPER)
    _Picture(found, ImageDraw.Draw(image), height).draw()
    image.save(target, "PNG", optimize=True)


class _Picture:
    def __init__(self, found: Waterfall, draw: ImageDraw.ImageDraw, height: int) -> None:
        self._found = found
        self._draw = draw
        self._height = height
        self._fonts = {size: ImageFont.load_default(size) for size in (14, 15, 22)}

    def draw(self) -> None:
        self._text(24, 18, self._found.title.replace(" · ", ", "), 22, INK)
        x = 24.0
        for service, name in NAMES.items():
            self._draw.rounded_rectangle((x, 60, x + 26, 60 + 14), 3, fill=COLOURS[service])
            self._text(x + 34, 58, name, 15, SOFT)
            x += 60 + self._fonts[15].getlength(name)
        self._text(x, 58, "dots: what happened within a span; one trace, two processes", 15, SOFT)
        for at in range(0, len(self._found.rows), 2):
            self._draw.rectangle((0, TOP + at * ROW, WIDTH, TOP + (at + 1) * ROW - 1), fill=STRIPE)
        self._axis()
        for at, row in enumerate(self._found.rows):
            self._row(row, TOP + at * ROW)

    def _axis(self) -> None:
        step, at = step_of(self._found.seconds, 10), 0.0
        while at <= self._found.seconds:
            x = self._x(at)
            self._draw.line((x, TOP - 8, x, self._height - 16), fill=FAINT)
            self._text(x + 3, TOP - 22, duration(at) or "0", 14, SOFT)
            at += step

    def _row(self, row: Row, y: int) -> None:
        span = row.span
        colour = FAILED if span.failed else COLOURS.get(span.service, OTHER)
        x, end = self._x(row.begin_s), self._x(row.end_s)
        self._text(24 + 16 * row.depth, y + 4, span.name, 15, INK)
        self._draw.rounded_rectangle((x, y + 5, max(x + 3, end), y + 5 + BAR), 3, fill=colour)
        for moment in span.moments:
            at = self._x(row.begin_s + moment.at - span.begun)
            self._draw.ellipse((at - 4, y + 9, at + 4, y + 17), fill=PAPER, outline=INK)
        if row.took:
            self._text(max(x + 3, end) + 8, y + 4, row.took, 14, SOFT)

    def _x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self._found.seconds

    def _text(self, x: float, y: float, text: str, size: int, colour: str) -> None:
        self._draw.text((x, y), text, font=self._fonts[size], fill=colour)
