"""docs/examples/ivr_app.py and Patchcord as two apps of one ACS resource: to our agent with custom context, and back."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from cli.processes import Child, free_port
from cli.stack import INCOMING_CALL, answers
from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from shared.calls.poison import PARTITION, TABLE
from shared.store import open_store
from tests.support.pressing import press
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
NUMBER = "4:+18005550000"
AGENT, IVR = (f"8:acs:{RESOURCE}_{name}" for name in ("agent", "ivr"))
CALLER, SECOND, THIRD, PERSON = "+14255550101", "+14255550102", "+14255550103", "+18005550199"
SENT = {"accountNumber": "00123", "from-ivr": "Hauptmenü, key 1", "empty": ""}

CONFIG = f"""
agents:
  teller: {{kind: embedded, dialogue: teller.yaml}}
routes:
  - {{name: from-the-ivr, to: ["{AGENT}"], agent: teller, task: balance, overflow: {{action: reject}}}}
tenants:
  default: {{max_concurrent_calls: 2, return_identities: ["{IVR}"]}}
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
    keys: {"1": back, "2": person}
  back:
    say: You are going back.
    end:
      outcome: SYSTEM
      reason: balance_told
      reference: {account: "{accountNumber}"}
      transfer: {balance: "017.50"}
  person:
    say: You want a person.
    end: {outcome: AGENT, reason: asked, transfer: {balance: "017.50", note: "grün & ✓"}}
"""


class IvrLog:
    """What the IVR's process has printed so far, which is what it saw."""

    def __init__(self, path):
        self.path = path

    def lines(self, what=None, **having):
        """The lines of one kind (all without) that have these fields."""
        found = [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]
        return [
            line
            for line in found
            if what in (None, line["what"]) and all(line.get(key) == value for key, value in having.items())
        ]

    async def line(self, what, **having):
        """The first such line, waited for."""
        async with asyncio.timeout(patience(20)):
            while not (found := self.lines(what, **having)):
                assert "Traceback" not in (seen := self.path.read_text()), seen
                await asyncio.sleep(0.05)
        return found[0]

    def callbacks(self, visit):
        """The types of a visit's callbacks as they came, without the rosters."""
        told = ("IncomingCall", "asked", "ParticipantsUpdated")
        return [line["what"] for line in self.lines(visit=visit) if line["what"] not in told]


@asynccontextmanager
async def running_ivr(stack, folder):
    """The IVR as a process, subscribed to all calls of telephone numbers and to those of its own ACS user."""
    port, log = free_port(), folder / "ivr.log"
    env = {
        "ACS_ENDPOINT": stack.emulator.endpoint,
        "ACS_KEY": stack.emulator.config.access_key,
        "IVR_PORT": str(port),
        "IVR_BASE": f"http://127.0.0.1:{port}",
        "IVR_SPEECH": "https://speech.example",
        "IVR_USER": IVR,
        "IVR_NUMBER": NUMBER.removeprefix("4:"),
        "AGENT_USER": AGENT,
        "PERSON_NUMBER": PERSON,
    }
    child = Child("IVR", "docs.examples.ivr_app", [], env, log)
    await child.start(lambda: answers(f"http://127.0.0.1:{port}/health"), patience(20))
    try:
        for name, key, value in (
            ("ivr-numbers", "data.to.kind", "phoneNumber"),
            ("ivr-user", "data.to.rawId", IVR),
        ):
            await subscribe(stack, name, f"http://127.0.0.1:{port}/events", key, value)
        yield IvrLog(log)
    finally:
        await child.stop()
    assert "Traceback" not in log.read_text(), log.read_text()


async def subscribe(stack, name, endpoint, key, value):
    """To the IncomingCall events in which `key` is `value`; one of the same name is replaced."""
    filters = [AdvancedFilter("StringIn", key, [value])]
    await stack.emulator.subscribe(
        Subscription(name, endpoint, included_event_types=[INCOMING_CALL], filters=filters)
    )


async def at_the_choice(stack, ivr, caller):
    """A call of `caller` that has keyed in its account and is asked what it wants; with the visit's number."""
    call = await stack.emulator.dial(
        {"from": caller, "steps": [{"expect_hang_up": {"within_s": patience(60)}}]}
    )
    visit = (await ivr.line("IncomingCall", caller=caller))["visit"]
    await ivr.line("asked", visit=visit, step="account")
    await press(call, "00123#")
    await ivr.line("asked", visit=visit, step="choice")
    return call, visit


async def ended(call):
    async with asyncio.timeout(patience(20)):
        await call.ended()
    assert call.failed is None, call.failed


async def record_of(client, holds):
    """The first record that `holds`, waited for."""
    async with asyncio.timeout(patience(20)):
        while True:
            for found in await client.calls():
                record = await client.call(found["callId"])
                if holds(record):
                    return record
            await asyncio.sleep(0.1)


async def put_aside(stack):
    """Events that came to the function app, and that it has no route for or cannot read."""
    store = open_store(stack.store_address)
    try:
        return await store.query(TABLE, PARTITION)
    finally:
        await store.close()


