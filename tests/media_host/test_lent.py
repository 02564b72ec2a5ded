"""A caller whom another system has lent us is never transferred by us: the outcome says where to, then we hang up."""

import pytest

from media_host.agents.base import Ended, Fault, Said, ToolCall, TransferType
from shared.calls.events import CallEvent, EventKind
from tests.support.session_world import STARTED, open_session, virtual

PEOPLE = """
transfers: {human: "+18005550199", system: "+18005550197", fallback: "+18005550198"}
keys: {"0": human}
"""
RECEIVED = {
    "callId": "call-1",
    "tenant": "default",
    "from": "+14255550100",
    "to": "+18005550200",
    "agent": "puppet",
    "task": "refund",
}


def lent(**more):
    data = {**RECEIVED, "callTransferId": "contact-1", **more}
    return [CallEvent("received", EventKind.RECEIVED, STARTED, data)]


async def given_back(world, transfer_type, reason, variables):
    """The outcome was there before we hung up, and nothing else was asked of ACS."""
    await world.run(10)
    [order] = [[event.kind for event in world.store.kept.values()]]
    assert order.index(EventKind.OUTCOME) < order.index(EventKind.HANG_UP)
    assert [name for name, _, _ in world.control.asked] == ["hang_up"]
    record = await world.hang_up()
    assert (record.outcome["transferType"], record.outcome["reason"]) == (transfer_type, reason)
    assert record.outcome["transferVariables"] == variables
    return record


@pytest.mark.parametrize(
    ("tool", "transfer_type"), [("transfer_to_human", "AGENT"), ("return_to_system", "SYSTEM")]
)
def test_a_tool_gives_the_caller_back_after_the_last_word(tool, transfer_type):
    @virtual
    async def run():
        async with open_session(PEOPLE, record=lent()) as world:
            pcm = world.agent.speak(2000)
            target = {"target": "human"} if tool == "transfer_to_human" else {}
            arguments = {"reason": "asked", "variables": {"topic": "bill"}, **target}
            world.agent.host.event(ToolCall("1", tool, arguments))
            await world.run(1)
            assert world.control.asked == []
            record = await given_back(world, transfer_type, "asked", {"topic": "bill"})
            assert world.wire.heard == pcm
            assert record.outcome["currentTaskName"] == "refund"

    run()


@virtual
async def test_a_key_gives_the_caller_back():
    async with open_session(PEOPLE, record=lent()) as world:
        world.key("0")
        await given_back(world, "AGENT", "key_pressed", {})


@virtual
async def test_an_agent_that_ends_with_a_target_gives_the_caller_back():
    async with open_session(PEOPLE, record=lent()) as world:
        ended = Ended(TransferType.AGENT, "no_match", "human", transfer={"a": "b"})
        world.agent.host.event(ended)
        await given_back(world, "AGENT", "no_match", {"a": "b"})


@pytest.mark.parametrize("fallback", [PEOPLE, ""])
def test_an_agent_that_fails_asks_for_a_person(fallback):
    @virtual
    async def run():
        async with open_session(fallback, record=lent()) as world:
            world.agent.host.event(Fault("agent_lost", "gone", True))
            record = await given_back(world, "AGENT", "agent_lost", {})
            assert record.outcome["referenceVariables"] == {"error": "agent_lost"}
            assert world.wire.heard == world.said("sorry_transfer")

    run()


@virtual
async def test_a_new_call_of_a_conversation_knows_what_was_said_and_is_greeted():
    more = {"previousCalls": ["call-0"], "externalConversationId": "c"}
    said = CallEvent("e1", EventKind.CALLER_SAID, STARTED - 100, {"text": "my order"})
    async with open_session(PEOPLE, record=[*lent(**more), said]) as world:
        assert world.agent.start_args.resumed is False
        assert list(world.agent.host.history()) == [Said("caller", "my order", earlier=True)]
