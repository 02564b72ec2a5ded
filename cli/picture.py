"""call.png: a call at a glance. Both sides' waveforms over one time axis, and under it what happened and what was said."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cli.call_plot import (
    END,
    EVENT,
    FAULT,
    KEYS,
    VOICE,
    WARNING,
    Bar,
    Marker,
    Record,
    Scale,
    bars,
    markers,
    scale_of,
    subtitle,
    title,
)
from cli.label_rows import Label, place, shorten
from cli.waveform import Peaks, Waveform, columns, read_waveform, speech

WIDTH, HEIGHT = 1600, 900
LEFT, RIGHT = 120, 1392
"""The time axis' pixels; labels may run on to the right of it."""
EDGE = WIDTH - 24

CALLER_TOP, AGENT_TOP, PANEL = 108, 256, 146
AXIS = AGENT_TOP + PANEL
EVENTS_TOP, EVENT_ROW, EVENT_ROWS = 450, 25, 5
LANES = {"caller": 584, "agent": 734}
LANE, BAR, LINE, LINES = 142, 20, 22, 5

INK, SOFT, FAINT, PAPER, PANEL_FILL = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff", "#f6f8fa"
CALLER, AGENT = "#2563eb", "#0f8a7e"
LIGHT = {"caller": "#dbe7fd", "agent": "#d3efeb"}
TONES = {
    EVENT: "#64748b",
    VOICE: "#15803d",
    KEYS: "#7c3aed",
    WARNING: "#d9580a",
    FAULT: "#c81e1e",
    END: "#1f2937",
}
_PLAIN = str.maketrans({"–": "-", "—": "-", "→": "to"})
_FULL_SCALE_LEAST = 2000  # a silent recording is not blown up to look loud


def draw_call(record: Record, wav: Path, target: Path) -> None:
    """Draw a call into a PNG file of 1600x900 pixels.

    Args:
        record: the call's record (`call.json`).
        wav: its recording, stereo PCM16, caller left, agent right; its first sample is at `media.startedAt`.
        target: where the picture goes; replaced if it is there.

    Raises:
        InvalidInput: `wav` is no such recording.
    """
    wave = read_waveform(wav)
    spoken = {
        "caller": bars(record, "caller", speech(wave.caller)),
        "agent": bars(record, "agent", speech(wave.agent)),
    }
    moments = markers(record)
    scale = scale_of(wave.seconds, [marker.at for marker in moments], LEFT, RIGHT)
    _Picture(scale).draw(record, wave, spoken["caller"], spoken["agent"], moments).save(
        target, "PNG", optimize=True
    )


