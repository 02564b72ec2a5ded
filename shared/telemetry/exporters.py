"""Metrics and spans on their way out, over OpenTelemetry's SDK. Imported by `setup` only when there is somewhere to send them.

No provider is made the process's own (`set_tracer_provider`), so no library that knows OpenTelemetry begins to trace by itself:
what leaves is what `metrics` and `traces` were given, once. Every text passes `redact` on its way, exceptions too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.telemetry import metrics, traces
from shared.telemetry.current import TraceContext
from shared.telemetry.instruments import Attributes, Kind, Metric, Record
from shared.telemetry.redaction import redact
from shared.telemetry.traces import Happening, Value

SCOPE = "patchcord"
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class RedactingExporter(SpanExporter):
    """Hands spans on without secrets: their names, attributes, events and what they say about failures.

    Args:
        exporter: sends them.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._next = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        return self._next.export([redacted(span) for span in spans])

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanExporter`."""
        return self._next.force_flush(timeout_millis)


def redacted(span: ReadableSpan) -> ReadableSpan:
    """A copy of the span without secrets."""
    status = span.status
    return ReadableSpan(
        redact(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_clean(span.attributes),
        events=[
            Event(redact(event.name), _clean(event.attributes), event.timestamp) for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=Status(status.status_code, status.description and redact(status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _clean(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        name: redact(value) if isinstance(value, str) else value for name, value in (attributes or {}).items()
    }


class _Ids(RandomIdGenerator):
    """Random ids, but for the first span of a call: others have known it for the whole call."""

    def __init__(self) -> None:
        self.next: TraceContext | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.next is None else int(self.next.trace_id, 16)

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.next is None else int(self.next.span_id, 16)


@dataclass(frozen=True, slots=True)
class _Open:
    """A `traces.Open` over OpenTelemetry's span."""

    span: Span

    @property
    def context(self) -> TraceContext:
        found = self.span.get_span_context()
        return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)

    def set(self, attributes: Mapping[str, Value]) -> None:
        self.span.set_attributes(attributes)

    def happened(self, happening: Happening) -> None:
        self.span.add_event(happening.name, happening.attributes, _ns(happening.at))

    def end(self, at: float | None = None, failed: str = "") -> None:
        if failed:
            self.span.set_status(Status(StatusCode.ERROR, failed))
        self.span.end(None if at is None else _ns(at))


class SdkTracer:
    """A `traces.Tracer`.

    Args:
        resource: who we are.
        processors: take the spans that are over.
    """

    def __init__(self, resource: Resource, processors: Sequence[SpanProcessor]) -> None:
        self._ids = _Ids()
        # The sampler is the environment's (OTEL_TRACES_SAMPLER), by default every trace.
        self.provider = TracerProvider(resource=resource, id_generator=self._ids)
        for processor in processors:
            self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer(SCOPE)

    def fresh(self) -> TraceContext:
        """See `traces.Tracer`."""
        trace_id, span_id = self._ids.generate_trace_id(), self._ids.generate_span_id()
        decided = self.provider.sampler.should_sample(Context(), trace_id, "call").decision
        return TraceContext(f"{trace_id:032x}", f"{span_id:016x}", decided is Decision.RECORD_AND_SAMPLE)

    def begin(
        self,
        name: str,
        parent: TraceContext,
        kind: traces.SpanKind,
        at: float | None,
        attributes: Mapping[str, Value],
    ) -> _Open:
        """See `traces.Tracer`."""
        above = SpanContext(
            int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(int(parent.sampled))
        )
        within = set_span_in_context(NonRecordingSpan(above), Context())
        start = None if at is None else _ns(at)
        return _Open(self._tracer.start_span(name, within, _KINDS[kind], attributes, start_time=start))

    def whole(self, context: TraceContext, name: str, at: float, attributes: Mapping[str, Value]) -> _Open:
        """See `traces.Tracer`."""
        self._ids.next = context
        try:
            made = self._tracer.start_span(name, Context(), SpanKind.SERVER, attributes, start_time=_ns(at))
        finally:
            self._ids.next = None
        return _Open(made)


class SdkMeter:
    """An `instruments.Meter`.

    Args:
        resource: who we are.
        readers: take the values.
    """

    def __init__(self, resource: Resource, readers: Sequence[MetricReader]) -> None:
        self.provider = MeterProvider(readers, resource)
        self._meter = self.provider.get_meter(SCOPE)

    def recorder(self, metric: Metric) -> Record:
        """See `instruments.Meter`."""
        if metric.kind is Kind.COUNTER:
            return self._meter.create_counter(metric.name, metric.unit, metric.description).add
        return self._meter.create_histogram(
            metric.name,
            metric.unit,
            metric.description,
            explicit_bucket_boundaries_advisory=list(metric.buckets),
        ).record

    def observe(self, metric: Metric, read: Callable[[], Sequence[tuple[float, Attributes]]]) -> None:
        """See `instruments.Meter`."""

        def values(_: CallbackOptions) -> list[Observation]:
            return [Observation(value, attributes) for value, attributes in read()]

        self._meter.create_observable_gauge(metric.name, [values], metric.unit, metric.description)


@dataclass(frozen=True, slots=True)
class Export:
    """What goes on until `close`."""

    tracer: SdkTracer
    meter: SdkMeter

    def attach(self) -> None:
        """Let the process's metrics and spans go this way."""
        traces.attach(self.tracer)
        metrics.attach(self.meter)

    def close(self) -> None:
        """Send what is left, and stop. It waits for the network: not to be called on an event loop."""
        traces.detach()
        metrics.detach()
        self.tracer.provider.shutdown()
        self.meter.provider.shutdown()


def _ns(at: float) -> int:
    return int(at * 1e9)
