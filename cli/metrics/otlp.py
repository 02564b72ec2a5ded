"""What exporters send, read: OTLP over HTTP in protobuf (opentelemetry.io/docs/specs/otlp, section OTLP/HTTP)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from shared.errors import InvalidInput

type Attributes = Mapping[str, str | bool | int | float]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span: Unix seconds, name, attributes."""

    at: float
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SpanData:
    """One span.

    Attributes:
        trace_id: 32 hexadecimal digits; `span_id` and `parent_id` 16, `parent_id` "" for a trace's first span.
        begun: Unix seconds, as `ended`.
        failed: why it went wrong, or "".
        service: who made it.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    begun: float
    ended: float
    attributes: Attributes = field(default_factory=dict)
    moments: tuple[Moment, ...] = ()
    failed: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """The newest value of a metric of one process.

    Attributes:
        value: a counter's sum, a gauge's value, or the sum of all that a histogram was given.
        count: of a histogram's values; None for the others.
        bounds: upper bounds of a histogram's buckets, whose counts are `buckets` (one more).
        instance: which process of `service`.
    """

    name: str
    unit: str
    description: str
    attributes: Attributes
    value: float
    count: int | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    service: str
    instance: str


def read_traces(body: bytes) -> list[SpanData]:
    """The spans of one request.

    Raises:
        InvalidInput: it is no such request.
    """
    request = _parsed(ExportTraceServiceRequest(), body)
    return [
        _span(span, str(_attributes(resource.resource.attributes).get("service.name", "")))
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def read_metrics(body: bytes) -> list[Point]:
    """The values of one request.

    Raises:
        InvalidInput: it is no such request.
    """
    request = _parsed(ExportMetricsServiceRequest(), body)
    return [
        point
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in _points(metric, _attributes(resource.resource.attributes))
    ]


def _parsed[T: ExportTraceServiceRequest | ExportMetricsServiceRequest](request: T, body: bytes) -> T:
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise InvalidInput("body", f"an {type(request).__name__} in protobuf") from None
    return request


def _span(span: Any, service: str) -> SpanData:
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return SpanData(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        _attributes(span.attributes),
        tuple(
            Moment(event.time_unix_nano / 1e9, event.name, _attributes(event.attributes))
            for event in span.events
        ),
        (span.status.message or "failed") if failed else "",
        service,
    )


def _points(metric: Any, resource: Attributes) -> Iterable[Point]:
    kind = metric.WhichOneof("data")
    service, instance = (str(resource.get(f"service.{name}", "")) for name in ("name", "instance.id"))
    about = (metric.name, metric.unit, metric.description)
    if kind in ("sum", "gauge"):
        for point in getattr(metric, kind).data_points:
            value = point.as_double if point.WhichOneof("value") == "as_double" else float(point.as_int)
            yield Point(*about, _attributes(point.attributes), value, None, (), (), service, instance)
    elif kind == "histogram":
        for point in metric.histogram.data_points:
            yield Point(
                *about,
                _attributes(point.attributes),
                point.sum,
                point.count,
                tuple(point.explicit_bounds),
                tuple(point.bucket_counts),
                service,
                instance,
            )


def _attributes(pairs: Any) -> dict[str, str | bool | int | float]:
    """Those with a simple value; we send no others."""
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        if kind in ("string_value", "bool_value", "int_value", "double_value"):
            found[pair.key] = getattr(pair.value, kind)
    return found
