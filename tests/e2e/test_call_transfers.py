"""Call transfers over real processes: another system asks for a number, dials it, and reads what came of it."""

import asyncio
import time

import pytest

from cli.gateway_client import GatewayClient
from shared.security.tenants import TenantDoor
from shared.store import open_store
from shared.transfers.numbers import NumberPool
from tests.support.stack import kinds, running_stack
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

AGENT_USER = "8:acs:9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10_agent"
DESK = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  menu: {say: "Account {accountNumber}.", keys: {"1": person, "2": back}}
  person:
    say: Wait.
    barge_in: never
    end: {outcome: AGENT, reason: asked_for_human, target: human, failed: bye, transfer: {topic: bill}}
  back:
    say: Back to the menu.
    end: {outcome: SYSTEM, reason: done, reference: {account: "{accountNumber}"}, transfer: {"größe": "{size}"}}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""
CONFIG = f"""
agents:
  reception:
    kind: embedded
    dialogue: desk.yaml
    transfers: {{human: "+18005550199", system: "+18005550198"}}
  desk: {{kind: embedded, dialogue: desk.yaml, transfers: {{human: "+18005550199"}}}}
routes:
  - {{name: reception, to: ["+18005550000"], agent: reception}}
tenants: {{shop: {{}}}}
call_transfers:
  default: {{agent: reception}}
  shop: {{agent: desk, lifetime_s: 10, acs_user: "{AGENT_USER}"}}
"""
NUMBERS = [f"+1800555020{n}" for n in range(8)]
PATH = "/api/v1/call-transfers"
SIZE = "“ß” 尺寸 🙂 é"
CONTEXT = {"taskName": "", "inputVariables": {"accountNumber": "00123", "size": SIZE, "größe": "L"}}
TALKS = [{"listen": {"within_s": 30}}]
LONG = {"within_s": 60}


class Shop:
    """A system that lends its callers; `emulator` is the telephone network."""

    def __init__(self, stack, client) -> None:
        self.stack, self.client = stack, client

    async def create(self, id, **fields):
        body = {
            "id": id,
            "externalConversationId": f"conversation-{id}",
            "type": "PHONE_NUMBER",
            "phoneNumber": {"country": "US"},
            "inputContext": CONTEXT,
        } | fields
        status, made = await self.client.ask("POST", PATH, body)
        assert (status, made.get("status")) == (200, "ACTIVE"), made
        return made

    async def get(self, id):
        status, found = await self.client.ask("GET", f"{PATH}/{id}")
        assert status == 200, found
        return found

    async def until(self, id, status):
        async with asyncio.timeout(patience(30)):
            while (found := await self.get(id))["status"] != status:
                await asyncio.sleep(0.1)
        return found

    async def dial(self, transfer, steps, **script):
        to = transfer["phoneNumber"]["transferNumber"]
        return await self.stack.emulator.dial({"to": to, "steps": steps, **script})

    async def over(self, call):
        """The line is dead."""
        async with asyncio.timeout(patience(40)):
            await call.ended()

    async def record(self, call):
        """Our record, once it is complete."""
        return await self.client.settled(call.correlation_id, patience(20))


async def in_time_and_back_to_the_system(shop):
    made = await shop.create("in-time")
    number = made["phoneNumber"]
    assert number["country"] == "US" and number["expireAt"] == number["expiresAt"]
    call = await shop.dial(made, [*TALKS, {"press": "2"}, {"expect_hang_up": LONG}])
    assert (await shop.until("in-time", "ONGOING"))["callReceivedAt"] >= made["createdAt"]
    await shop.over(call)
    done = await shop.get("in-time")  # at once: no waiting, no second look
    assert call.failed is None and done["status"] == "COMPLETED"
    assert done["outputContext"] == {
        "transferType": "SYSTEM",
        "currentTaskName": "desk",
        "referenceVariables": {"account": "00123"},
        "transferVariables": {"größe": SIZE},
    }
    record = await shop.record(call)
    assert record["inputVariables"] == CONTEXT["inputVariables"]
    assert (record["callTransferId"], record["tenant"], record["callId"]) == (
        "in-time",
        "shop",
        done["callId"],
    )
    assert record["ended"]["reason"] == "agent_done"
    # Delivered again after the release, the event finds its call, and nothing is answered a second time.
    call.deliver_again(3)
    store = open_store(shop.stack.store_address)
    try:
        row = await NumberPool(store, time.time).get(number["transferNumber"])
    finally:
        await store.close()
    assert (row.state(time.time()), row.transfer_id) == ("quarantine", "in-time")
    await asyncio.sleep(1)
    assert kinds(await shop.record(call)) == kinds(record)
    found = [one for one in await shop.client.calls() if one["correlationId"] == call.correlation_id]
    assert len(found) == 1 and await shop.get("in-time") == done


async def to_a_person_and_never_transferred_by_us(shop):
    made = await shop.create("person")
    call = await shop.dial(made, [*TALKS, {"press": "1"}, {"expect_hang_up": LONG}])
    await shop.over(call)
    done = await shop.get("person")
    assert done["outputContext"] == {
        "transferType": "AGENT",
        "referenceVariables": {},
        "transferVariables": {"topic": "bill"},
    }
    record = await shop.record(call)
    steps = kinds(record)
    assert steps.index("outcome") < steps.index("hang_up") and "transfer" not in steps
    assert record["ended"]["by"] == "agent"


