"""Labels beside each other without overlap: each begins at its own x, in the first row with room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

GAP = 10


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place.

    Attributes:
        index: of the text in what was given.
        x: left edge (px).
        row: its first row, from 0.
        lines: the text, a row each.
        width: of the widest line (px).
    """

    index: int
    x: int
    row: int
    lines: tuple[str, ...]
    width: int


def shorten(text: str, width: int, measure: Callable[[str], float]) -> str:
    """`text`, or as much of its beginning as fits into `width` pixels with an ellipsis; "" if not even that does."""
    if measure(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…" if low else ""


def wrap(text: str, width: int, most: int, measure: Callable[[str], float]) -> tuple[str, ...]:
    """`text` in at most `most` lines of `width` pixels; what is left over ends in an ellipsis."""
    words, lines = text.split(), list[str]()
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and measure(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        lines.append(shorten(line, width, measure))
    if words:
        lines.append(shorten(" ".join(words), width, measure))
    return tuple(line for line in lines if line)


def place(
    items: Sequence[tuple[int, str]],
    rows: int,
    right: int,
    measure: Callable[[str], float],
    *,
    widest: int = 360,
    narrowest: int = 110,
    most_lines: int = 1,
    padding: int = 0,
) -> list[Label]:
    """Give each of `items` (left edge, text; ascending) a place in `rows` rows up to the pixel `right`.

    From the right to the left: an earlier label then stands below those that it would run into, and the line that leads
    from its x straight down crosses none of them. A text is wrapped to the room before the next one, and shortened if that
    is not enough; what has no room at all is left out of the result.
    """
    taken: list[int] = [right] * rows  # the x up to which each row is free, seen from the left
    result: list[Label] = []
    following = right
    for index in reversed(range(len(items))):
        x, text = items[index]
        most = min(widest, right - x) - padding
        room = min(most, max(narrowest, following - x - GAP) - padding)
        label = _fit(index, x, text, taken, measure, most, room, most_lines, padding)
        if label is not None:
            for row in range(label.row, label.row + len(label.lines)):
                taken[row] = x - GAP
            # Rows above stay free up to here only: the leader passes through them.
            for row in range(label.row):
                taken[row] = min(taken[row], x - GAP // 2)
            result.append(label)
        following = x
    return result[::-1]


def _fit(
    index: int,
    x: int,
    text: str,
    taken: Sequence[int],
    measure: Callable[[str], float],
    widest: int,
    room: int,
    most_lines: int,
    padding: int,
) -> Label | None:
    # A label of one line may as well stand whole in a lower row; a text is wrapped to the room before the next one.
    whole = [(widest, 1)] if most_lines == 1 else []
    for width_limit, count in [*whole, *((room, count) for count in range(most_lines, 0, -1))]:
        lines = wrap(text, width_limit, count, measure)
        if not lines:
            return None
        width = round(max(measure(line) for line in lines)) + padding
        for row in range(len(taken) - len(lines) + 1):
            if all(x + width <= taken[line] for line in range(row, row + len(lines))):
                return Label(index, x, row, lines, width)
    # No row has room for that much: the row with the most room takes what fits.
    row = max(range(len(taken)), key=lambda number: taken[number])
    short = shorten(text, taken[row] - x - padding, measure)
    return Label(index, x, row, (short,), round(measure(short)) + padding) if len(short) > 3 else None
