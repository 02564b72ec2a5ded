"""What an SSML text says: the words between the tags, the pauses and the voice. Everything else is left out."""

import re
from dataclasses import dataclass
from xml.parsers import expat

LONGEST_BREAK_MS = 20_000
STRENGTHS_MS = {"none": 0, "x-weak": 250, "weak": 500, "medium": 750, "strong": 1000, "x-strong": 1250}
"""Of `<break strength=…>`, as Azure's speech service documents them."""
BLOCKS = frozenset({"p", "s", "voice", "speak", "break"})
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


class BadSsml(Exception):
    """The text is no SSML; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to say in one voice, and the pause after it (ms)."""

    text: str
    voice: str = ""
    pause_ms: int = 0


class _Reader:
    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._words: list[str] = []
        self._voices = [""]
        self._replaced: list[bool] = []
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()
        if self._depth == 0 and name != "speak":
            raise BadSsml("the outermost element is not speak")
        self._depth += 1
        if name in BLOCKS:
            self._end_piece(_pause_ms(attributes) if name == "break" else 0)
        aliased = name == "sub" and "alias" in attributes
        if aliased and not any(self._replaced):
            self._words.append(attributes["alias"])
        self._replaced.append(aliased)
        self._voices.append(attributes.get("name", "") if name == "voice" else self._voices[-1])

    def end(self, name: str) -> None:
        if name.rpartition(":")[2].lower() in BLOCKS:
            self._end_piece(0)
        self._voices.pop()
        self._replaced.pop()
        self._depth -= 1

    def text(self, data: str) -> None:
        if not any(self._replaced):
            self._words.append(data)

    def doctype(self, *_: object) -> None:
        raise BadSsml("a document type is not allowed")

    def _end_piece(self, pause_ms: int) -> None:
        text = " ".join("".join(self._words).split())
        self._words.clear()
        if text or pause_ms:
            self.pieces.append(Piece(text, self._voices[-1], pause_ms))


def _pause_ms(attributes: dict[str, str]) -> int:
    match = DURATION.fullmatch(attributes.get("time", "").strip().lower())
    if match is None:
        return STRENGTHS_MS.get(attributes.get("strength", "medium").lower(), STRENGTHS_MS["medium"])
    number = float(match[1]) * (1000 if match[2] == "s" else 1)
    return min(round(number), LONGEST_BREAK_MS)


def read_ssml(text: str) -> list[Piece]:
    """The pieces of an SSML text.

    Raises:
        BadSsml: not well-formed, not `<speak>`, or with a document type (which could be an entity bomb).
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise BadSsml(f"not well-formed: {error}") from None
    return reader.pieces
