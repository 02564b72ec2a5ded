"""Whose call is it that this task works on? Logs and spans ask here, so that nobody has to hand it through.

It is a context variable: a task that is started for a call keeps it, and so do the tasks that it starts.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-0([0-9a-f])")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span that others may hang theirs below (W3C Trace Context, level 1).

    Attributes:
        trace_id: 32 hexadecimal digits in small letters.
        span_id: 16 of them.
        sampled: whether its trace is exported.
    """

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-0{int(self.sampled)}"


def parse_trace(text: object) -> TraceContext | None:
    """The context in a `traceparent`, or None for whatever else: nobody is refused for the sake of a trace."""
    found = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else TraceContext(found[1], found[2], bool(int(found[3], 16) & 1))


@dataclass(frozen=True, slots=True)
class Current:
    """A call, by our id ("" for none), and the span that is open, if there is a trace."""

    call_id: str = ""
    trace: TraceContext | None = None


NOTHING = Current()
_current: ContextVar[Current] = ContextVar("patchcord_call", default=NOTHING)


def current() -> Current:
    """What this task works on."""
    return _current.get()


def follow(call_id: str, trace: TraceContext | None) -> None:
    """From now on this task, with the tasks that it starts, works on this call."""
    _current.set(Current(call_id, trace))


@contextmanager
def working_on(what: Current) -> Iterator[None]:
    """In here, this task works on something else."""
    token = _current.set(what)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def scope() -> Iterator[None]:
    """What is followed in here is forgotten at its end."""
    with working_on(_current.get()):
        yield


@contextmanager
def below(trace: TraceContext) -> Iterator[None]:
    """In here, new spans hang below `trace`."""
    with working_on(replace(_current.get(), trace=trace)):
        yield
