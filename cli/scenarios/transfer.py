"""A contact centre lends us its caller, twice in one conversation; a third number is never dialled in time."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cli.scenarios.stage import Stage, script

PATH = "/api/v1/call-transfers"
NUMBERS = ("+18005550201", "+18005550202", "+18005550203", "+18005550204")
LIFETIME_S = 10
CONVERSATION = "ann-2026-11-20"

ASKS, COMES_BACK = script("lent_caller"), script("lent_again")
TOO_LATE = {"steps": ["listen"]}


def configure(config: dict[str, Any]) -> None:
    """What `patchcord.yaml` needs for it."""
    config["call_transfers"] = {"default": {"agent": "reception", "lifetime_s": LIFETIME_S}}
    # Never called for a lent caller; the name is what the agent may choose.
    config["agents"]["reception"]["transfers"]["system"] = "+18005550197"


async def tell(stage: Stage) -> None:
    """Play it."""
    stage.say(
        "The contact centre has Ann on the line and asks for our agent. It gets a number for ten seconds."
    )
    first = await stage.ask("POST", PATH, wanted("contact-1", name="Ann", accountNumber="00123"))
    forgotten = await stage.ask("POST", PATH, wanted("contact-2"))
    stage.say(
        "It dials the first number; the second one it forgets. It reads the transfer while the agent talks."
    )
    [record] = await stage.call(to(first, ASKS), watch=f"{PATH}/contact-1")
    done = await stage.ask("GET", f"{PATH}/contact-1")
    stage.expect(done.get("status") == "COMPLETED", "contact-1 is COMPLETED when our leg has hung up")
    stage.expect(outcome(done) == "AGENT", "a person is wanted")
    stage.expect(record["inputVariables"].get("name") == "Ann", "the agent knew Ann's name")
    stage.expect(record["ended"]["by"] == "agent", "our side hung up, and transferred nobody")

    stage.say(
        "The contact centre connects Ann to a person; later she is lent again: the same conversation goes on."
    )
    again = await stage.ask("POST", PATH, wanted("contact-3"))
    [record] = await stage.call(to(again, COMES_BACK), watch=f"{PATH}/contact-3")
    done = await stage.ask("GET", f"{PATH}/contact-3")
    said = [turn["text"] for turn in record["transcript"] if turn["who"] == "agent"]
    stage.expect(any("I remember" in text for text in said), "the agent remembers the first call")
    stage.expect(record["inputVariables"].get("accountNumber") == "00123", "variables live on")
    stage.expect(outcome(done) == "SYSTEM", "the caller goes back to the contact centre's menu")
    given = done.get("outputContext", {}).get("transferVariables", {})
    stage.expect(given.get("order_number") == "42719", "the contact centre gets what the agent has learned")

    stage.say("Nobody has dialled the second number in its time.")
    ends = datetime.fromisoformat(forgotten["phoneNumber"]["expiresAt"]).timestamp()
    await asyncio.sleep(max(0.0, ends - time.time()))
    late = await stage.ask("GET", f"{PATH}/contact-2")
    stage.expect(late.get("status") == "EXPIRED", "it has expired, though no timer ran")
    [record] = await stage.call(to(forgotten, TOO_LATE), cut_off=True)
    stage.expect(record["endedReason"] == "call_transfer_expired", "whoever dials it now hears the busy tone")


def wanted(id: str, **variables: str) -> dict[str, object]:
    """A request for a number."""
    context = {"inputContext": {"inputVariables": variables}} if variables else {}
    return {
        "id": id,
        "externalConversationId": CONVERSATION if id != "contact-2" else "someone-else",
        "type": "PHONE_NUMBER",
        "phoneNumber": {"country": "US"},
        **context,
    }


def to(transfer: Mapping[str, Any], caller: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's script, at the transfer's number."""
    number = transfer.get("phoneNumber", {}).get("transferNumber", "+18005550000")
    return {**caller, "to": number}


def outcome(transfer: Mapping[str, Any]) -> str:
    """Its transferType, once there is one."""
    return str(transfer.get("outputContext", {}).get("transferType", ""))
