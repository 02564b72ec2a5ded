"""What both stores accept, checked before anything is sent, so that a wrong key has the same name and the same error in both.

The limits are those of Azure Tables ("Understanding the Table service data model", learn.microsoft.com); sizes count UTF-16 code
units of two bytes, as the service does.
"""

import math
import re
from collections.abc import Mapping

from shared.errors import InvalidInput
from shared.store.entities import Entity, Value

MAX_KEY = 512
"""Longest partition or row key (UTF-16 code units; 1 KiB)."""
MAX_TEXT = 32_000
"""Longest text value (UTF-16 code units; the service takes 64 KiB)."""
MAX_PROPERTIES = 250
"""Most properties of one entity (the service takes 252; one is the table store's own)."""
MAX_ENTITY_BYTES = 1_000_000
"""Largest entity, counted as the service does (it takes 1 MiB)."""
MAX_LIMIT = 10_000
"""Most entities that one query may ask for."""

_TABLE = re.compile(r"(?!tables$)[a-z][a-z0-9]{2,62}")
_NAME = re.compile(r"(?!(?:PartitionKey|RowKey|Timestamp)$)[A-Za-z][A-Za-z0-9_]{0,254}")
_KEY = re.compile(r"[^/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]+")


def check_table(table: str) -> None:
    """Raises InvalidInput unless `table` is 3-63 lower-case letters and digits, a letter first (and not `tables`)."""
    if not _TABLE.fullmatch(table):
        raise InvalidInput("table", "3 to 63 of a-z and 0-9, a letter first")


def check_key(field: str, key: str) -> None:
    r"""A partition or row key.

    Characters beyond U+FFFF are refused because the two stores would sort them differently (UTF-16 against code points).

    Raises:
        InvalidInput: it is empty, too long, or has one of `/ \\ # ?`, a control character or one beyond U+FFFF.
    """
    if not isinstance(key, str) or len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise InvalidInput(
            field, f"1 to {MAX_KEY} characters, none of / \\ # ?, no control character, none beyond U+FFFF"
        )


def check_bounds(after: str, before: str, limit: int) -> None:
    """Raises InvalidInput when a bound of a query is neither "" nor a key, or `limit` is not 1-10,000."""
    for field, bound in (("after", after), ("before", before)):
        if bound:
            check_key(field, bound)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput("limit", f"a whole number from 1 to {MAX_LIMIT}")


def check_entity(entity: Entity) -> dict[str, Value]:
    """The values of an entity that may be stored, as a new dict of plain `str`, `int`, `float` and `bool`.

    Raises:
        InvalidInput: names the key or the value (`values.NAME`) that no store takes.
    """
    check_key("partition", entity.partition)
    check_key("row", entity.row)
    if len(entity.values) > MAX_PROPERTIES:
        raise InvalidInput("values", f"at most {MAX_PROPERTIES} properties")
    values = {name: _plain(name, value) for name, value in entity.values.items()}
    if _size(entity, values) > MAX_ENTITY_BYTES:
        raise InvalidInput("values", f"at most {MAX_ENTITY_BYTES} bytes altogether")
    return values


def _plain(name: str, value: object) -> Value:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"values.{name}", "a name of letters, digits and _, a letter first")
    match value:
        case bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case str() if _units(value) in range(MAX_TEXT + 1):
            return str(value)
    raise InvalidInput(
        f"values.{name}",
        f"text (at most {MAX_TEXT} characters), a whole number of 64 bits, a finite float or a bool",
    )


def _units(text: str) -> int:
    """Length in UTF-16 code units; -1 when the text has half a surrogate pair, which no store can keep."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return -1


def _size(entity: Entity, values: Mapping[str, Value]) -> int:
    size = 4 + 2 * len(entity.partition + entity.row)
    for name, value in values.items():
        size += 8 + 2 * len(name) + (4 + 2 * _units(value) if isinstance(value, str) else 8)
    return size
