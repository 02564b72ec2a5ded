"""Calls that we make, over real processes: picked up, busy, not answered, and an answering machine."""

import asyncio

import aiohttp
import pytest

from tests.support.media_calls import heard_ms
from tests.support.stack import kinds, running_stack
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

DIALOGUE = """
name: reminder
start: greet
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  greet: {say: "Hello {name}. Press one to confirm.", keys: {"1": bye}}
  bye: {say: Thank you., end: {outcome: SYSTEM, reason: confirmed, reference: {name: "{name}"}}}
"""

CONFIG = """
agents:
  reminder: {kind: embedded, dialogue: reminder.yaml}
  shy: {kind: embedded, dialogue: reminder.yaml, outbound: {begin: after_answer, on_machine: hang_up}}
routes:
  - {name: desk, to: ["+18005550000"], agent: reminder}
tenants:
  default:
    outbound: {countries: [US], caller_ids: ["+18005550000"]}
"""

LONG = (
    "You have reached the office of Miller and Sons and nobody can take your call at the moment because we are all "
    "out in the garden with the bees so please leave your name and your number and we will call you back tomorrow"
)
PHONES = [
    {"at": "+14255550111", "after_ms": 300, "steps": [{"listen": {"within_s": 30}}, {"press": "1"}, "listen", "expect_hang_up"]},
    {"at": "+14255550112", "on_ring": "busy"},
    {"at": "+14255550113", "on_ring": "no_answer"},
    {"at": "+14255550114", "on_ring": "decline"},
    {"at": "+14255550115", "steps": [{"say": LONG}, {"expect_hang_up": {"within_s": 60}}]},
    {"at": "+14255550116", "steps": [{"say": "Hello?"}, {"listen": {"within_s": 30}}, "hang_up"]},
]  # fmt: skip


class Office:
    """A client that has people called."""

    def __init__(self, stack, session) -> None:
        self.stack, self.session = stack, session

    async def call(self, number, agent="reminder", **more):
        body = {"id": f"call-{number}", "number": number, "agent": agent, **more}
        address = f"{self.stack.functions_base}/api/v1/calls"
        async with self.session.post(address, json=body, headers=self.stack.credentials) as answer:
            made = await answer.json()
            assert answer.status == 202, made
            assert answer.headers["location"] == f"/api/calls/{made['callId']}"
            return made

    async def record(self, made):
        address = f"{self.stack.functions_base}/api/calls/{made['callId']}"
        async with asyncio.timeout(patience(40)):
            while True:
                async with self.session.get(address, headers=self.stack.credentials) as answer:
                    record = await answer.json()
                closed = "media_closed" in kinds(record) or "media_connected" not in kinds(record)
                if record["ended"] is not None and closed:
                    return record
                await asyncio.sleep(0.1)

    def phone(self, number):
        return next(call for call in self.stack.emulator.calls.values() if call.summary()["to"] == number)


async def picked_up(office):
    made = await office.call("+14255550111", inputVariables={"name": "Jo"}, taskName="remind")
    again = await office.call("+14255550111", inputVariables={"name": "Jo"}, taskName="remind")
    assert again["callId"] == made["callId"]
    record = await office.record(made)
    assert (record["direction"], record["from"], record["to"]) == ("outbound", "+18005550000", "+14255550111")
    assert record["outcome"]["transferType"] == "SYSTEM"
    assert record["outcome"]["referenceVariables"] == {"name": "Jo"}
    assert record["answeredBy"] == "unknown"  # they pressed a key and said nothing
    assert record["transcript"][0]["text"].startswith("Hello Jo.")
    phone = office.phone("+14255550111")
    assert phone.failed is None and heard_ms(phone) > 500


async def not_reached(office, number, reason):
    record = await office.record(await office.call(number))
    assert (record["state"], record["ended"]["reason"]) == ("failed", reason)
    assert "media_connected" not in kinds(record)


async def machine_hung_up_on(office):
    record = await office.record(await office.call("+14255550115", "shy"))
    assert (record["answeredBy"], record["outcome"]["reason"]) == ("machine", "answering_machine")
    assert record["transcript"] == [] or all(line["who"] == "caller" for line in record["transcript"])
    assert heard_ms(office.phone("+14255550115")) == 0


async def person_is_awaited(office):
    record = await office.record(await office.call("+14255550116", "shy"))
    assert record["answeredBy"] == "person"
    phone = office.phone("+14255550116")
    assert phone.failed is None and heard_ms(phone) > 500


async def test_six_calls(tmp_path):
    (tmp_path / "reminder.yaml").write_text(DIALOGUE)
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    async with (
        running_stack(tmp_path / "stack", config=config) as stack,
        aiohttp.ClientSession() as session,
    ):
        stack.emulator._exchange.ring_timeout_s = 3  # not ACS's two minutes
        for phone in PHONES:
            await stack.emulator.add_phone(phone)
        office = Office(stack, session)
        await asyncio.gather(
            picked_up(office),
            not_reached(office, "+14255550112", "busy"),
            not_reached(office, "+14255550113", "no_answer"),
            not_reached(office, "+14255550114", "declined"),
            machine_hung_up_on(office),
            person_is_awaited(office),
        )
