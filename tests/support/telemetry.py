"""Telemetry that stays in memory: OpenTelemetry's own in-memory exporter and reader behind everything that ours adds."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry.exporters import Export, RedactingExporter, SdkMeter, SdkTracer


class Told:
    """What was exported."""

    def __init__(self, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> None:
        self._exporter, self._reader = exporter, reader

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def values(self, name: str) -> list[tuple[dict[str, str], float]]:
        """(attributes, value) of a metric; of a histogram its sum."""
        data = self._reader.get_metrics_data()
        return [
            (dict(point.attributes), point.sum if hasattr(point, "sum") else point.value)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@contextmanager
def told() -> Iterator[Told]:
    """Everything that is measured and traced within the block."""
    resource = Resource({"service.name": "test"})
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    processor = SimpleSpanProcessor(RedactingExporter(exporter))
    export = Export(SdkTracer(resource, [processor]), SdkMeter(resource, [reader]))
    export.attach()
    try:
        yield Told(exporter, reader)
    finally:
        export.close()
