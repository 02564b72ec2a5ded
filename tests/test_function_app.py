"""The function app as Azure indexes and runs it: through `azure-functions-runtime`, one app per process."""

import asyncio
import json
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from shared.calls.admission import Heartbeat, write_heartbeat
from shared.calls.repository import Calls
from shared.http import Reply
from shared.security.tenants import TenantDoor
from shared.store import open_store
from tests.shared.twilio.world import ACCOUNT, CALL, TOKEN, form, signature, xml
from tests.support.acs_rest import AcsRest
from tests.support.call_world import CONFIG, NUMBER, World, environment
from tests.support.timing import patience

ROOT = Path(__file__).parents[1]

POST_AND_OPTIONS = ["OPTIONS", "POST"]
HTTP = {
    "acs_events": ("api/acs-events", POST_AND_OPTIONS),
    "acs_events_compatible": ("mg-genagent-acs/v1/acs-events", POST_AND_OPTIONS),
    "acs_events_callbacks": ("api/callbacks", POST_AND_OPTIONS),
    "acs_events_incoming": ("incoming", POST_AND_OPTIONS),
    "call_events": ("api/call-events/{token}", ["POST"]),
    "list_calls": ("api/calls", ["GET"]),
    "get_call": ("api/calls/{id}", ["GET"]),
    "create_call": ("api/v1/calls", ["POST"]),
    "create_call_transfer": ("api/v1/call-transfers", ["POST"]),
    "get_call_transfer": ("api/v1/call-transfers/{id}", ["GET"]),
    "create_call_transfer_compatible": ("generativeagent/v1/call-transfers", ["POST"]),
    "get_call_transfer_compatible": ("generativeagent/v1/call-transfers/{id}", ["GET"]),
    "twilio_media_stream_url": ("api/v1/twilio-media-stream-url", ["GET"]),
    "twilio_media_stream_url_compatible": ("mg-genagent/v1/twilio-media-stream-url", ["GET"]),
    "twilio_engage": ("api/twilio/engage", ["POST"]),
    "twilio_call_complete": ("api/twilio/call-complete", ["POST"]),
    "twilio_transfer_state": ("api/twilio/transfer-state", ["POST"]),
    "twilio_stream_status": ("api/twilio/stream-status", ["POST"]),
    "health": ("api/health", ["GET"]),
    "openapi": ("api/openapi.json", ["GET"]),
}
ELSEWHERE = {
    "elsewhere": "api/{*path}",
    "elsewhere_compatible_transfers": "generativeagent/{*path}",
    "elsewhere_compatible_events": "mg-genagent-acs/{*path}",
    "elsewhere_compatible_twilio": "mg-genagent/{*path}",
    "elsewhere_incoming": "incoming/{*path}",
}
EVENT_GRID = {"incoming_call", "call_lifecycle", "rotate_signing_keys"}


