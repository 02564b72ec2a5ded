"""The built-in IVR, our agent and a person: three calls of one conversation, and nothing gets lost between them."""

import asyncio

import pytest

from cli.stack import INCOMING_CALL
from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from tests.support.pressing import press
from tests.support.stack import kinds, running_stack
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
NUMBER, HOURS = "+18005550000", "+18005550001"
AGENT, IVR, NOBODY = (f"8:acs:{RESOURCE}_{name}" for name in ("agent", "ivr", "nobody"))
ADA, BEA, CYD, DEE = (f"+1425555010{n}" for n in range(1, 5))
PERSON, FALLBACK = "+18005550199", "+18005550198"

CONFIG = f"""
agents:
  teller: {{kind: embedded, dialogue: teller.yaml}}
ivrs:
  bank:
    identity: "{IVR}"
    cognitive_services: https://speech.example
    caller_id: "{NUMBER}"
    fallback: "{FALLBACK}"
    apology: Sorry.
    start: hello
    steps:
      hello: {{kind: say, prompt: Bank., next: account}}
      account:
        kind: collect
        prompt: Account?
        no_input: Again.
        no_match: Again.
        variable: accountNumber
        max_digits: 8
        min_digits: 3
        gave_up: bye
        next: pin
      pin: {{kind: collect, prompt: Pin?, variable: pin, min_digits: 4, max_digits: 4, terminator: "", secret: true,
             gave_up: bye, next: mark}}
      mark: {{kind: set, variables: {{origin: "Hauptmenü {{{{accountNumber}}}}", empty: ""}}, next: what}}
      what:
        kind: choice
        prompt: One or two?
        variable: wish
        gave_up: bye
        options:
          balance: {{phrases: [balance], key: "1", next: agent}}
          nobody: {{phrases: [nobody], key: "2", next: nobody}}
      agent: {{kind: transfer, to: "{AGENT}", return_step: back}}
      nobody: {{kind: transfer, to: "{NOBODY}"}}
      back: {{kind: return_point, AGENT: person, SYSTEM: rated, otherwise: bye}}
      rated: {{kind: branch, variable: balance, cases: {{"017.50": person}}, otherwise: bye}}
      person: {{kind: transfer, to: "{PERSON}"}}
      bye: {{kind: hang_up, prompt: Goodbye.}}
  hours:
    identity: "8:acs:{RESOURCE}_hours"
    cognitive_services: https://speech.example
    apology: Sorry.
    start: what
    steps:
      what:
        kind: choice
        prompt: Coffee or tea?
        silence_s: 30
        variable: wish
        gave_up: bye
        options: {{coffee: {{phrases: [coffee], next: good}}, tea: {{phrases: [tea], next: bye}}}}
      good: {{kind: hang_up, prompt: Coffee.}}
      bye: {{kind: hang_up}}
routes:
  - {{name: hours, to: ["{HOURS}"], ivr: hours}}
  - {{name: front, to: ["{NUMBER}"], ivr: bank}}
  - {{name: from-the-ivr, to: ["{AGENT}"], agent: teller, task: balance}}
"""
DIALOGUE = """
name: teller
start: account
no_match: back
no_input: back
listen: {no_input_ms: 60000}
vars: {accountNumber: none}
states:
  account:
    say: "Account {accountNumber:spell}. Press one to go back."
    keys: {"1": back}
  back:
    say: You are going back.
    end:
      outcome: SYSTEM
      reason: balance_told
      reference: {account: "{accountNumber}"}
      transfer: {balance: "017.50", note: "grün & ✓"}
"""
SECRET_PIN = "7391"


async def record_of(client, holds):
    """The first record that `holds`, waited for."""
    seen = []
    try:
        async with asyncio.timeout(patience(20)):
            while True:
                seen = [await client.call(found["callId"]) for found in await client.calls()]
                for record in seen:
                    if holds(record):
                        return record
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError([(one["to"], one["ivr"], one["timeline"]) for one in seen]) from None


def steps(record):
    return [(entry["step"], entry.get("result", "")) for entry in record["ivr"]["steps"]]


async def at_step(client, name, caller):
    return await record_of(
        client, lambda one: one["from"] == caller and one["ivr"] and steps(one)[-1:] == [(name, "")]
    )


async def ended_at(client, caller, to):
    return await record_of(client, lambda one: (one["from"], one["to"]) == (caller, to) and one["ended"])


async def dial(stack, caller):
    return await stack.emulator.dial(
        {"from": caller, "to": NUMBER, "steps": [{"expect_hang_up": {"within_s": patience(60)}}]}
    )


async def to_the_choice(client, call, caller):
    await at_step(client, "account", caller)
    await press(call, "00123#")
    await at_step(client, "pin", caller)
    await press(call, SECRET_PIN)
    await at_step(client, "what", caller)


