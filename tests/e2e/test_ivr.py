"""An IVR and Patchcord as two apps of one ACS resource: the caller goes to our agent with custom context, and comes back."""

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
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
NUMBER = "4:+18005550000"
AGENT, IVR, NIGHT_DESK = (f"8:acs:{RESOURCE}_{name}" for name in ("agent", "ivr", "night-desk"))
CALLER, SECOND, THIRD = "+14255550101", "+14255550102", "+14255550103"
HEADERS = {"accountNumber": "00123", "from-ivr": "Hauptmenü, key 1", "empty": ""}
TO_THE_AGENT = {"user": AGENT, "headers": HEADERS}
TO_THE_NIGHT_DESK = {"user": NIGHT_DESK, "headers": {}}

CONFIG = f"""
agents:
  teller: {{kind: embedded, dialogue: teller.yaml, transfers: {{ivr: "{IVR}"}}}}
routes:
  - {{name: from-the-ivr, to: ["{AGENT}"], agent: teller, task: balance, overflow: {{action: reject}}}}
tenants:
  default: {{max_concurrent_calls: 1}}
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
      target: ivr
      reference: {account: "{accountNumber}"}
      transfer: {balance: "017.50"}
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
        told = ("IncomingCall", "asked", "still", "ParticipantsUpdated")
        return [line["what"] for line in self.lines(visit=visit) if line["what"] not in told]


@asynccontextmanager
async def running_ivr(stack, folder):
    """The IVR as a process, subscribed to all calls of telephone numbers and to those of its own ACS user."""
    port, log = free_port(), folder / "ivr.log"
    env = {
        "ACS_ENDPOINT": stack.emulator.endpoint,
        "ACS_KEY": stack.emulator.config.access_key,
        "IVR_PORT": str(port),
        "IVR_CHOICES": json.dumps({"1": TO_THE_AGENT, "2": TO_THE_NIGHT_DESK}),
    }
    child = Child("IVR", "tests.support.ivr_app", [], env, log)
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


async def asked(stack, ivr, caller):
    """A call of `caller` that the IVR has welcomed and asked for a key; returns it with the visit's number."""
    call = await stack.emulator.dial(
        {"from": caller, "steps": [{"expect_hang_up": {"within_s": patience(60)}}]}
    )
    visit = (await ivr.line("IncomingCall", caller=caller))["visit"]
    await ivr.line("asked", visit=visit)
    return call, visit


async def ended(call):
    async with asyncio.timeout(patience(20)):
        await call.ended()
    assert call.failed is None, call.failed
    assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}


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


async def refused(stack, ivr, caller, key):
    """A caller who cannot be transferred; returns the visit's number."""
    call, visit = await asked(stack, ivr, caller)
    call.press_key(key)
    await ended(call)
    assert "transferred" not in kinds_of(call)
    assert (await ivr.line("still", visit=visit))["state"] == "connected"
    assert ivr.callbacks(visit)[-4:] == [
        "CallTransferFailed",
        "PlayStarted",
        "PlayCompleted",
        "CallDisconnected",
    ]
    assert "CallTransferAccepted" not in ivr.callbacks(visit)
    return visit


def kinds_of(call):
    return [event["kind"] for event in call.events]


async def test_from_the_ivr_to_our_agent_and_back(tmp_path):
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    (tmp_path / "teller.yaml").write_text(DIALOGUE)
    async with (
        running_stack(tmp_path / "stack", config=config, known=[HEADERS["from-ivr"]]) as stack,
        running_ivr(stack, tmp_path) as ivr,
    ):
        await subscribe(stack, "incoming-call", stack.webhook("incoming_call"), "data.to.rawId", AGENT)
        await stack.emulator.add_phone({"at": NIGHT_DESK, "on_ring": "unreachable"})
        client = stack.client()
        try:
            # There: a new call with the headers, and the agent says what is in them.
            call, first = await asked(stack, ivr, CALLER)
            heard_ms = call.summary()["heard_ms"]
            call.press_key("1")
            talking = await record_of(client, lambda record: record["transcript"])
            assert talking["state"] == "connected"
            assert talking["inputVariables"] == HEADERS
            assert (talking["from"], talking["to"], talking["task"]) == (CALLER, AGENT, "balance")
            assert talking["transcript"][0]["text"] == "Account 0, 0, 1, 2, 3. Press one to go back."
            assert call.summary()["heard_ms"] - heard_ms > 1500, "the caller hears the agent"
            assert talking["correlationId"] != call.correlation_id
            await ivr.line("CallDisconnected", visit=first)
            assert ivr.callbacks(first)[-2:] == ["CallTransferAccepted", "CallDisconnected"]

            # Meanwhile: our only line is busy, and the night desk is not there.
            busy, unreachable = await asyncio.gather(
                refused(stack, ivr, SECOND, "1"), refused(stack, ivr, THIRD, "2")
            )
            assert ivr.lines("CallTransferFailed", visit=busy)[0]["codes"] == [486, 8539]
            assert ivr.lines("CallTransferFailed", visit=unreachable)[0]["codes"] == [480, 8544]

            # And back: a fresh call of the IVR's user, with what our agent sends.
            call.press_key("1")
            back = await ivr.line("IncomingCall", caller=CALLER, to=IVR)
            assert back["headers"] == {"transferType": "SYSTEM", "balance": "017.50"}
            await ended(call)
            record = await settled(stack, talking["correlationId"])
            other = await record_of(client, lambda record: record["state"] == "rejected")
            assert len(await client.calls()) == 2
        finally:
            await client.close()
        assert await put_aside(stack) == [], "nobody else's call came to us"

    assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [AGENT, IVR]
    assert kinds_of(call).count("answered") == 1
    assert [event["subscription"] for event in call.events if event["kind"] == "delivered"] == ["ivr-numbers"]
    assert "AnswerFailed" not in {line["what"] for line in ivr.lines()}
    arrived = [(line["caller"], line["to"]) for line in ivr.lines("IncomingCall")]
    assert (len(arrived), arrived[0], arrived[-1]) == (4, (CALLER, NUMBER), (CALLER, IVR))
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
    assert (other["from"], other["ended"]["reason"]) == (SECOND, "tenant_limit")
    assert other["inputVariables"] == HEADERS
