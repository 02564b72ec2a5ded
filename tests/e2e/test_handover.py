"""Handing callers to people, over real processes: the embedded agent asks, and comes back when nobody takes the call."""

import asyncio

import pytest

from emulator.phone.audio import share_at
from tests.support.media_calls import heard
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

DIALOGUE = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  menu: {say: Hello., keys: {"1": human}}
  human:
    say: Wait.
    barge_in: never
    end: {outcome: AGENT, reason: asked_for_human, target: human, failed: sorry, transfer: {topic: bill}}
  sorry: {say: Nobody is there. Press nine., keys: {"9": bye}}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""

WARM = "mode: warm, announce: '{{topic}} is calling.', confirm_s: 3, ring_s: 5"
TARGETS = {
    "blind": "{to: '+18005550101'}",
    "declined": "{to: '+18005550102'}",
    "warm": f"{{to: '+18005550103', {WARM}}}",
    "voicemail": f"{{to: '+18005550104', {WARM}}}",
    "no_answer": f"{{to: '+18005550105', {WARM}}}",
    "caller_gone": f"{{to: '+18005550106', {WARM}}}",
    "listens": f"{{to: '+18005550107', {WARM}, stay: listen}}",
}
CALLER_HZ, PERSON_HZ = 600, 900
TONE = {"tone": {"hz": PERSON_HZ, "seconds": 60}}
PHONES = [
    {"at": "+18005550101", "steps": [TONE]},
    {"at": "+18005550102", "on_ring": "decline", "after_ms": 2500},
    {"at": "+18005550103", "steps": ["listen", {"press": "1"}, TONE]},
    {"at": "+18005550104", "steps": [TONE]},
    {"at": "+18005550105", "on_ring": "no_answer"},
    {"at": "+18005550106", "on_ring": "no_answer"},
    {"at": "+18005550107", "steps": ["listen", {"press": "1"}, {"wait_ms": 500}, "hang_up"]},
]
ASK = [{"listen": {"within_s": 30}}, {"press": "1"}]
SPEAK = [*ASK, {"tone": {"hz": CALLER_HZ, "seconds": 60}}]
WAITS = [*ASK, {"expect_hang_up": {"within_s": 60}}]


def configuration(folder):
    (folder / "desk.yaml").write_text(DIALOGUE)
    agents = "".join(
        f"  {name}: {{kind: embedded, dialogue: desk.yaml, transfers: {{human: {target}}}}}\n"
        for name, target in TARGETS.items()
    )
    routes = "".join(f"  - {{name: {name}, to: ['{number(name)}'], agent: {name}}}\n" for name in TARGETS)
    path = folder / "patchcord.yaml"
    path.write_text(f"agents:\n{agents}routes:\n{routes}")
    return path


def number(name):
    return f"+1800555000{list(TARGETS).index(name) + 1}"


class Calls:
    """Calls of one stack."""

    def __init__(self, stack, client) -> None:
        self.stack, self.client = stack, client

    async def dial(self, name, steps):
        return await self.stack.emulator.dial({"to": number(name), "steps": steps})

    async def phone(self, name):
        """The telephone that was called for `name`, once it rings."""
        at = f"+180055501{list(TARGETS).index(name) + 1:02}"
        async with asyncio.timeout(patience(20)):
            while True:
                for call in self.stack.emulator.calls.values():
                    if call.summary()["to"] == at:
                        return call
                await asyncio.sleep(0.05)

    async def record(self, call):
        async with asyncio.timeout(patience(30)):
            await call.ended()
        return await settled(self.stack, call.correlation_id)

    async def comes_back(self, name):
        call = await self.dial(name, WAITS)
        async with asyncio.timeout(patience(40)):
            async for known in self.client.follow(call.correlation_id, 0.5):
                if any("Nobody is there." in line["text"] for line in known["transcript"]):
                    break
        await call.press_keys("9")
        record = await self.record(call)
        assert call.failed is None
        assert (record["outcome"]["transferType"], record["ended"]["reason"]) == ("SYSTEM", "agent_done")
        return call, phases(record)


def phases(record):
    return [entry["reason"] for entry in record["timeline"] if entry["kind"] == "handover"]


async def hears(call, hz):
    async with asyncio.timeout(patience(20)):
        while share_at(*heard(call), hz) < 0.02:
            await asyncio.sleep(0.2)


async def together(calls, name):
    """The two talk to each other, then the caller hangs up."""
    call = await calls.dial(name, SPEAK)
    person = await calls.phone(name)
    async with asyncio.timeout(patience(20)):
        await person.first("answered")
    await hears(call, PERSON_HZ)
    await hears(person, CALLER_HZ)
    record = await settled(calls.stack, call.correlation_id)  # our part has ended, and theirs has not
    assert call.summary()["ended"] is None and person.summary()["ended"] is None
    call.hang_up()
    async with asyncio.timeout(patience(10)):
        await person.ended()
    assert (record["outcome"]["transferType"], record["outcome"]["transferVariables"]) == (
        "AGENT",
        {"topic": "bill"},
    )
    return record


async def blind(calls):
    record = await together(calls, "blind")
    assert record["ended"]["reason"] == "transferred"
    assert "transfer_accepted" in kinds(record)


async def declined(calls):
    _, steps = await calls.comes_back("declined")
    assert steps == ["declined"]


async def warm(calls):
    record = await together(calls, "warm")
    assert record["ended"]["reason"] == "handed_over"
    assert phases(record) == ["ringing", "answered", "confirmed", "left"]


async def voicemail(calls):
    call, steps = await calls.comes_back("voicemail")
    assert steps == ["ringing", "answered", "not_confirmed"]
    assert (await calls.phone("voicemail")).summary()["ended"]["reason"] == "removed"
    assert [event["kind"] for event in call.events].count("off_hold") == 1


async def no_answer(calls):
    _, steps = await calls.comes_back("no_answer")
    assert steps == ["ringing", "no_answer"]


async def caller_gone(calls):
    call = await calls.dial("caller_gone", [*ASK, {"wait_ms": 60_000}])
    person = await calls.phone("caller_gone")
    call.hang_up()
    record = await calls.record(call)
    async with asyncio.timeout(patience(10)):
        await person.ended()
    assert person.summary()["ended"]["reason"] == "stopped_ringing"
    assert record["outcome"]["transferType"] == "CALLER_DISCONNECT"


async def listens(calls):
    """When the person hangs up first, the caller is told, and not left with a silent listener."""
    call = await calls.dial("listens", WAITS)
    record = await calls.record(call)
    assert call.failed is None
    assert (record["outcome"]["transferType"], record["ended"]["reason"]) == ("AGENT", "person_left")


async def test_seven_callers_who_want_a_person(tmp_path):
    async with running_stack(tmp_path / "stack", config=configuration(tmp_path)) as stack:
        for phone in PHONES:
            await stack.emulator.add_phone(phone)
        client = stack.client()
        try:
            calls = Calls(stack, client)
            scenes = (blind, declined, warm, voicemail, no_answer, caller_gone, listens)
            await asyncio.gather(*(scene(calls) for scene in scenes))
        finally:
            await client.close()