async def to_the_agent_and_back_and_to_a_person(stack, client):
    call = await dial(stack, ADA)
    await to_the_choice(client, call, ADA)
    await press(call, "1")
    talking = await record_of(client, lambda one: one["to"] == AGENT and one["transcript"])
    assert talking["inputVariables"] == {
        "accountNumber": "00123",
        "origin": "Hauptmenü 00123",
        "empty": "",
        "wish": "balance",
    }
    assert talking["transcript"][0]["text"] == "Account 0, 0, 1, 2, 3. Press one to go back."
    assert (talking["returnTo"], talking["returnStep"]) == (IVR, "back")
    call.press_key("1")
    async with asyncio.timeout(patience(30)):
        await call.ended()
    first, agent, back = [await ended_at(client, ADA, to) for to in (NUMBER, AGENT, IVR)]

    assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [AGENT, IVR, PERSON]
    assert steps(first) == [
        ("hello", ""),
        ("account", ""),
        ("account", "answered"),
        ("pin", ""),
        ("pin", "answered"),
        ("mark", ""),
        ("what", ""),
        ("what", "answered"),
        ("agent", ""),
        ("agent", "transferred"),
    ]
    assert first["ended"]["reason"] == agent["ended"]["reason"] == back["ended"]["reason"] == "transferred"
    assert SECRET_PIN not in str([first, agent, back]), "a secret stays out of all records"
    assert agent["outcome"]["transferVariables"] == {"balance": "017.50", "note": "grün & ✓"}
    assert agent["outcome"]["referenceVariables"] == {"account": "00123"}
    assert steps(back) == [("back", ""), ("rated", ""), ("person", ""), ("person", "transferred")]
    assert back["inputVariables"] == talking["inputVariables"] | {
        "transferType": "SYSTEM",
        "balance": "017.50",
        "note": "grün & ✓",
    }
    assert agent["externalConversationId"] == back["externalConversationId"] == first["callId"]
    assert back["previousCalls"] == [first["callId"], agent["callId"]]
    assert all(not record["faults"] for record in (first, agent, back))
    assert "media_connected" not in kinds(first) and "media_lost" not in kinds(first)


async def a_transfer_fails_twice_and_the_fallback_number_is_called_in(stack, client):
    call = await dial(stack, BEA)
    await to_the_choice(client, call, BEA)
    await press(call, "2")
    async with asyncio.timeout(patience(30)):
        await call.ended()
    record = await ended_at(client, BEA, NUMBER)
    assert steps(record)[-4:] == [
        ("nobody", ""),
        ("nobody", "failed"),
        ("nobody", "failed"),
        ("nobody", "fallback_answered"),
    ]
    assert kinds(record).count("transfer_failed") == 2
    assert record["ended"]["reason"] == "handed_over"


async def the_caller_hangs_up_in_the_ivr(stack, client):
    call = await dial(stack, CYD)
    await at_step(client, "account", CYD)
    await press(call, "0")
    call.hang_up()
    record = await ended_at(client, CYD, NUMBER)
    assert record["ended"]["reason"] == "caller_hung_up"
    assert record["outcome"]["transferType"] == "CALLER_DISCONNECT"
    assert steps(record)[:2] == [("hello", ""), ("account", "")]


async def a_caller_answers_with_words(stack, client):
    script = {"from": DEE, "to": HOURS, "steps": ["listen", {"say": "coffee"}, {"expect_hang_up": {}}]}
    call = await stack.emulator.dial(script)
    async with asyncio.timeout(patience(30)):
        await call.ended()
    record = await ended_at(client, DEE, HOURS)
    assert steps(record) == [("what", ""), ("what", "answered"), ("good", "")]
    assert record["ivr"]["variables"] == {"wish": "coffee"}
    assert (record["ended"]["reason"], record["outcome"]) == ("ivr_ended", None)


async def test_four_callers(tmp_path):
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    (tmp_path / "teller.yaml").write_text(DIALOGUE)
    async with running_stack(tmp_path / "stack", config=config, known=[SECRET_PIN]) as stack:
        emulator = stack.emulator
        await emulator.subscribe(
            Subscription(
                "incoming-call",
                stack.webhook("incoming_call"),
                included_event_types=[INCOMING_CALL],
                filters=[
                    AdvancedFilter("StringIn", "data.to.rawId", [f"4:{NUMBER}", f"4:{HOURS}", AGENT, IVR])
                ],
            )
        )
        await emulator.add_phone({"at": NOBODY, "on_ring": "unreachable"})
        for person in (PERSON, FALLBACK):
            await emulator.add_phone(
                {"at": person, "on_ring": "pick_up", "steps": [{"wait_ms": 500}, "hang_up"]}
            )
        client = stack.client()
        try:
            await asyncio.gather(
                to_the_agent_and_back_and_to_a_person(stack, client),
                a_transfer_fails_twice_and_the_fallback_number_is_called_in(stack, client),
                the_caller_hangs_up_in_the_ivr(stack, client),
                a_caller_answers_with_words(stack, client),
            )
        finally:
            await client.close()
