"""A shop has four people called: one confirms, one is busy, one has an answering machine, one lives where nobody may be called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.scenarios.stage import Json, Stage

PATH = "/api/v1/calls"
CALLER_ID = "+18005550000"
ANN, BOB, EVE, MAX = "+14255550121", "+14255550122", "+14255550123", "+442079460123"
ANNOUNCEMENT = (
    "you have reached the office of miller and sons and nobody can take your call at the moment because we are all out in "
    "the garden with the bees so please leave your name and your number and we will call you back tomorrow"
)
PHONES: Sequence[dict[str, object]] = (
    {
        "at": ANN,
        "after_ms": 1500,
        "voice": "en-us+f3",
        "steps": [{"say": "hello"}, "listen", {"press": "1"}, {"expect_hang_up": {"within_s": 30}}],
    },
    {"at": BOB, "on_ring": "busy", "after_ms": 500},
    {"at": EVE, "voice": "en-us+m3", "steps": [{"say": ANNOUNCEMENT}, {"expect_hang_up": {"within_s": 60}}]},
)


def configure(config: dict[str, Any]) -> None:
    """What `patchcord.yaml` needs for it."""
    config["agents"]["reminder"] = {
        "kind": "embedded",
        "dialogue": str(Path(__file__).with_name("reminder.yaml")),
        "recording": True,
        "outbound": {"begin": "after_answer", "on_machine": "hang_up"},
    }
    config["tenants"]["default"]["outbound"] = {"countries": ["US"], "caller_ids": [CALLER_ID]}


async def tell(stage: Stage) -> None:
    """Play it."""
    for phone in PHONES:
        await stage.stack.emulator.add_phone(phone)

    stage.say("The shop asks for a call to Ann. She picks up and confirms.")
    record = await called(stage, "parcel-1", ANN, "Ann")
    outcome = record.get("outcome") or {}
    stage.expect(outcome.get("reason") == "confirmed", "Ann has confirmed")
    stage.expect(outcome.get("transferVariables", {}).get("confirmed") == "yes", "and the record says so")

    stage.say("Bob is busy.")
    record = await called(stage, "parcel-2", BOB, "Bob", cut_off=True)
    stage.expect(record["endedReason"] == "busy", "the record says busy")

    stage.say("At Eve's an answering machine picks up: the agent listens first, and hangs up.")
    record = await called(stage, "parcel-3", EVE, "Eve", cut_off=True)
    stage.expect(record.get("answeredBy") == "machine", "a machine has answered")

    stage.say(
        "Max lives in another country, which this tenant may not call: stolen credentials cost less so."
    )
    refused = await stage.ask("POST", PATH, wanted("parcel-4", MAX, "Max"))
    stage.expect(refused.get("error", {}).get("code", "").startswith("403"), "the request is refused")


async def called(stage: Stage, id: str, number: str, name: str, *, cut_off: bool = False) -> Json:
    """Have somebody called; the record."""
    made = await stage.ask("POST", PATH, wanted(id, number, name))
    [record] = await stage.rings(number, cut_off=cut_off)
    stage.tell("GET", f"/api/calls/{made.get('callId')}")
    stage.tell("200", stage.shown(record, "state", "answeredBy", "endedReason", "outcome"))
    return record


def wanted(id: str, number: str, name: str) -> dict[str, object]:
    """A request for a call."""
    variables = {"name": name, "day": "tomorrow morning"}
    return {"id": id, "number": number, "agent": "reminder", "inputVariables": variables}