async def a_second_caller_hears_the_busy_tone(shop):
    made = await shop.create("twice")
    first = await shop.dial(made, [{"wait_ms": {"ms": 3000}}, "hang_up"])
    await asyncio.wait_for(first.first("answered"), patience(10))
    second = await shop.dial(made, ["listen"], **{"from": "+14255550101"})
    await shop.over(second)
    assert second.summary()["ended"]["reason"] == "rejected: busy"
    assert (await shop.record(second))["endedReason"] == "call_transfer_taken"
    assert (await shop.get("twice"))["status"] == "ONGOING"
    await shop.over(first)
    done = await shop.until("twice", "COMPLETED")  # ACS's word of the end is on its way
    assert done["outputContext"] == {"transferType": "CALLER_DISCONNECT"}


async def dialled_in_the_last_second(shop):
    """A lifetime of 10 s stands for the 60 s of real life (those: tests/shared/transfers/test_door.py, on a virtual clock)."""
    made = await shop.create("last-second")
    await asyncio.sleep(9)
    call = await shop.dial(made, [{"wait_ms": {"ms": 1500}}, "hang_up"])
    await shop.over(call)
    assert (await shop.until("last-second", "COMPLETED"))["outputContext"][
        "transferType"
    ] == "CALLER_DISCONNECT"
    assert (await shop.record(call))["callTransferId"] == "last-second"


async def dialled_too_late(shop):
    made = await shop.create("late")
    await shop.until("late", "EXPIRED")
    call = await shop.dial(made, ["listen"])
    await shop.over(call)
    assert (await shop.record(call))["endedReason"] == "call_transfer_expired"
    assert (await shop.get("late"))["status"] == "EXPIRED"


async def by_the_identity_of_the_agent(shop):
    made = await shop.create("by-user", type="ACS_USER", phoneNumber=None)
    user = made["acsUser"]
    call = await shop.stack.emulator.dial(
        {
            "from": "8:acs:9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10_menu",
            "to": user["communicationUserId"],
            "voip_headers": {**user["voipHeaders"], "accountNumber": "of the call", "extra": "too"},
            "steps": [*TALKS, {"press": "2"}, {"expect_hang_up": LONG}],
        }
    )
    await shop.over(call)
    done = await shop.get("by-user")
    assert call.failed is None and done["outputContext"]["transferVariables"] == {"größe": SIZE}
    record = await shop.record(call)
    assert record["inputVariables"] == CONTEXT["inputVariables"] | {"extra": "too"}


async def the_second_call_goes_on_where_the_first_one_ended(shop):
    """The model is told what was said in the first call, and answers from that."""
    same = {"externalConversationId": "one-conversation"}
    first = await shop.create("first", **same, inputContext={"inputVariables": {"name": "Ann", "tier": "1"}})
    asks = {"interrupt": {"after_ms": 600, "say": "where is my order"}}
    call = await shop.dial(first, [asks, {"wait_ms": 3500}, "hang_up"])
    await shop.over(call)
    await shop.record(call)
    second = await shop.create("second", **same, inputContext={"inputVariables": {"tier": "2"}})
    call = await shop.dial(
        second,
        [
            {"interrupt": {"after_ms": 600, "say": "as i said before"}},
            {"wait_ms": 1500},
            {"interrupt": {"after_ms": 4000, "say": "take me back to the menu"}},
            {"expect_hang_up": LONG},
        ],
    )
    await shop.over(call)
    done, record = await shop.get("second"), await shop.record(call)
    assert call.failed is None, call.failed
    said = [line["text"] for line in record["transcript"] if line["who"] == "agent"]
    assert any("I remember: where is my order" in text for text in said), said
    assert said[0].startswith("Hello"), "a new call, not an interrupted one"
    assert len(record["previousCalls"]) == 1
    assert record["inputVariables"] == {"name": "Ann", "tier": "2"}
    assert done["outputContext"]["transferType"] == "SYSTEM"
    assert done["outputContext"]["transferVariables"] == {"order_number": ""}


async def test_callers_who_are_lent_to_us(tmp_path):
    (tmp_path / "desk.yaml").write_text(DESK)
    (tmp_path / "patchcord.yaml").write_text(CONFIG)
    async with running_stack(
        tmp_path / "stack", config=tmp_path / "patchcord.yaml", numbers=NUMBERS, agent="emulated-openai"
    ) as stack:
        store = open_store(stack.store_address)
        issued = await TenantDoor(store, "local", time.time).issue("shop")
        await store.close()
        headers = {"api-id": issued.api_id, "api-secret": issued.api_secret}
        clients = GatewayClient(stack.functions_base, headers), stack.client()
        shop, own = (Shop(stack, client) for client in clients)
        try:
            await asyncio.gather(
                in_time_and_back_to_the_system(shop),
                to_a_person_and_never_transferred_by_us(shop),
                a_second_caller_hears_the_busy_tone(shop),
                dialled_in_the_last_second(shop),
                dialled_too_late(shop),
                by_the_identity_of_the_agent(shop),
                the_second_call_goes_on_where_the_first_one_ended(own),
            )
        finally:
            for client in clients:
                await client.close()
