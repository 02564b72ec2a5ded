"""The built-in IVR asks, our agent helps and gives the caller back, the IVR goes on and connects a person."""

from typing import Any

from cli.scenarios.stage import Stage, script

RESOURCE = "8:acs:00000000-0000-0000-0000-000000000000"
NUMBER, AGENT, IVR, PERSON = "+18005550001", f"{RESOURCE}_agent", f"{RESOURCE}_ivr", "+18005550196"
SHOWN = ("to", "agent", "inputVariables", "outcome", "previousCalls")
SOMEBODY: dict[str, object] = {
    "at": PERSON,
    "on_ring": "pick_up",
    "voice": "en-us+m3",
    "steps": [{"say": "hello this is sam"}, {"wait_ms": 1000}, "hang_up"],
}


def configure(config: dict[str, Any]) -> None:
    """What `patchcord.yaml` needs for it."""
    config["ivrs"] = {
        "front": {
            "identity": IVR,
            "cognitive_services": "https://speech.example",
            "caller_id": NUMBER,
            "fallback": "+18005550195",
            "apology": "I am sorry, something went wrong.",
            "start": "account",
            "steps": {
                "account": {
                    "kind": "collect",
                    "prompt": "Welcome. Please key in your account number, then the hash key.",
                    "no_input": "Please key in your account number.",
                    "no_match": "That is no account number.",
                    "variable": "accountNumber",
                    "min_digits": 3,
                    "max_digits": 8,
                    "gave_up": "bye",
                    "next": "menu",
                },
                "menu": {
                    "kind": "choice",
                    "prompt": "For an order press one.",
                    "variable": "wish",
                    "gave_up": "bye",
                    "options": {"order": {"phrases": ["order"], "key": "1", "next": "agent"}},
                },
                "agent": {"kind": "transfer", "to": AGENT, "return_step": "back"},
                "back": {"kind": "return_point", "AGENT": "person", "SYSTEM": "person", "otherwise": "bye"},
                "person": {"kind": "transfer", "to": PERSON},
                "bye": {"kind": "hang_up", "prompt": "Goodbye."},
            },
        }
    }
    config["routes"] += [
        {"name": "front", "to": [NUMBER], "ivr": "front"},
        {"name": "from-the-ivr", "to": [AGENT], "agent": "reception"},
    ]


async def tell(stage: Stage) -> None:
    """Play it."""
    await stage.stack.emulator.add_phone(SOMEBODY)
    stage.say(
        "A caller dials the number of the IVR, which asks for an account number and what the matter is."
    )
    records = await stage.call(script("ivr_caller"))
    stage.expect(len(records) == 3, "three calls with us: IVR, agent, IVR")
    if len(records) != 3:
        return
    first, agent, back = records
    stage.say("What each part knew, and what it handed on:")
    for record in records:
        stage.tell("GET", f"/api/calls/{record['callId']}")
        stage.tell("200", stage.shown(record, *SHOWN))
    brought = agent["inputVariables"]
    stage.expect(brought.get("accountNumber") == "00123", "the agent knew the account number")
    stage.expect(brought.get("wish") == "order", "the agent knew the caller's choice")
    given = back["inputVariables"]
    stage.expect(given.get("order_number") == "42719", "the IVR got what the agent has learned")
    stage.expect(given.get("accountNumber") == "00123", "and still knows what it has asked itself")
    stage.expect(
        [call["ended"]["reason"] for call in records] == ["transferred"] * 3, "each handed the caller on"
    )
    stage.expect(first["callId"] == back["previousCalls"][0], "all of it is one conversation")
