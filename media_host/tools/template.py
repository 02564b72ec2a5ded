"""Texts with `{argument}` and `{secure.NAME}` in them, and addresses made of such texts.

An argument comes from the model, and so, in the end, from whoever talks to it. It is percent-encoded where it stands, can
neither add a segment or a parameter to an address nor climb out of a folder, and no part of the host is ever a template.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from media_host.tools.tool import ToolFailed, WrongArguments
from shared.errors import ConfigurationError

PLACEHOLDER = re.compile(r"\{(secure\.)?([A-Za-z_][A-Za-z0-9_-]*)\}")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
LITERAL = "/%:@!$&'()*+,;=~-._[]"
"""What stays as it is in the parts of an address that the operator wrote."""


class Missing(Exception):
    """An argument that a text needs was not given."""


@dataclass(frozen=True, slots=True)
class Values:
    """What fills templates: a call's arguments and its secure digits."""

    arguments: Mapping[str, object]
    secure: Mapping[str, str]

    def raw(self, name: str, secure: bool) -> object:
        """The value itself.

        Raises:
            Missing: no such argument.
            ToolFailed: these secure digits have not been collected.
        """
        if secure:
            if name not in self.secure:
                raise ToolFailed(f"digits not collected: {name}")
            return self.secure[name]
        if name not in self.arguments:
            raise Missing
        return self.arguments[name]

    def text(self, name: str, secure: bool) -> str:
        """The value as text: numbers and true/false as JSON writes them.

        Raises:
            Missing, ToolFailed: as `raw`.
            WrongArguments: it is a list, an object or null, or no Unicode text.
        """
        value = self.raw(name, secure)
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise WrongArguments(f"{name}: expected Unicode text") from None
            return value
        if isinstance(value, bool | int | float):
            return msgspec.json.encode(value).decode()
        raise WrongArguments(f"{name}: expected text or a number")


class Text:
    """A text with placeholders.

    Args:
        text: braces that are no placeholder stay as they are.

    Attributes:
        arguments: names of the arguments in it.
        secure: names of the secure digits in it.
        alone: the one placeholder (name, whether secure) that is the whole text, if it is.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[str | tuple[str, bool]] = []  # literal text, or (name, secure)
        at = 0
        for found in PLACEHOLDER.finditer(text):
            self._parts += [text[at : found.start()], (found[2], bool(found[1]))]
            at = found.end()
        self._parts.append(text[at:])
        names = [part for part in self._parts if isinstance(part, tuple)]
        self.arguments = frozenset(name for name, secure in names if not secure)
        self.secure = frozenset(name for name, secure in names if secure)
        self.alone = names[0] if PLACEHOLDER.fullmatch(text) else None

    def pieces(self, values: Values) -> Iterator[tuple[str, bool]]:
        """The text in pieces, each with whether it was filled in.

        Raises:
            Missing, ToolFailed, WrongArguments: as `Values.text`.
        """
        for part in self._parts:
            yield (part, False) if isinstance(part, str) else (values.text(*part), True)

    def fill(self, values: Values) -> str:
        """The filled text. Raises as `pieces`."""
        return "".join(piece for piece, _ in self.pieces(values))


class Address:
    """An address whose path and query may hold placeholders.

    Args:
        url: scheme and host, then path and query; no fragment.
        place: where it stands, for messages.

    Attributes:
        arguments: names of the arguments in it.
        secure: names of the secure digits in it.
        needed: the arguments of its path; a parameter of the query is left out when its argument is.

    Raises:
        ConfigurationError: a brace outside a placeholder, or a placeholder before the path.
    """

    def __init__(self, url: str, place: str) -> None:
        found = re.fullmatch(r"(https?://[^/?#{}]+)(/[^?#]*)?(?:\?([^#]*))?", url)
        if found is None or re.search(r"[{}]", PLACEHOLDER.sub("", url)):
            expected = (
                "an address with {argument} or {secure.NAME} in its path or query only, and no other braces"
            )
            raise ConfigurationError(place, expected, url)
        self._base = found[1]
        self._segments = [Text(segment) for segment in (found[2] or "/")[1:].split("/")]
        self._query = [Text(pair) for pair in found[3].split("&")] if found[3] else []
        self.needed = frozenset[str]().union(*(text.arguments for text in self._segments))
        self.arguments = self.needed.union(*(text.arguments for text in self._query))
        self.secure = frozenset[str]().union(*(text.secure for text in (*self._segments, *self._query)))

    def fill(self, values: Values) -> str:
        """The address, percent-encoded; to be used as it is.

        Raises:
            Missing, ToolFailed, WrongArguments: as `Values.text`; a value cannot stand in its place.
        """
        path = "/".join(_segment(text, values) for text in self._segments)
        pairs = []
        for text in self._query:
            try:
                pairs.append(_encoded(text.pieces(values)))
            except Missing:
                continue
        return f"{self._base}/{path}" + ("?" + "&".join(pairs) if pairs else "")


def _segment(text: Text, values: Values) -> str:
    pieces = list(text.pieces(values))
    whole = "".join(piece for piece, _ in pieces)
    if any(filled for _, filled in pieces):
        # Encoded slashes and dots are decoded by some servers before they look for the path: then these would climb.
        climbs = {".", ".."} & set(re.split(r"[/\\]", whole))
        if (
            not whole
            or climbs
            or CONTROLS.search(whole)
            or not all(piece for piece, filled in pieces if filled)
        ):
            raise WrongArguments("expected values that can stand in an address")
    return _encoded(iter(pieces))


def _encoded(pieces: Iterator[tuple[str, bool]]) -> str:
    return "".join(quote(piece, safe="" if filled else LITERAL) for piece, filled in pieces)
