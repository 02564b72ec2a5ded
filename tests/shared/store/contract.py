"""What the contract suite runs on: one table of one store, opened as often as a test wants."""

import math
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from uuid import uuid4

from shared.store import Entity, EntityStore, open_store


@dataclass
class Backend:
    """A place for entities, empty at the start of a test.

    Attributes:
        name: `sqlite` or `tables`.
        address: what `open_store` takes.
        table: a table that no other test uses.
    """

    name: str
    address: str
    table: str = field(default_factory=lambda: f"t{uuid4().hex}")
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    def open(self) -> EntityStore:
        """Another connection to the same place, closed at the end of the test."""
        store = open_store(self.address)
        self.opened.push_async_callback(store.close)
        return store


def row(key: str = "r", partition: str = "p", /, **values: object) -> Entity:
    return Entity(partition, key, values)


GOOD_VALUES = {
    "empty": "",
    "text": "Grüße, 世界, \U0001f4de, 'quoted', \"double\", back\\slash, 100 %, new\nline, tab\t",
    "looks like a date": "2026-01-02T03:04:05.678Z",
    "looks like a number": "0012",
    "looks like JSON": '{"a": [1, 2.0]}',
    "longest text": "x" * 32_000,
    "longest wide text": "\U0001f4de" * 16_000,
    "zero": 0,
    "32 bit": 2**31 - 1,
    "32 bit below": -(2**31),
    "more than 32 bit": 2**31,
    "more than a float holds": 2**53 + 1,
    "64 bit": 2**63 - 1,
    "64 bit below": -(2**63),
    "whole float": 1.0,
    "zero float": 0.0,
    "float": 0.1,
    "unix time": 1795245376.0446727,
    "great float": 1.7976931348623157e308,
    "small float": 5e-324,
    "true": True,
    "false": False,
}

BAD_VALUES = {
    "no value": None,
    "not a number": math.nan,
    "infinite": -math.inf,
    "65 bit": 2**63,
    "65 bit below": -(2**63) - 1,
    "bytes": b"x",
    "list": ["x"],
    "mapping": {"a": 1},
    "too long": "x" * 32_001,
    "too long in UTF-16": "\U0001f4de" * 16_001,
    "half a surrogate pair": "\ud83d",
}

BAD_KEYS = {
    "empty": "",
    "slash": "a/b",
    "backslash": "a\\b",
    "hash": "a#b",
    "question mark": "a?b",
    "control character": "a\nb",
    "high control character": "a\x85b",
    "beyond the basic plane": "\U0001f4de",
    "half a surrogate pair": "\ud83d",
    "too long": "k" * 513,
    "no text": 7,
}

ODD_KEYS = [
    "k" * 512,
    "with space",
    "it's",
    "50%",
    "%2F",
    "a+b&c=d",
    "Ünïcode-世界",
    "8:acs:a_b-c",
    "+14255550100",
    "$ns",
    "*",
]

BAD_TABLES = ["", "ab", "a" * 64, "1abc", "Calls", "call-s", "tables", "calls\n", "câlls"]

BAD_NAMES = [
    "",
    "1a",
    "a-b",
    "a b",
    "_write",
    "odata.type",
    "PartitionKey",
    "RowKey",
    "Timestamp",
    "n" * 256,
    "é",
]
