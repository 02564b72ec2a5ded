"""One trace per call through both processes, over real processes and a real OTLP collector; nothing secret goes that way."""

import asyncio
import json

import pytest

from cli.metrics.asked import draw_call_trace
from cli.metrics.collector import Collector
from cli.metrics.page import page
from tests.support.scan import find_secrets
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

DIALOGUE = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  menu: {say: "Hello. Please press a key as soon as you can, for there is a lot to be said.", keys: {"1": order}}
  order: {say: Well., tool: {name: lookup_order, args: {order_number: "42719"}, done: human, failed: human}}
  human:
    say: Wait.
    barge_in: never
    end: {outcome: AGENT, reason: asked_for_human, target: human, failed: bye}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""
CONFIG = """
agents:
  desk:
    kind: embedded
    dialogue: desk.yaml
    tools: [lookup_order]
    transfers: {human: {to: "+18005550199", mode: warm, announce: A caller., confirm_s: 10, ring_s: 10}}
tools:
  lookup_order:
    kind: python
    description: Looks up an order.
    entry_point: media_host.tools.samples:lookup_order
    parameters: {type: object, properties: {order_number: {type: string}}, required: [order_number]}
routes:
  - {name: desk, to: ["*"], agent: desk}
twilio:
  default: {account_sid: AC00000000000000000000000000000001, auth_token: "env:TWILIO_AUTH_TOKEN", agent: desk}
"""
PERSON = {"at": "+18005550199", "steps": ["listen", {"press": "5"}, {"wait_ms": 300}, "hang_up"]}
CALLER = {
    "to": "+18005550000",
    "steps": [{"wait_ms": 1500}, {"press": "1"}, {"expect_hang_up": {"within_s": 60}}],
}
ACS_SPANS = {
    "incoming event": "call",
    "admission": "call",
    "answer": "call",
    "ACS: answer": "answer",
    "media": "answer",
    "agent start": "media",
    "first audio": "media",
    "agent speaks": "media",
    "caller speaks": "media",
    "tool lookup_order": "media",
    "handover": "media",
    "hang-up": "media",
    "ACS: hang_up": "media",
    "callback: CallConnected": "call",
    "callback: CallDisconnected": "call",
}
"""Each with the one that it hangs below."""
LINES = {"acs": CALLER, "twilio": {**CALLER, "steps": [{"wait_ms": 1500}, "hang_up"], "line": "twilio"}}


class Seen:
    """What was seen of two calls, one on each line."""

    def __init__(self) -> None:
        self.records, self.spans = {}, {}


async def make_calls(folder) -> Seen:
    (folder / "desk.yaml").write_text(DIALOGUE)
    config = folder / "patchcord.yaml"
    config.write_text(CONFIG)
    seen = Seen()
    async with Collector() as collector:
        env = collector.env | {"PATCHCORD_LOG_FORMAT": "json"}
        async with running_stack(folder / "stack", config=config, env=env) as stack:
            await stack.emulator.add_phone(PERSON)

            async def call(line, script):
                dialled = await stack.emulator.dial(script)
                await asyncio.wait_for(dialled.ended(), patience(60))
                record = await settled(stack, dialled.correlation_id)
                seen.records[line] = record
                seen.spans[line] = await collector.whole_trace(record["callId"], patience(20))

            await asyncio.gather(*(call(line, script) for line, script in LINES.items()))
            assert await draw_call_trace(collector, seen.records["acs"]["callId"], folder / "trace.png")
            seen.page = page(collector.kept)
            seen.logs = [path.read_text() for path in stack.logs.iterdir()]
            seen.secrets = [
                stack.control_key,
                stack.credentials["api-secret"],
                stack.emulator.config.access_key,
            ]
        seen.kept = collector.kept
    return seen


def below(spans, name):
    """Which span the (first) span of this name hangs below."""
    ids = {span.span_id: span.name for span in spans}
    return ids.get(next(span.parent_id for span in spans if span.name == name))


async def test_one_trace_per_call_through_both_processes(tmp_path):
    seen = await make_calls(tmp_path)
    spans = seen.spans["acs"]
    assert len({span.trace_id for span in spans}) == 1
    assert [span.name for span in spans if not span.parent_id] == ["call"]
    services = {span.name: span.service for span in spans}
    for name, above in ACS_SPANS.items():
        assert below(spans, name) == above, name
    assert services["answer"] == services["callback: CallDisconnected"] == "patchcord-functions"
    assert services["media"] == services["tool lookup_order"] == services["ACS: hang_up"] == "patchcord-media"
    root = next(span for span in spans if span.name == "call")
    assert root.attributes["patchcord.call.id"] == seen.records["acs"]["callId"]
    assert {"received", "answered", "media_connected", "hang_up", "disconnected"} <= {
        one.name for one in root.moments
    }
    assert all(root.begun - 0.1 <= span.begun <= span.ended for span in spans)

    spans = seen.spans["twilio"]  # begun by the webhook, carried to the media host in the stream's token
    assert len({span.trace_id for span in spans}) == 1
    assert {below(spans, name) for name in ("engage", "media", "call-complete")} == {"call"}
    assert below(spans, "agent speaks") == "media"
    assert {span.trace_id for span in spans} != {span.trace_id for span in seen.spans["acs"]}

    values = {
        (point.name, *sorted(map(str, point.attributes.values()))): point.value
        for point in seen.kept.points()
    }
    assert values["patchcord.calls.answered", "acs", "default", "inbound"] == 1
    assert values["patchcord.calls.answered", "default", "inbound", "twilio"] == 1
    assert values["patchcord.handovers", "left", "warm"] == values["patchcord.twilio.streams", "begun"] == 1
    for name in (
        "call.time_to_answer",
        "call.time_to_first_audio",
        "call.duration",
        "agent.start",
        "acs.duration",
    ):
        assert any(known[0] == f"patchcord.{name}" for known in values), name

    sent = repr([seen.kept.traces(), seen.kept.points()]) + seen.page
    assert find_secrets(sent, known=seen.secrets) == []  # nor did the logs, see running_stack
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    assert "tool lookup_order" in seen.page and "patchcord.calls.answered" in seen.page

    lines = [json.loads(line) for log in seen.logs for line in log.splitlines() if line.startswith("{")]
    trace_id = root.trace_id
    mine = [line for line in lines if line.get("callId") == seen.records["acs"]["callId"]]
    assert {line["traceId"] for line in mine if "traceId" in line} == {trace_id}
    assert {line["logger"].partition(".")[0] for line in mine} >= {"shared", "media_host"}
    assert not [line for line in lines if line["level"] == "error" or "opentelemetry" in line["logger"]]
