"""JSON from outside: parsed with bounds, and read field by field with the place of every mistake.

`msgspec` does the parsing: it refuses NaN, bytes that are no UTF-8 and half surrogates, which Python's own parser lets
through and which then break a store or a log far from here.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from shared.errors import InvalidInput

MAX_DEPTH = 32
"""Levels of nesting; what ACS and Event Grid send has about six."""


def decode(body: bytes, *, field: str, limit: int) -> object:
    """The value in `body`.

    Args:
        body: JSON as UTF-8.
        field: what to call the whole in an error ("body").
        limit: bytes at most.

    Raises:
        InvalidInput: too long, no JSON, or nested deeper than `MAX_DEPTH`.
    """
    if len(body) > limit:
        raise InvalidInput(field, f"at most {limit} bytes")
    try:
        value: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # from None: the parser's text quotes what it has read
        raise InvalidInput(field, "JSON") from None
    level = list(_children((value,)))
    for _ in range(MAX_DEPTH):
        if not level:
            return value
        level = list(_children(level))
    raise InvalidInput(field, f"JSON of at most {MAX_DEPTH} levels")


def _children(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def as_object(value: object, *, field: str) -> dict[str, object]:
    """`value` if it is a JSON object.

    Raises:
        InvalidInput: it is anything else, or missing.
    """
    if isinstance(value, dict):
        return value
    raise InvalidInput(field, "an object")


def text(value: object, *, field: str, limit: int, default: str | None = None) -> str:
    """`value` if it is text of 1 to `limit` characters without control characters.

    Args:
        value: what was found; None stands for a missing key.
        field: where it was found.
        limit: characters at most.
        default: what to return for missing or empty text; without it that is an error.

    Raises:
        InvalidInput: it is anything else.
    """
    if default is not None and (value is None or value == ""):
        return default
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
        return value
    raise InvalidInput(field, f"text of 1 to {limit} characters")


LINE = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]"
"""One character of a line, as Python and JSON Schema both understand it: anything but a control character or a line break."""

CLIENT_ID = r"(?!\.{1,2}$)[!-.0-~]{1,128}"
"""An id that a client chooses: it stands in paths, so visible ASCII, no slash, and no `.` or `..`."""


def line(value: object, *, field: str, limit: int, default: str | None = None) -> str:
    """`value` if it is one line of 1 to `limit` characters of any script; otherwise as `text`.

    Raises:
        InvalidInput: it is anything else.
    """
    if default is not None and (value is None or value == ""):
        return default
    if isinstance(value, str) and re.fullmatch(f"{LINE}{{1,{limit}}}", value):
        return value
    raise InvalidInput(field, f"one line of text, 1 to {limit} characters")


def client_id(value: object, *, field: str) -> str:
    """`value` if it can be a client's id (`CLIENT_ID`).

    Raises:
        InvalidInput: it is anything else.
    """
    if isinstance(value, str) and re.fullmatch(CLIENT_ID, value):
        return value
    raise InvalidInput(field, "1 to 128 visible ASCII characters, without /")


def whole_number(value: object, *, field: str, default: int) -> int:
    """`value` if it is a whole number of at most 32 bits; `default` if it is missing.

    Raises:
        InvalidInput: it is anything else.
    """
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
        return value
    raise InvalidInput(field, "a whole number")
