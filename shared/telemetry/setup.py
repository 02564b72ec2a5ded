"""Whether anything is exported, and where to. Nothing of OpenTelemetry is imported before that is known.

Two ways out, each by one setting, both at once if both are there:

- Azure Monitor, by APPLICATIONINSIGHTS_CONNECTION_STRING. Where the resource takes no keys (infra/ turns local authentication
  off), APPLICATIONINSIGHTS_AUTHENTICATION_STRING names the managed identity; the exporter reads that by itself.
- OTLP over HTTP, by OTEL_EXPORTER_OTLP_ENDPOINT; its headers and the like by OpenTelemetry's other variables.

On Azure Functions the host sends its own telemetry (requests, and what functions log) to Application Insights by the same
connection string. So this process sends no logs, and makes no span of an invocation: nothing is there twice. For the same reason
host.json does not set `telemetryMode`, with which the worker would export as well (functions.md 3.5).
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

    from shared.telemetry.exporters import Export

INTERVAL_MS = 15_000.0
"""How often metrics are sent, unless OTEL_METRIC_EXPORT_INTERVAL says otherwise (ms)."""

TIMEOUT_S = 5.0
"""How long a request to a collector may take (s)."""

FUNCTIONS, MEDIA = "patchcord-functions", "patchcord-media"
"""Names of the two services."""

QUIET = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)
"""What else Azure Monitor's exporter would do by itself: send statistics about itself, and fetch its settings from an address of
Microsoft's, in threads that outlive `close`. Whoever wants that sets the variable to `false`."""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where telemetry goes, and how logs look.

    Attributes:
        log_format: `text` or `json`.
        otlp_endpoint: base address of a collector, or "".
        insights: connection string of Application Insights, or "".
    """

    log_format: str = "text"
    otlp_endpoint: str = ""
    insights: str = field(default="", repr=False)


def start(settings: TelemetrySettings, *, service: str, instance: str, environment: str) -> "Running | None":
    """Begin to export, if there is somewhere to export to; None if not.

    Args:
        settings: where to.
        service: `FUNCTIONS` or `MEDIA`.
        instance: this process, among others of the service.
        environment: name of the deployment.
    """
    if not (settings.otlp_endpoint or settings.insights):
        return None
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from shared.telemetry.exporters import Export, RedactingExporter, SdkMeter, SdkTracer

    resource = Resource.create(
        {
            "service.name": service,
            "service.instance.id": instance,
            "deployment.environment.name": environment,
        }
    )
    interval = None if os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") else INTERVAL_MS
    processors: list[SpanProcessor] = []
    readers: list[MetricReader] = []
    for spans, measured in _exporters(settings):
        processors.append(BatchSpanProcessor(RedactingExporter(spans)))
        readers.append(PeriodicExportingMetricReader(measured, interval))
    export = Export(SdkTracer(resource, processors), SdkMeter(resource, readers))
    export.attach()
    return Running(export)


def _exporters(settings: TelemetrySettings) -> "list[tuple[SpanExporter, MetricExporter]]":
    found: list[tuple[SpanExporter, MetricExporter]] = []
    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        base = settings.otlp_endpoint.rstrip("/")
        found.append(
            (
                OTLPSpanExporter(f"{base}/v1/traces", timeout=TIMEOUT_S),
                OTLPMetricExporter(f"{base}/v1/metrics", timeout=TIMEOUT_S),
            )
        )
    if settings.insights:
        for name in QUIET:
            os.environ.setdefault(name, "true")
        from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

        # Nothing is kept on the disk: the container's is read-only, and telemetry is not worth one.
        options = {
            "connection_string": settings.insights,
            "disable_offline_storage": True,
            "timeout": TIMEOUT_S,
        }
        found.append((AzureMonitorTraceExporter(**options), AzureMonitorMetricExporter(**options)))
    return found


@dataclass(frozen=True, slots=True)
class Running:
    """Telemetry that is exported until `close`."""

    export: "Export"

    async def close(self) -> None:
        """Send what is left; a collector that does not answer is waited for a few seconds."""
        await asyncio.to_thread(self.export.close)