async def run_app(env, jobs):
    """What `tests/support/run_functions.py` prints, with `env` as the app's settings."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "tests.support.run_functions",
        str(ROOT),
        cwd=ROOT,
        env={**kept, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(json.dumps(jobs).encode()), patience(60))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return json.loads(out.decode().splitlines()[-1]), err.decode()


@pytest.fixture(scope="module")
def indexed():
    """Indexed without any setting: nothing may be needed for that."""
    found, _ = asyncio.run(run_app({}, []))
    return found


def test_these_are_all_functions(indexed):
    assert set(indexed["functions"]) == HTTP.keys() | ELSEWHERE.keys() | EVENT_GRID | {"sweep"}


@pytest.mark.parametrize("name", HTTP)
def test_http_functions(indexed, name):
    trigger, out = sorted(indexed["functions"][name], key=lambda binding: binding["direction"])
    route, methods = HTTP[name]
    assert (trigger["type"], trigger["route"]) == ("httpTrigger", route)
    assert sorted(trigger["methods"]) == methods
    # Every one authenticates its callers itself.
    assert trigger["authLevel"].lower() == "anonymous"
    assert out["type"] == "http"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_everything_else_below_our_own_roots_has_our_envelope(indexed, name):
    trigger, _ = sorted(indexed["functions"][name], key=lambda binding: binding["direction"])
    assert trigger["route"] == ELSEWHERE[name]
    assert not trigger.get("methods")
    # At the root it would hide the host's own /runtime/webhooks and /admin (functions are asked first).
    assert not trigger["route"].startswith("{")


@pytest.mark.parametrize("name", sorted(EVENT_GRID))
def test_event_grid_functions(indexed, name):
    [trigger] = indexed["functions"][name]
    assert (trigger["type"], trigger["direction"]) == ("eventGridTrigger", "IN")


def test_the_timer(indexed):
    [trigger] = indexed["functions"]["sweep"]
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", "*/15 * * * * *")


def test_indexing_imports_nothing_heavy(indexed):
    assert indexed["imported"] == []


def test_the_file_is_thin():
    lines = (ROOT / "function_app.py").read_text().splitlines()
    assert len(lines) < 320
    top = [line for line in lines if re.match(r"(import|from) ", line)]
    assert [line for line in top if "azure" in line or "shared" in line] == ["import azure.functions as func"]


def test_the_host_has_no_route_prefix():
    host = json.loads((ROOT / "host.json").read_text())
    assert host["extensions"]["http"]["routePrefix"] == ""
    assert host["functionTimeout"] == "00:01:00"


def test_what_is_not_deployed_is_ignored():
    lines = (ROOT / ".funcignore").read_text().splitlines()
    ignored = {line for line in lines if not line.startswith("#")}
    deployed = {"function_app.py", "host.json", "patchcord.yaml", "requirements.txt", "shared/", "shared"}
    assert not deployed & ignored
    assert {"media_host/", "emulator/", "tests/", "local.settings.json", ".venv/", ".patchcord/"} <= ignored


def event_grid(event_id, kind="Microsoft.Communication.IncomingCall", **data):
    world = World.__new__(World)
    world.clock = time.time
    event = world.incoming(NUMBER, correlation=f"corr-{event_id}", event_id=event_id, **data)
    # Seven digits of fraction, as Event Grid writes them.
    return {**event, "topic": "/subscriptions/x", "eventType": kind, "metadataVersion": "1",
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f1Z")}  # fmt: skip


def cloud_event(event_id):
    event = event_grid(event_id)
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": "/subscriptions/x",
        "type": event["eventType"],
        "time": event["eventTime"],
        "data": event["data"],
    }


async def test_every_function_runs(tmp_path):
    """One process runs them all over a real store and a recording ACS."""
    async with AcsRest() as acs:
        env = environment(tmp_path, acs)
        store = open_store(env["PATCHCORD_STORE"])
        await write_heartbeat(store, Heartbeat("host-a", 0, 100, False, time.time() + 60))
        credentials = await TenantDoor(store, "test", time.time).issue("default")
        headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret}
        posted = json.dumps([event_grid("posted")])

        def get(function, url, **more):
            return {"function": function, "http": {"method": "GET", "url": url, "headers": headers, **more}}

        def post(function, url, given, body=posted, method="POST", **more):
            return {
                "function": function,
                "http": {"method": method, "url": url, "headers": given, "body": body, **more},
            }

        old = {"asapp-api-id": credentials.api_id, "asapp-api-secret": credentials.api_secret}
        handshake = {**headers, "webhook-request-origin": "eventgrid.azure.net"}
        jobs = [
            ({"function": "incoming_call", "json": event_grid("grid")}, None),
            ({"function": "incoming_call", "json": cloud_event("cloud")}, None),
            ({"function": "incoming_call", "json": event_grid("bad", to=7)}, None),
            ({"function": "incoming_call", "json": {"id": "worse"}}, None),
            ({"function": "call_lifecycle", "json": event_grid("x", "Microsoft.Communication.CallStarted")}, None),
            ({"function": "rotate_signing_keys", "json": event_grid("y", "Microsoft.KeyVault.SecretNearExpiry")}, None),
            ({"function": "sweep", "json": {"IsPastDue": False}}, None),
            (get("health", "/api/health"), 200),
            (post("acs_events", "/api/acs-events", headers), 200),
            (post("acs_events", "/api/acs-events", {}), 401),
            (post("acs_events_compatible", "/mg-genagent-acs/v1/acs-events", old), 200),
            (post("acs_events", "/api/acs-events", old), 401),
            (post("acs_events_callbacks", "/api/callbacks", headers), 200),
            (post("acs_events_incoming", "/incoming", headers), 200),
            (post("acs_events", "/api/acs-events", handshake, "", "OPTIONS"), 200),
            (post("call_events", "/api/call-events/x", {}, "[]", route={"token": "x"}), 401),
            (get("list_calls", "/api/calls", query={"limit": "10"}), 200),
            (get("get_call", "/api/calls/unknown", route={"id": "unknown"}), 404),
            (get("openapi", "/api/openapi.json"), 200),
            (post("elsewhere", "/api/calls", {}, "", "DELETE", route={"path": "calls"}), 405),
            (get("elsewhere", "/api/nothing", route={"path": "nothing"}), 404),
            (post("elsewhere_incoming", "/incoming", {}, "", "PUT", route={"path": ""}), 405),
            (get("elsewhere_compatible_transfers", "/generativeagent/x", route={"path": "x"}), 404),
            (get("elsewhere_compatible_events", "/mg-genagent-acs/x", route={"path": "x"}), 404),
        ]  # fmt: skip
        found, log = await run_app(env, [job for job, _ in jobs])
        results = dict(zip([f"{i}" for i in range(len(jobs))], found["results"], strict=True))
        assert [result and result.get("status", result) for result in results.values()] == [
            status for _, status in jobs
        ]
        # Three calls, each answered once, however many doors the third one's event came through.
        assert len(acs.of("answer")) == 3
        listed = json.loads(results["16"]["body"])["calls"]
        assert [call["state"] for call in listed] == ["answered"] * 3
        record = await Calls(store, time.time).get("default", listed[0]["callId"])
        assert record.request_id
        error = json.loads(results["17"]["body"])["error"]
        assert (error["code"], bool(error["requestId"])) == ("404-01", True)
        assert results["19"]["headers"]["allow"] == "GET"
        assert results["21"]["headers"]["allow"] == "OPTIONS, POST"
        assert results["14"]["headers"]["webhook-allowed-origin"] == "eventgrid.azure.net"
        reasons = {row.values["reason"] for row in await store.query("poison", "events")}
        assert reasons == {"malformed"}
        for secret in (credentials.api_secret, "eyJ"):
            assert secret not in log
        await store.close()


TWILIO = f"""
twilio:
  default: {{account_sid: {ACCOUNT}, auth_token: "env:T1B_TOKEN", agent: reception}}