class _Picture:
    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._fonts = {size: ImageFont.load_default(size) for size in (15, 16, 17, 26)}
        self._left_out = 0

    def draw(
        self,
        record: Record,
        wave: Waveform,
        caller: Sequence[Bar],
        agent: Sequence[Bar],
        moments: Sequence[Marker],
    ) -> Image.Image:
        self._text(
            24, 22, shorten(self._known(title(record, wave.seconds)), WIDTH - 48, self._measure(26)), 26, INK
        )
        self._text(24, 64, shorten(self._known(subtitle(record)), WIDTH - 48, self._measure(16)), 16, SOFT)
        loudest = max(_FULL_SCALE_LEAST, *(int(side.max(initial=0)) for side in (wave.caller, wave.agent)))
        self._panel("Caller", CALLER_TOP, CALLER, LIGHT["caller"], wave.caller, caller, loudest)
        self._panel("Agent", AGENT_TOP, AGENT, LIGHT["agent"], wave.agent, agent, loudest)
        self._axis()
        self._markers(moments)
        self._lane("caller", CALLER, caller)
        self._lane("agent", AGENT, agent)
        if self._left_out:
            note = f"{self._left_out} labels have no room here; call.json has them all"
            self._text(LEFT, HEIGHT - 24, note, 15, SOFT)
        return self._image

    def _measure(self, size: int) -> Callable[[str], float]:
        return self._fonts[size].getlength

    def _known(self, text: str) -> str:
        """`text` in characters that Pillow's own font has shapes for: accents are dropped, other letters become `?`."""
        font = self._fonts[17]
        missing = bytes(font.getmask("\uffff"))

        def known(char: str) -> str:
            if char.isspace():
                return " "
            if bytes(font.getmask(char)) != missing:
                return char
            plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
            return plain or "?"

        return "".join(known(char) for char in text.translate(_PLAIN))

    def _text(self, x: int, y: int, text: str, size: int, fill: str, anchor: str = "la") -> None:
        self._draw.text((x, y), text, font=self._fonts[size], fill=fill, anchor=anchor)

    def _panel(
        self, name: str, top: int, colour: str, light: str, peaks: Peaks, spoken: Sequence[Bar], loudest: int
    ) -> None:
        middle = top + PANEL // 2
        self._draw.rectangle((LEFT, top, RIGHT, top + PANEL - 8), fill=PANEL_FILL)
        for bar in spoken:
            x0, x1 = self._scale.x(bar.span.start), self._scale.x(bar.span.end)
            self._draw.rectangle((x0, top, x1, top + PANEL - 8), fill=light)
        self._text(24, middle - 4, name, 17, colour, "lm")
        self._draw.line((LEFT, middle - 4, RIGHT, middle - 4), fill=colour)
        seconds = np.linspace(self._scale.start, self._scale.end, RIGHT - LEFT + 2)
        reach = (PANEL - 8) / 2 - 3
        for offset, peak in enumerate(columns(peaks, seconds)):
            half = round(int(peak) / loudest * reach)
            if half:
                x = LEFT + offset
                self._draw.line((x, middle - 4 - half, x, middle - 4 + half), fill=colour)

    def _axis(self) -> None:
        self._draw.line((LEFT, AXIS, RIGHT, AXIS), fill=SOFT)
        for seconds in self._scale.ticks():
            x = self._scale.x(seconds)
            self._draw.line((x, AXIS, x, AXIS + 6), fill=SOFT)
            self._text(x, AXIS + 10, _clock(seconds), 15, SOFT, "ma")
        self._text(24, AXIS + 10, "Time", 15, SOFT)

    def _markers(self, moments: Sequence[Marker]) -> None:
        self._text(24, EVENTS_TOP + 4, "Events", 17, INK)
        measure = self._measure(16)
        items = [(self._scale.x(marker.at), self._known(marker.label)) for marker in moments]
        labels = place(items, EVENT_ROWS, EDGE, measure, widest=320, narrowest=150, padding=16)
        self._left_out += len(moments) - len(labels)
        rows = {label.index: label.row for label in labels}
        for index, marker in enumerate(moments):
            for at in marker.ticks:
                x = self._scale.x(at)
                self._dashed(x, CALLER_TOP, AXIS, TONES[marker.tone])
                self._draw.rectangle((x - 1, AXIS - 5, x + 1, AXIS + 6), fill=TONES[marker.tone])
            x = self._scale.x(marker.at)
            if index in rows:
                foot = EVENTS_TOP + rows[index] * EVENT_ROW
                self._draw.line((x, AXIS + 30, x, foot + 8), fill=TONES[marker.tone])
        for label in labels:
            self._pill(label, TONES[moments[label.index].tone])

    def _pill(self, label: Label, colour: str) -> None:
        top = EVENTS_TOP + label.row * EVENT_ROW
        self._draw.rounded_rectangle(
            (label.x, top, label.x + label.width, top + EVENT_ROW - 4), 6, fill=colour
        )
        self._text(label.x + 8, top + (EVENT_ROW - 4) // 2, label.lines[0], 16, PAPER, "lm")

    def _dashed(self, x: int, top: int, bottom: int, colour: str) -> None:
        for y in range(top, bottom, 8):
            self._draw.line((x, y, x, min(y + 4, bottom)), fill=colour)

    def _lane(self, who: str, colour: str, spoken: Sequence[Bar]) -> None:
        top = LANES[who]
        self._draw.line((24, top - 8, EDGE, top - 8), fill=FAINT)
        self._text(24, top + BAR // 2, f"{who.capitalize()} says", 17, colour, "lm")
        if any(bar.interrupted for bar in spoken):
            self._draw.rectangle((24, top + 31, 27, top + 47), fill=TONES[WARNING])
            self._text(33, top + 39, "interrupted", 15, SOFT, "lm")
        items = [(self._scale.x(bar.span.start), self._known(bar.text)) for bar in spoken if bar.text]
        labels = place(
            items, LINES, EDGE, self._measure(17), most_lines=LINES, widest=420, narrowest=170, padding=8
        )
        self._left_out += len(items) - len(labels)
        for bar in spoken:
            x0 = self._scale.x(bar.span.start)
            x1 = max(x0 + 3, self._scale.x(bar.span.end))
            self._draw.rounded_rectangle((x0, top, x1, top + BAR), 4, fill=colour)
            if bar.interrupted:
                self._draw.rectangle((max(x0, x1 - 4), top - 3, x1, top + BAR + 3), fill=TONES[WARNING])
        for label in labels:
            y = top + BAR + 8 + label.row * LINE
            self._draw.line((label.x, top + BAR, label.x, y + len(label.lines) * LINE - 4), fill=colour)
            for number, line in enumerate(label.lines):
                self._text(label.x + 8, y + number * LINE, line, 17, INK)


def _clock(seconds: float) -> str:
    """A tick's text: `12 s`, or `2:05` from two minutes on."""
    if abs(seconds) < 120:
        return f"{seconds:g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
