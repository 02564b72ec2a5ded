"""The route table: templates of HTTP functions, matched as the real host does (functions.md 2.2 and 7.3).

A template's segments are a literal, `{name}`, `{name:int}`, `{name:guid}`, `{name:alpha}`, an optional `{name?}` at the end or a
catch-all `{*name}` at the end. Matching ignores case; literals win over parameters, segment by segment. A path that matches
with the wrong method is "not found" (404, never 405; azure-functions-host issues 10098 and 11625).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from emulator.functions_host.engine import LoadFailed

_GUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_PARAMETER = re.compile(
    r"\{(?P<star>\*?)(?P<name>[A-Za-z_][A-Za-z0-9_-]*)(?::(?P<kind>[a-z]+))?(?P<optional>\??)\}"
)
_LITERAL = re.compile(r"[^{}?#]+")
RESERVED = ("admin", "runtime")  # the host's own first segments

CONSTRAINTS: Mapping[str, Callable[[str], object]] = {
    "": lambda text: text != "",
    "int": lambda text: re.fullmatch(r"-?[0-9]{1,10}", text) and -(2**31) <= int(text) < 2**31,
    "guid": _GUID.fullmatch,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]+", text),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a template: `literal` (lower case), or a parameter with a constraint."""

    literal: str = ""
    name: str = ""
    kind: str = ""
    optional: bool = False
    rest: bool = False

    @property
    def rank(self) -> int:
        """Lower is tried first: literal, constrained parameter, parameter, catch-all (ASP.NET's order)."""
        if not self.name:
            return 1
        return 5 if self.rest else 2 if self.kind else 3

    @property
    def shape(self) -> str:
        """Two templates of the same shapes match the same paths, whatever their parameters are called."""
        if not self.name:
            return self.literal
        return f"{{{'*' if self.rest else ''}:{self.kind}{'?' if self.optional else ''}}}"


def parse_template(template: str, *, function: str) -> tuple[Segment, ...]:
    """Split a template into segments.

    Raises:
        LoadFailed: a segment cannot be read, or an optional one or a catch-all is not the last.
    """

    def wrong(reason: str) -> LoadFailed:
        return LoadFailed(f"The '{function}' function is in error: route template '{template}': {reason}")

    segments: list[Segment] = []
    texts = template.strip("/").split("/") if template.strip("/") else []
    for position, text in enumerate(texts):
        match = _PARAMETER.fullmatch(text)
        if match is None:
            if not _LITERAL.fullmatch(text):
                raise wrong(
                    f"segment '{text}' cannot be read (literal, {{name}}, {{name:int}}, {{name?}}, {{*rest}})"
                )
            segments.append(Segment(literal=text.lower()))
            continue
        kind = match["kind"] or ""
        if kind not in CONSTRAINTS:
            raise wrong(f"constraint '{kind}' is not known to this host (int, guid, alpha)")
        segment = Segment("", match["name"], kind, bool(match["optional"]), bool(match["star"]))
        if (segment.optional or segment.rest) and position != len(texts) - 1:
            raise wrong(f"'{text}' must be the last segment")
        if segment.name.lower() in (other.name.lower() for other in segments):
            raise wrong(f"parameter '{segment.name}' stands there twice")
        segments.append(segment)
    return tuple(segments)


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP function's address.

    Attributes:
        function: its name.
        template: with the prefix, for messages and logs.
        segments: the parsed template.
        methods: upper case; empty for every method.
    """

    function: str
    template: str
    segments: tuple[Segment, ...]
    methods: frozenset[str]

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """The route parameters if the decoded path segments `parts` fit, else None."""
        found: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            if segment.rest:
                if position < len(parts):
                    found[segment.name] = "/".join(parts[position:])
                return found
            if position >= len(parts):
                return found if segment.optional else None
            part = parts[position]
            if segment.name:
                if not CONSTRAINTS[segment.kind](part):
                    return None
                found[segment.name] = part
            elif part.lower() != segment.literal:
                return None
        return found if len(parts) == len(self.segments) else None


class RouteTable:
    """All routes of an app.

    Args:
        prefix: host.json's `extensions.http.routePrefix`; "" for none.
    """

    def __init__(self, prefix: str = "api") -> None:
        self._prefix = prefix.strip("/")
        self._routes: list[Route] = []

    def add(self, function: str, route: str | None, methods: Sequence[str] = ()) -> Route:
        """Add a function's route (its name when it has none).

        Raises:
            LoadFailed: the template is wrong, begins with one of the host's own segments, or takes another function's address.
        """
        template = "/".join(filter(None, (self._prefix, (function if route is None else route).strip("/"))))
        new = Route(
            function,
            f"/{template}",
            parse_template(template, function=function),
            frozenset(method.upper() for method in methods),
        )
        if new.segments and new.segments[0].literal in RESERVED:
            raise LoadFailed(
                f"The '{function}' function is in error: The specified route conflicts with one or more built in routes."
            )
        shape = [segment.shape for segment in new.segments]
        for other in self._routes:
            overlap = not new.methods or not other.methods or bool(new.methods & other.methods)
            if overlap and shape == [segment.shape for segment in other.segments]:
                raise LoadFailed(
                    f"The '{function}' function is in error: its route '{new.template}' is also that of '{other.function}'."
                )
        self._routes.append(new)
        self._routes.sort(key=lambda item: [segment.rank for segment in item.segments])
        return new

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route that fits method and path (percent-encoded, without the query), with its parameters."""
        path = raw_path.removeprefix("/").removesuffix("/")
        parts = [unquote(part) for part in path.split("/")] if path else []
        for route in self._routes:
            if route.methods and method.upper() not in route.methods:
                continue
            found = route.match(parts)
            if found is not None:
                return route, found
        return None
