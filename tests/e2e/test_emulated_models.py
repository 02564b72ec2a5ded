"""`make demo AGENT=…`: a call that an emulated realtime model answers, with a tool and a hand-over to a person."""

import asyncio
import io
import json

import pytest

from cli.demo import demo

pytestmark = pytest.mark.e2e

SCRIPT = """
voice: en-us+f3
steps:
  - interrupt: {after_ms: 600, say: where is my order}
  - wait_ms: 1500
  - press: "42719#"
  - interrupt: {after_ms: 2500, say: i want to talk to a human}
  - listen
  - listen: {within_s: 40}
  - say: thank you
  - hang_up
"""
"""As `emulator/scripts/order_and_human.yaml`, with less to listen to."""


async def test_a_model_answers_uses_a_tool_and_hands_over(tmp_path):
    """Both models at once: most of a call is waiting."""
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    await asyncio.gather(
        *(answered_by(agent, script, tmp_path / agent) for agent in ("emulated-openai", "emulated-voicelive"))
    )


async def answered_by(agent, script, folder):
    out = io.StringIO()
    code = await demo(folder, script, out, agent)
    story = out.getvalue()
    assert code == 0, story
    record = json.loads((folder / "call.json").read_text())
    said = [turn["text"] for turn in record["transcript"] if turn["who"] == "agent"]
    heard = [turn["text"] for turn in record["transcript"] if turn["who"] == "caller"]
    greeting = "Hello, this is the order desk. You are talking to an emulated model."
    assert greeting.startswith(said[0]), said
    assert record["transcript"][0]["interrupted"], "the caller did not wait for its end"
    assert "where is my order" in heard
    assert "i want to talk to a human" in heard
    assert any(text.startswith("Your order") for text in said), said
    assert record["bargeIns"] >= 2
    steps = [entry.get("reason") for entry in record["timeline"] if entry["kind"] in ("tool", "handover")]
    assert steps.count("lookup_order") == 1
    assert {"ringing", "answered", "confirmed", "left"} <= set(steps)
    assert record["outcome"]["transferType"] == "AGENT"
    assert record["keysPressed"] >= 6  # the person presses one, too
    assert "42719" not in json.dumps(record["timeline"])
    assert not record["faults"], record["faults"]
    for line in (
        "agent uses    lookup_order",
        "agent calls   human",
        "handover      left",
        "barge-in",
        "on hold",
    ):
        assert line in story
    assert (folder / "call.wav").exists()
    log = "".join(path.read_text() for path in (folder / "stack" / "logs").iterdir())
    assert "42719" not in log
