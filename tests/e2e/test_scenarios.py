"""`patchcord demo --scenario`: a short story on the real stage; the shipped ones take a minute each."""

import io
import json

import pytest

from cli.scenarios import transfer
from cli.scenarios.play import SCENARIOS, Scenario, play

pytestmark = pytest.mark.e2e

HANGS_UP = {"steps": [{"wait_ms": 1200}, "hang_up"]}


async def story(stage):
    stage.say("A system lends its caller.")
    made = await stage.ask("POST", transfer.PATH, transfer.wanted("contact-1", name="Ann"))
    [record] = await stage.call(transfer.to(made, HANGS_UP), watch=f"{transfer.PATH}/contact-1")
    stage.expect(record["callTransferId"] == "contact-1", "the call belongs to the transfer")
    [record] = await stage.call(transfer.to(made, transfer.TOO_LATE), cut_off=True)
    stage.expect(record["endedReason"] == "call_transfer_taken", "the second caller is refused")
    await stage.ask("GET", f"{transfer.PATH}/contact-1")
    await stage.rings("+18005559999")


async def test_requests_and_calls_are_told_together(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.scenarios.stage.SETTLED_S", 5.0)
    monkeypatch.setitem(SCENARIOS, "short", Scenario(story, transfer.configure, transfer.NUMBERS))
    out = io.StringIO()
    code = await play("short", tmp_path, out)
    text = out.getvalue()
    assert code == 1, "what was waited for at the end did not happen"
    wrong = text.partition("did not go as it should:")[2].strip().splitlines()
    assert len(wrong) == 1 and "+18005559999: nothing happened" in wrong[0], text
    for part in (
        "POST          /api/v1/call-transfers",
        '"status": "ACTIVE"',
        '"status": "ONGOING"',
        '"transferType": "CALLER_DISCONNECT"',
        "answered",
        "agent said",
        "rejected      busy",
        "Ended    caller_hung_up by the caller",
    ):
        assert part in text, text
    assert "FAILED" not in text
    record = json.loads((tmp_path / "call-1.json").read_text())
    assert record["inputVariables"] == {"name": "Ann"}
    assert {path.name for path in tmp_path.glob("call-*")} == {
        "call-1.json",
        "call-1.wav",
        "call-1.png",
        "call-2.json",
    }
