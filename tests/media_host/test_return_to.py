"""A caller who came from a system that wants him back (`returnTo`) is given back by the agent's own ends, too."""

import pytest

from media_host.agents.base import Ended, Fault, ToolCall, TransferType
from shared.calls.events import CallEvent, EventKind
from tests.support.session_world import STARTED, open_session, virtual

IVR = "8:acs:r_ivr"
RECEIVED = {
    "callId": "call-1",
    "tenant": "default",
    "from": "+14255550100",
    "to": "8:acs:r_agent",
    "agent": "puppet",
    "returnTo": IVR,
    "returnStep": "back",
    "externalConversationId": "conv-1",
    "callTransferId": "contact-1",
}
RECORD = [CallEvent("received", EventKind.RECEIVED, STARTED, RECEIVED)]
ALWAYS = {"externalConversationId": "conv-1", "returnStep": "back"}
ENDS = {
    "said so": (Ended(TransferType.SYSTEM, "done", transfer={"a": "00"}), "SYSTEM", {"a": "00"}),
    "wants a person": (Ended(TransferType.AGENT, "asked", transfer={"a": ""}), "AGENT", {"a": ""}),
    "wants an unknown person": (Ended(TransferType.AGENT, "asked", "nobody"), "AGENT", {}),
    "made up": (
        Ended(
            TransferType.SYSTEM, "done", transfer={"patchcordMove": "x", "returnTo": "8:acs:r_x", "c": "1"}
        ),
        "SYSTEM",
        {"c": "1"},
    ),
    "failed": (Fault("agent_lost", "gone", True), "AGENT", {}),
    "tool system": (
        ToolCall("1", "return_to_system", {"reason": "done", "variables": {"b": "ü"}}),
        "SYSTEM",
        {"b": "ü"},
    ),
    "tool person": (ToolCall("1", "transfer_to_human", {"reason": "r", "target": "person"}), "AGENT", {}),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_caller_is_given_back(end):
    event, kind, variables = ENDS[end]

    @virtual
    async def run():
        async with open_session("", record=RECORD) as world:
            world.agent.host.event(event)
            await world.run(10)
            _, arguments, _ = next(one for one in world.control.asked if one[0] == "transfer")
            assert IVR in arguments
            headers = next(one for one in arguments if isinstance(one, dict))
            assert headers == {**variables, **ALWAYS, "transferType": kind}

    run()