def kinds_of(call):
    return [event["kind"] for event in call.events]


async def with_the_agent(stack, ivr, client, caller):
    """A caller who talks to the agent; with the visit's number and the agent's record."""
    call, visit = await at_the_choice(stack, ivr, caller)
    await press(call, "1")
    record = await record_of(client, lambda record: record["from"] == caller and record["transcript"])
    return call, visit, record


async def wants_a_person(call, ivr, client):
    """The agent has nobody of its own: the IVR gets the caller back with AGENT, and transfers to a person."""
    call.press_key("2")
    back = await ivr.line("IncomingCall", caller=THIRD, to=IVR)
    assert back["headers"]["transferType"] == "AGENT"
    assert (back["headers"]["balance"], back["headers"]["note"]) == ("017.50", "grün & ✓")
    await ivr.line("CallTransferAccepted", visit=back["visit"])
    await ended(call)
    record = await record_of(client, lambda record: record["from"] == THIRD and record["ended"])
    assert record["outcome"]["transferType"] == "AGENT"
    assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [AGENT, IVR, PERSON]


@asynccontextmanager
async def both(tmp_path):
    """Patchcord and the IVR as apps of one resource."""
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    (tmp_path / "teller.yaml").write_text(DIALOGUE)
    async with (
        running_stack(tmp_path / "stack", config=config, known=[SENT["from-ivr"]]) as stack,
        running_ivr(stack, tmp_path) as ivr,
    ):
        await subscribe(stack, "incoming-call", stack.webhook("incoming_call"), "data.to.rawId", AGENT)
        client = stack.client()
        try:
            yield stack, ivr, client
        finally:
            await client.close()
        assert await put_aside(stack) == [], "nobody else's call came to us"


async def test_from_the_ivr_to_our_agent_and_back(tmp_path):
    async with both(tmp_path) as (stack, ivr, client):
        await stack.emulator.add_phone(
            {"at": PERSON, "on_ring": "pick_up", "steps": [{"wait_ms": 500}, "hang_up"]}
        )
        # There: new calls with the headers, and the agent says what is in them.
        (call, first, talking), (third, _, _) = await asyncio.gather(
            with_the_agent(stack, ivr, client, CALLER), with_the_agent(stack, ivr, client, THIRD)
        )
        assert talking["state"] == "connected"
        assert talking["inputVariables"] == SENT, "reserved headers are no variables"
        assert (talking["from"], talking["to"], talking["task"]) == (CALLER, AGENT, "balance")
        assert (talking["returnTo"], talking["returnStep"]) == (IVR, "after-agent")
        assert talking["externalConversationId"] == f"ivr-{first}"
        assert talking["transcript"][0]["text"] == "Account 0, 0, 1, 2, 3. Press one to go back."
        assert call.summary()["heard_ms"] > 2000, "the caller hears the agent"
        assert talking["correlationId"] != call.correlation_id
        await ivr.line("CallDisconnected", visit=first)
        assert ivr.callbacks(first)[-2:] == ["CallTransferAccepted", "CallDisconnected"]

        # Meanwhile: our lines are busy.
        other, busy = await at_the_choice(stack, ivr, SECOND)
        await press(other, "1")
        await ended(other)
        assert ivr.lines("CallTransferFailed", visit=busy)[0]["codes"] == [486, 8539]
        assert "transferred" not in kinds_of(other)

        # And back: a fresh call of the IVR's user, with what our agent sends.
        person = asyncio.create_task(wants_a_person(third, ivr, client))
        call.press_key("1")
        back = await ivr.line("IncomingCall", caller=CALLER, to=IVR)
        assert back["headers"] == {
            "transferType": "SYSTEM",
            "balance": "017.50",
            "externalConversationId": f"ivr-{first}",
            "returnStep": "after-agent",
        }
        await ended(call)
        record = await settled(stack, talking["correlationId"])
        rejected = await record_of(client, lambda record: record["state"] == "rejected")
        await person
        assert len(await client.calls()) == 3

    assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [AGENT, IVR]
    assert kinds_of(call).count("answered") == 1
    assert [event["subscription"] for event in call.events if event["kind"] == "delivered"] == ["ivr-numbers"]
    assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}
    assert ivr.callbacks(back["visit"])[-2:] == ["PlayCompleted", "CallDisconnected"]
    assert record["ended"]["reason"] == "transferred"
    assert record["outcome"] == {
        "transferType": "SYSTEM",
        "reason": "balance_told",
        "currentTaskName": "balance",
        "referenceVariables": {"account": "00123"},
        "transferVariables": {"balance": "017.50"},
    }
    assert [said["text"] for said in record["transcript"][1:]] == ["[1 key]", "You are going back."]
    assert record["faults"] == []
    order = kinds(record)
    assert order.index("transfer") < order.index("transfer_accepted") < order.index("disconnected")
    assert "transfer_failed" not in order
    assert (rejected["from"], rejected["ended"]["reason"]) == (SECOND, "tenant_limit")
    assert rejected["inputVariables"] == SENT
