"""Tools of the agent: functions that the host runs, and MCP servers that the model's service asks."""

import json

import pytest

from media_host.agents.base import AgentStart, Codec, Delayed, Fault, ToolCall, TurnEnded
from media_host.agents.realtime import mcp as mcp_module
from media_host.agents.realtime.session_setup import McpTool
from tests.media_host.agents.realtime.support import START, Host, agent, settled
from tests.media_host.agents.realtime.test_interruptions import manual


@pytest.fixture(params=["openai", "voice-live"])
async def call(request, server):
    one, host = agent(server.endpoint, service=request.param), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_0", "Good day.")
    await host.wait_for(TurnEnded)
    host.play(one)
    yield one, host, session
    await one.close()


def outputs(session):
    items = [event["item"] for event in session.of("conversation.item.create")]
    return [
        (item["call_id"], json.loads(item["output"]))
        for item in items
        if item["type"] == "function_call_output"
    ]


async def test_a_function_call_becomes_a_tool_call_and_its_result_goes_back(call):
    one, host, session = call
    await session.created("r")
    await session.function_call("r", "look_up", '{"order": 7}', status="incomplete")
    await session.function_call("r", "look_up", '{"order": 7}')
    assert await host.wait_for(ToolCall) == ToolCall("c1", "look_up", {"order": 7})
    await one.tool_result("c1", {"state": "sent"})
    await settled(one, session)
    assert outputs(session) == [], "not before the response is done"
    await session.function_call("r", "look_up", '{"order": 7}')  # told twice
    await session.done("r")
    await session.next("response.create")
    await one.tool_result("c1", {"state": "again"})
    await settled(one, session)
    assert outputs(session) == [("c1", {"state": "sent"})]
    assert len(host.of(ToolCall)) == 1
    assert session.types[-2:] == ["conversation.item.create", "response.create"]


async def test_several_results_are_one_answer(call):
    one, host, session = call
    await session.created("r")
    for number in range(3):
        await session.function_call("r", "look_up", "{}", f"c{number}")
    await session.done("r")
    await host.wait_for(ToolCall, 3)
    for number in (2, 0):
        await one.tool_result(f"c{number}", {"n": number})
    await settled(one, session)
    assert len(outputs(session)) == 2 and session.types.count("response.create") == 1
    await one.tool_result("c1", {"n": 1})
    await session.next("response.create")
    await settled(one, session)
    assert [id for id, _ in outputs(session)] == ["c2", "c0", "c1"]
    assert session.types.count("response.create") == 2


@pytest.mark.parametrize(("name", "arguments"), [("look_up", "[1]"), ("look_up", "{"), ("unknown", "{}")])
async def test_calls_that_cannot_be_run_are_answered_with_an_error(call, name, arguments):
    _, host, session = call
    await session.calls("r", name, arguments)
    await session.next("response.create")
    ((id, output),) = outputs(session)
    assert id == "c1" and "error" in output
    assert not host.of(ToolCall)


async def test_a_result_that_comes_while_the_caller_speaks_waits_for_the_models_own_answer(call):
    one, host, session = call
    await session.calls("r", "look_up", "{}")
    await host.wait_for(ToolCall)
    await session.speech(started=True)
    await settled(one, session)
    await one.tool_result("c1", {"state": "sent"})
    await session.speech(started=False)
    await settled(one, session)
    assert len(outputs(session)) == 1 and session.types.count("response.create") == 1


async def test_a_result_that_comes_while_the_caller_speaks_is_asked_for_when_turns_are_ours(server):
    one, host = agent(server.endpoint, barge_in="never"), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_0", "Good day.", bytes(48_000))
    await session.calls("r", "look_up", "{}")
    await host.wait_for(ToolCall)
    await session.speech(started=True)  # over a prompt: ignored
    await settled(one, session)
    await one.tool_result("c1", {"state": "sent"})
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await session.speech(started=False)
    await session.next("response.create")
    await one.close()


async def test_while_a_tool_holds_the_model_does_not_answer(call):
    one, host, session = call
    await session.calls("r", "slow", "{}")
    assert manual(await session.next("session.update")) is True
    await host.wait_for(ToolCall)
    await session.caller_turn("i", "Are you there?")
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await one.tool_result("c1", {"state": "sent"})
    await session.next("response.create")
    after = session.types[-3:]
    assert after == ["session.update", "conversation.item.create", "response.create"], "restored before"
    assert manual(session.of("session.update")[-1]) is False


