"""What leaves the process: nothing secret, and nothing by way of libraries of others."""

import pytest
from opentelemetry import metrics as api_metrics
from opentelemetry import trace as api_traces
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry import metrics, traces
from shared.telemetry.current import follow, scope
from shared.telemetry.exporters import RedactingExporter
from tests.support.scan import find_secrets
from tests.support.telemetry import told

TOKEN = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYWxsLTEifQ.c2lnbmF0dXJl"
ADDRESS = f"wss://media.example/acs/{TOKEN}"


def text_of(span) -> str:
    return span.to_json()


def test_no_token_leaves_in_a_name_an_attribute_an_event_or_an_exception():
    with told() as seen, scope():
        follow("c1", root := traces.fresh())
        with pytest.raises(ConnectionError), traces.span(f"GET {ADDRESS}", url=ADDRESS) as span:
            span.happened(traces.Happening(f"redirect {TOKEN}", 1.0, {"to": ADDRESS, "times": 2}))
            raise ConnectionError(f"refused by {ADDRESS}")
        traces.whole(root, "call", 1, 2, attributes={"key": f"api-key: {TOKEN}"})
        sent, call = seen.spans
        assert find_secrets(text_of(sent) + text_of(call)) == [] and TOKEN not in text_of(sent)
        assert sent.attributes["patchcord.url"] == "wss://media.example/acs/[token]"
        assert sent.status.description == "ConnectionError: refused by wss://media.example/acs/[token]"
        (event,) = sent.events
        assert event.name == "redirect [token]" and dict(event.attributes) == {
            "to": "wss://media.example/acs/[token]",
            "times": 2,
        }


def test_a_redacted_span_is_otherwise_the_same():
    with told() as seen, scope():
        follow("c1", root := traces.fresh())
        traces.past("answer", 1.0, 2.5, tries=3)
        (span,) = seen.spans
        assert (span.start_time, span.end_time) == (10**9, 2_500_000_000)
        assert span.parent.span_id == int(root.span_id, 16)
        assert (
            span.resource.attributes == {"service.name": "test"}
            and span.instrumentation_scope.name == "patchcord"
        )
        assert not span.status.description


def test_values_of_attributes_are_names_only():
    with told() as seen:
        metrics.DOOR_REFUSALS.add(reason=TOKEN)
        assert seen.values("patchcord.door.refusals") == [({"reason": "other"}, 1)]


def test_gauges_are_asked_for_at_export():
    class Place:
        active = 7

    place = Place()
    with told() as seen:
        metrics.ACTIVE.watch(place, lambda place: place.active)
        assert ({}, 7) in seen.values("patchcord.calls.active")


def test_the_processs_own_providers_are_left_alone():
    """Else every library that knows OpenTelemetry would begin to trace, with the addresses that it sees."""
    with told():
        assert not isinstance(api_traces.get_tracer_provider(), TracerProvider)
        assert not isinstance(api_metrics.get_meter_provider(), MeterProvider)


def test_what_is_asked_of_the_exporter_is_passed_on():
    inner = InMemorySpanExporter()
    exporter = RedactingExporter(inner)
    assert exporter.force_flush(5)
    exporter.shutdown()
    assert inner.export([]) is SpanExportResult.FAILURE
