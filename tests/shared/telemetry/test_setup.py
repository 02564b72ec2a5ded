"""Where telemetry goes, and that it costs nothing when it goes nowhere."""

import asyncio
import subprocess
import sys
import threading

from aiohttp import web

from cli.processes import ROOT
from shared.telemetry import metrics, traces
from shared.telemetry.current import follow, scope
from shared.telemetry.setup import FUNCTIONS, QUIET, TelemetrySettings, start
from tests.support.serving import serving

WHO = {"service": FUNCTIONS, "instance": "here-1", "environment": "test"}
KEY = "00000000-0000-0000-0000-000000000000"

NOT_IMPORTED = """
import sys
import function_app, media_host.host, shared.application
from shared.telemetry.setup import TelemetrySettings, start
assert start(TelemetrySettings(), service="s", instance="i", environment="e") is None
found = [name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google") or "monitor" in name]
print(found)
"""


def test_without_an_address_nothing_of_opentelemetry_is_imported():
    found = subprocess.run(
        [sys.executable, "-c", NOT_IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_without_an_address_nothing_is_exported():
    assert start(TelemetrySettings(), **WHO) is None
    assert not traces.on() and not metrics.on()


async def _taken(settings_of):
    """What a server is sent at each path while one span and one value are told."""
    bodies: dict[str, bytes] = {}

    async def take(request):
        bodies[request.path] = bodies.get(request.path, b"") + await request.read()
        return web.json_response({"itemsReceived": 1, "itemsAccepted": 1, "errors": []})

    async with serving(take) as base:
        running = start(settings_of(base), **WHO)
        with scope():
            follow("c1", traces.fresh())
            traces.past("answer", 1.0, 2.0)
            metrics.ANSWERED.add(1, {"tenant": "acme"})
        await running.close()
    assert not traces.on() and not metrics.on()
    return bodies


async def test_otlp():
    bodies = await _taken(lambda base: TelemetrySettings(otlp_endpoint=f"{base}/"))
    assert b"answer" in bodies["/v1/traces"] and b"patchcord-functions" in bodies["/v1/traces"]
    assert b"patchcord.calls.answered" in bodies["/v1/metrics"] and b"here-1" in bodies["/v1/metrics"]


async def test_azure_monitor(monkeypatch):
    for name in QUIET:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    before = {*threading.enumerate()}
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")

    def settings(base):
        return TelemetrySettings(insights=f"InstrumentationKey={KEY};IngestionEndpoint={base}/")

    bodies = await _taken(settings)
    assert {path.lstrip("/") for path in bodies} == {"v2.1/track"}
    sent = b"".join(bodies.values())
    assert b"answer" in sent and b"patchcord.calls.answered" in sent and b"patchcord-functions" in sent
    assert {one for one in threading.enumerate() if not one.name.startswith("asyncio")} <= before


async def test_a_collector_that_is_away_keeps_nobody(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setattr("shared.telemetry.setup.TIMEOUT_S", 0.2)
    running = start(TelemetrySettings(otlp_endpoint="http://127.0.0.1:9"), **WHO)
    metrics.ANSWERED.add()
    async with asyncio.timeout(30):
        await running.close()


def test_the_connection_string_is_not_shown():
    assert KEY not in repr(TelemetrySettings(insights=f"InstrumentationKey={KEY}"))


def test_the_functions_host_is_not_told_to_export_for_us():
    """With `telemetryMode` the worker would send what we send (functions.md 3.5)."""
    assert "telemetryMode" not in (ROOT / "host.json").read_text()
    assert (
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"
        not in (ROOT / "infra" / "modules" / "functions.bicep").read_text()
    )