async def test_every_call_is_answered_when_the_conversation_ends(call):
    one, host, session = call
    await session.calls("r", "look_up", "{}")
    await host.wait_for(ToolCall)
    await one.close()
    await session.ended.wait()
    ((id, output),) = outputs(session)
    assert id == "c1" and "ended" in output["error"]


# --- MCP -------------------------------------------------------------------------------------------------------


CRM = McpTool("crm", "https://crm.example/mcp", allowed_tools=("read",), approval="allowed")
SHOP = McpTool("shop", "https://shop.example/mcp", approval="always")


async def with_mcp(server, *servers, service="openai"):
    async def supply():
        return servers

    one, host = agent(server.endpoint, mcp=supply, service=service), Host()
    await one.start(AgentStart("call-1", Codec.PCM16_24K), host)
    return one, host, await server.session()


async def tools_of(session, label, state):
    item = {"id": f"list_{label}", "type": "mcp_list_tools", "server_label": label, "tools": []}
    kind = "conversation.item.created" if session.flat else "conversation.item.added"
    await session.send({"type": kind, "previous_item_id": None, "item": item})
    await session.send({"type": f"mcp_list_tools.{state}", "item_id": f"list_{label}"})


@pytest.mark.parametrize("service", ["openai", "voice-live"])
async def test_the_greeting_waits_for_the_servers_tools(server, service):
    one, host, session = await with_mcp(server, CRM, SHOP, service=service)
    await tools_of(session, "crm", "completed")
    await settled(one, session)
    assert "response.create" not in session.types
    await tools_of(session, "shop", "failed")
    await session.next("response.create")
    (fault,) = host.of(Fault)
    assert (fault.code, fault.fatal) == ("mcp_failed", False) and "shop" in fault.message
    await one.close()


async def test_the_greeting_does_not_wait_long_and_the_caller_is_told(server, monkeypatch):
    monkeypatch.setattr(mcp_module, "LATE_S", 0.02)
    monkeypatch.setattr(mcp_module, "PATIENCE_S", 0.04)
    one, host, session = await with_mcp(server, CRM)
    await session.next("response.create")
    assert [entry.code for entry in host.log] == ["mcp_late", "mcp_late"]
    assert isinstance(host.log[0], Delayed) and isinstance(host.log[1], Fault)
    await tools_of(session, "crm", "completed")
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await one.close()


@pytest.mark.parametrize(
    ("label", "tool", "approve"), [("crm", "read", True), ("crm", "write", False), ("shop", "buy", False)]
)
@pytest.mark.parametrize("service", ["openai", "voice-live"])
async def test_approval_is_given_as_configured(server, label, tool, approve, service):
    one, _host, session = await with_mcp(server, CRM, SHOP, service=service)
    item = {
        "id": "mcpr_1",
        "type": "mcp_approval_request",
        "server_label": label,
        "name": tool,
        "arguments": "{}",
    }
    for _ in range(2):
        kind = "conversation.item.created" if session.flat else "conversation.item.added"
        await session.send({"type": kind, "previous_item_id": None, "item": item})
    answer = (await session.next("conversation.item.create"))["item"]
    assert (answer["type"], answer["approval_request_id"], answer["approve"]) == (
        "mcp_approval_response",
        "mcpr_1",
        approve,
    )
    await settled(one, session)
    assert session.types.count("conversation.item.create") == 1
    await one.close()


@pytest.mark.parametrize("service", ["openai", "voice-live"])
async def test_after_an_mcp_call_the_model_is_asked_to_go_on(server, service, monkeypatch):
    monkeypatch.setattr("media_host.agents.realtime.tool_answers.MCP_ANSWER_S", 0.02)
    one, host, session = await with_mcp(server, CRM, service=service)
    await tools_of(session, "crm", "completed")
    await session.next("response.create")
    for state in ("completed", "failed"):
        await session.created(f"r_{state}")
        await session.send(
            {"type": f"response.mcp_call.{state}", "item_id": "mcp_1", "output_index": 0, "response_id": "r"}
        )
        await session.done(f"r_{state}")
        await session.next("response.create")
    await session.created("r_3")
    await session.send({"type": "response.mcp_call.completed", "item_id": "mcp_2", "output_index": 0})
    await session.delta("r_3", "i", b"ab")  # it speaks by itself
    await session.done("r_3")
    await host.wait_for(TurnEnded)
    await settled(one, session)
    assert session.types.count("response.create") == 3
    await one.close()
