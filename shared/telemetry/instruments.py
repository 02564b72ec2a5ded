"""What code counts and measures with. Nothing is kept here: without a backend a call is one comparison.

Attribute values become part of a metric's name in every system that keeps metrics, so only short machine names get through;
anything else (a text from outside, an address, a token) is counted as `other`.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from weakref import WeakKeyDictionary

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:-]{0,63}")
_DIGITS = re.compile(r"(?:\d[ ._:-]?){7}")
OTHER = "other"

type Attributes = Mapping[str, str]
type Record = Callable[[float, Attributes], None]


class Kind(StrEnum):
    """How a metric's values go together: added up, spread over buckets, or the last one."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """What stands in the table.

    Attributes:
        name: `patchcord.…`, as alerts and workbooks ask for it.
        kind: how values go together.
        unit: UCUM: `s`, or `{call}` for things that are counted.
        description: for people.
        attributes: by what it can be split.
        where: which process reports it: `functions`, `media` or `both`.
        buckets: upper bounds of a histogram's buckets.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    where: str = "both"
    buckets: Sequence[float] = ()


class Meter(Protocol):
    """Keeps and exports what is measured."""

    def recorder(self, metric: Metric) -> Record:
        """Takes the values of a counter or a histogram."""
        ...

    def observe(self, metric: Metric, read: Callable[[], Sequence[tuple[float, Attributes]]]) -> None:
        """Asks `read` for the values of a gauge whenever they are exported."""
        ...


def clean(attributes: Attributes) -> dict[str, str]:
    """The attributes with every value that is no short machine name replaced by `other`; empty ones are left out."""
    return {
        name: value if _NAME.fullmatch(value) and not _DIGITS.search(value) else OTHER
        for name, value in attributes.items()
        if value
    }


@dataclass(slots=True)
class Instrument:
    """Counts or measures one metric."""

    metric: Metric
    record: Record | None = None

    def add(self, value: float = 1, attributes: Attributes | None = None, /, **more: str) -> None:
        """Count `value` more, or take it as one measurement."""
        if self.record is not None:
            self.record(value, clean({**(attributes or {}), **more}))

    @contextmanager
    def timing(self, **attributes: str) -> Iterator[dict[str, str]]:
        """Measure how long the block takes (s); it may add attributes. What it raises is the attribute `result`, else `ok`."""
        if self.record is None:
            yield {}
            return
        began, found = time.monotonic(), {"result": "ok", **attributes}
        try:
            yield found
        except BaseException as error:  # counted by its class, and raised on
            found["result"] = type(error).__name__
            raise
        finally:
            self.add(time.monotonic() - began, found)


@dataclass(slots=True)
class Gauge:
    """Values that are asked for. Whoever has one is watched as long as it lives."""

    metric: Metric
    _watched: "WeakKeyDictionary[Any, tuple[Callable[[Any], float | None], Attributes]]" = field(
        default_factory=WeakKeyDictionary
    )

    def watch[T](self, owner: T, read: Callable[[T], float | None], **attributes: str) -> None:
        """Ask `read(owner)` from now on; None is no value."""
        self._watched[owner] = (read, attributes)

    def values(self) -> list[tuple[float, Attributes]]:
        """What all that are watched say now; it is called by a thread of the exporter's."""
        found = [(read(owner), attributes) for owner, (read, attributes) in list(self._watched.items())]
        return [(value, clean(attributes)) for value, attributes in found if value is not None]