"""


async def test_every_function_of_the_twilio_line_runs(tmp_path):
    """Twilio signs the query as it sends it, so it must reach us unchanged."""
    async with AcsRest() as acs:
        env = environment(tmp_path, acs) | {"T1B_TOKEN": TOKEN}
        (tmp_path / "patchcord.yaml").write_text(CONFIG + TWILIO)
        store = open_store(env["PATCHCORD_STORE"])
        await write_heartbeat(store, Heartbeat("host-a", 0, 100, False, time.time() + 60))
        credentials = await TenantDoor(store, "test", time.time).issue("default")
        headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret}
        old = {"asapp-api-id": credentials.api_id, "asapp-api-secret": credentials.api_secret}
        status = {"StreamSid": "MZ" + "c" * 32, "StreamEvent": "stream-started"}

        def get(function, url, given):
            return {"function": function, "http": {"method": "GET", "url": url, "headers": given}}

        def signed(function, url, **more):
            fields = form(CALL, **more)
            given = signature(f"https://fn.example{url}", fields)
            return {
                "function": function,
                "http": {"method": "POST", "url": url, "headers": given, "body": urlencode(fields)},
            }

        jobs = [
            (
                get("twilio_media_stream_url", "/api/v1/twilio-media-stream-url?voiceAgentMode=s2s", headers),
                200,
            ),
            (get("twilio_media_stream_url_compatible", "/mg-genagent/v1/twilio-media-stream-url", old), 200),
            (get("elsewhere_compatible_twilio", "/mg-genagent/x", {}), 404),
            (
                signed("twilio_engage", "/api/twilio/engage?b=Zo%C3%AB+M&a=x%2fy%20z&b=2&FlowEvent=return"),
                200,
            ),
            (signed("twilio_call_complete", "/api/twilio/call-complete?callSid=hint"), 200),
            (signed("twilio_transfer_state", "/api/twilio/transfer-state"), 200),
            (signed("twilio_stream_status", "/api/twilio/stream-status", **status), 204),
        ]
        found, log = await run_app(env, [job for job, _ in jobs])
        results = found["results"]
        assert [result.get("status", result) for result in results] == [expected for _, expected in jobs]
        engaged = Reply(
            200, results[3]["body"].encode(), {"content-type": results[3]["headers"]["content-type"]}
        )
        stream = xml(engaged).find("Connect/Stream")
        assert stream.get("url").startswith("wss://media.example/twilio/")
        given = {one.get("name"): one.get("value") for one in stream}
        assert given.keys() == {"a", "b"}
        assert given["a"] == "x/y z"
        for secret in (credentials.api_secret, TOKEN, "eyJ"):
            assert secret not in log
        await store.close()


async def test_an_app_without_settings_says_so_in_the_log_only():
    health = {"function": "health", "http": {"method": "GET", "url": "/api/health"}}
    calls = {"function": "list_calls", "http": {"method": "GET", "url": "/api/calls"}}
    sweep = {"function": "sweep", "json": {}}
    found, log = await run_app({}, [health, calls, sweep])
    unhealthy, answer, failed = found["results"]
    assert (unhealthy["status"], unhealthy["body"]) == (503, '{"status":"degraded"}')
    assert answer["status"] == 500
    assert json.loads(answer["body"])["error"]["message"] == "not configured"
    assert "PATCHCORD_STORE" not in answer["body"]
    assert "PATCHCORD_STORE" in log
    assert "ConfigurationError" in failed["failed"]
