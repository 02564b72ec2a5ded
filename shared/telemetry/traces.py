"""Spans. Without a tracer, and outside of every trace, each of these functions does nothing.

A call's trace begins with the record of the call (`shared.calls.tracing`); from there on its context is in the record, and
in the tokens that others bring back to us. Attributes are numbers, names and our own ids: never a text that somebody said.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.telemetry.current import TraceContext, below, current

type Value = str | bool | int | float
type SpanKind = Literal["internal", "server", "client"]

CALL_ID = "patchcord.call.id"


@dataclass(frozen=True, slots=True)
class Happening:
    """A moment within a span: its name, Unix seconds, attributes."""

    name: str
    at: float
    attributes: Mapping[str, Value]


class Open(Protocol):
    """A span that goes on."""

    @property
    def context(self) -> TraceContext:
        """Where others may hang theirs."""
        ...

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Say more about it."""
        ...

    def happened(self, happening: Happening) -> None:
        """Something happened in it."""
        ...

    def end(self, at: float | None = None, failed: str = "") -> None:
        """It is over (at Unix seconds, or now); `failed`: and why it went wrong."""
        ...


class Tracer(Protocol):
    """Makes and exports spans."""

    def fresh(self) -> TraceContext:
        """The context of a new trace's first span, which is to come later (`whole`), and whether it is exported."""
        ...

    def begin(
        self,
        name: str,
        parent: TraceContext,
        kind: SpanKind,
        at: float | None,
        attributes: Mapping[str, Value],
    ) -> Open:
        """A span below `parent`."""
        ...

    def whole(self, context: TraceContext, name: str, at: float, attributes: Mapping[str, Value]) -> Open:
        """The first span of a trace, by the context that others know it by."""
        ...


class Nothing:
    """A span of no trace."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Nobody listens."""


NOTHING = Nothing()
_tracer: list[Tracer] = []


def attach(tracer: Tracer) -> None:
    """Trace with `tracer` from now on."""
    _tracer[:] = [tracer]


def detach() -> None:
    """Trace no more."""
    _tracer.clear()


def on() -> bool:
    """Whether anything is traced."""
    return bool(_tracer)


def fresh() -> TraceContext | None:
    """The context of a new trace, or None when nothing is traced."""
    return _tracer[0].fresh() if _tracer else None


def begin(
    name: str,
    *,
    at: float | None = None,
    kind: SpanKind = "internal",
    parent: TraceContext | None = None,
    attributes: Mapping[str, Value] | None = None,
) -> Open | None:
    """A span that somebody else ends; None when there is no trace. By default below the one that is open in this task."""
    known = current()
    parent = parent or known.trace
    if parent is None or not _tracer:
        return None
    named = {CALL_ID: known.call_id} if known.call_id else {}
    return _tracer[0].begin(name, parent, kind, at, named | dict(attributes or {}))


def past(name: str, begun: float, ended: float, *, failed: str = "", **attributes: Value) -> None:
    """A span that is over already (Unix seconds)."""
    span = begin(name, at=min(begun, ended), attributes=_dotted(attributes))
    if span is not None:
        span.end(ended, failed)


@contextmanager
def span(name: str, *, kind: SpanKind = "internal", **attributes: Value) -> Iterator[Open | Nothing]:
    """A span around the block, open in it. What the block raises is told by its class."""
    opened = begin(name, kind=kind, attributes=_dotted(attributes))
    if opened is None:
        yield NOTHING
        return
    failed = ""
    try:
        with below(opened.context):
            yield opened
    except BaseException as error:  # told, and raised on
        failed = f"{type(error).__name__}: {error}"
        raise
    finally:
        opened.end(failed=failed)


def traced[**P, R](name: str) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Each run of the function is a span."""

    def around(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(name):
                return await function(*args, **kwargs)

        return run

    return around


def whole(
    context: TraceContext,
    name: str,
    begun: float,
    ended: float,
    *,
    attributes: Mapping[str, Value],
    happenings: Sequence[Happening] = (),
    failed: str = "",
) -> None:
    """The first span of a trace, once everything is over (Unix seconds); whoever began the trace has decided on its export."""
    if _tracer and context.sampled:
        root = _tracer[0].whole(context, name, begun, attributes)
        for happening in happenings:
            root.happened(happening)
        root.end(ended, failed)


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """`acs_operation` is `patchcord.acs_operation` in the trace."""
    return {f"patchcord.{name}": value for name, value in attributes.items()}
