import asyncio
import logging

import aiohttp
import pytest

from media_host.agents.base import ToolCall
from media_host.tools import toolbox
from media_host.tools.samples import ORDERS
from media_host.tools.toolbox import ToolBox
from shared.errors import ConfigurationError
from shared.security.secrets import Secrets
from tests.media_host.tools import functions
from tests.media_host.tools.support import KEY, Actions, config_of, desk, http_tool, python_tool, service
from tests.support.timing import patience

HERE = "tests.media_host.tools.functions"


def python(function, **fields):
    return python_tool(f"{HERE}:{function}", **fields)


async def test_only_declared_and_built_in_tools_are_run(caplog):
    async with desk({"echo": python("echo")}) as it:
        assert [spec.name for spec in it.tools.specs] == ["echo", "end_call", "send_dtmf"]
        assert await it.run("echo", a=[1]) == {"got": {"a": [1]}}
        for name in ("__import__", "fails", "collect_digits", "transfer_to_human", "x" * 300):
            assert await it.run(name, secret="4111") == {"error": "unknown tool"}
    assert "4111" not in caplog.text
    assert "xxx" not in caplog.text


async def test_what_the_agent_is_told():
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with desk({"echo": python("echo", parameters=parameters, while_running="hold")}) as it:
        spec = it.tools.specs[0]
    assert (spec.name, spec.description, spec.parameters, spec.while_running) == (
        "echo",
        "d",
        parameters,
        "hold",
    )


async def test_an_agent_gets_its_own_tools_only():
    config = config_of({"echo": python("echo"), "more": python("echo")}, tools=["more"])
    async with desk({"echo": python("echo"), "more": python("echo")}, tools=["more"]) as it:
        assert await it.run("echo") == {"error": "unknown tool"}
        assert "error" not in await it.run("more")
        with pytest.raises(KeyError):
            it.box.for_agent(config.agents["desk"])


async def test_arguments_that_do_not_fit_are_an_error_and_nothing_runs():
    parameters = {
        "type": "object",
        "properties": {"number": {"type": "string", "pattern": "^[0-9]+$"}},
        "required": ["number"],
    }
    async with desk({"echo": python("echo", parameters=parameters)}) as it:
        assert await it.run("echo", number="card 4111") == {
            "error": "wrong arguments: number: expected text that matches ^[0-9]+$"
        }
        assert await it.run("echo") == {"error": "wrong arguments: arguments: expected the field number"}
        assert "error" not in await it.run("echo", number="1")


async def test_a_tool_that_fails_does_not_end_the_call_nor_tell_why(caplog):
    async with desk(
        {"bad": python("fails"), "no": python("refuses"), "gone": python("cancels_itself")}
    ) as it:
        assert await it.run("bad", card="4111111111111111") == {"error": "failed"}
        assert await it.run("no") == {"error": "wrong arguments: the order's number has five digits"}
        assert len((await it.run("no", more="!" * 9999))["error"]) == len("wrong arguments: ") + 200
        assert await it.run("gone") == {"error": "failed"}
    assert "4111111111111111" not in caplog.text


@pytest.mark.parametrize(
    ("what", "result"),
    [
        ("nothing", {"error": "the result is no JSON object"}),
        ("list", {"error": "the result is no JSON object"}),
        ("text", {"error": "the result is no JSON object"}),
        ("object", {"error": "the result is no JSON object"}),
        ("surrogate", {"error": "the result is no JSON object"}),
        ("long", {"error": "the result is too large: more than 16384 bytes"}),
        ("date", {"on": "2026-11-21", "nan": None, "1": "one"}),
    ],
)
async def test_results_are_plain_json_objects_of_a_bounded_length(what, result):
    async with desk({"it": python("returns")}) as it:
        assert await it.run("it", what=what) == result


async def test_a_slow_tool_is_talked_over_once_and_then_given_up(caplog):
    tool = python("slow", timeout_s=0.1, saying="One moment, please.", saying_after_s=0.01)
    async with desk({"slow": tool}) as it:
        assert await it.run("slow") == {"status": "still_running", "error": "no result within 0.1 s"}
        assert it.ears.heard == ["One moment, please."]
    assert "tool slow: no result within 0.1 s" in caplog.text


async def test_a_tool_that_is_slow_but_in_time():
    tool = python("slow", saying="One moment, please.", saying_after_s=0.01)
    async with desk({"slow": tool, "quick": tool, "quiet": python("slow", saying_after_s=0.01)}) as it:
        assert await it.run("slow", seconds=0.05) == {"done": True}
        assert it.ears.heard == ["One moment, please."]
        assert await it.run("quick", seconds=0) == {"done": True}
        assert await it.run("quiet", seconds=0.05) == {"done": True}
        assert it.ears.heard == ["One moment, please."]


async def test_a_voice_that_fails_or_hangs_does_not_cost_the_result(monkeypatch):
    monkeypatch.setattr(toolbox, "SAY_S", 0.01)
    spoken = []

    async def broken(text):
        spoken.append(text)
        raise RuntimeError("no voice")

    async def hanging(text):
        spoken.append(text)
        await asyncio.sleep(600)

    tool = python("slow", saying="One moment.", saying_after_s=0.01)
    async with desk({"slow": tool}) as it:
        for say in (broken, hanging):
            call = ToolCall("1", "slow", {"seconds": 0.03})
            assert await it.tools.run(call, Actions(), say=say, secure={}) == {"done": True}
    assert spoken == ["One moment."] * 2


async def test_a_tool_that_takes_no_notice_of_its_end_holds_nobody_up(monkeypatch, caplog):
    monkeypatch.setattr(toolbox, "STOP_S", 0.01)
    monkeypatch.setattr(functions, "STUBBORN", asyncio.Event())
    async with desk({"it": python("stubborn", timeout_s=0.02)}) as it:
        result = await it.run("it")
        assert result["status"] == "still_running"
        assert "does not stop" in caplog.text
        functions.STUBBORN.set()  # it fails now: nobody is told, nothing is reported by asyncio
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_the_end_of_a_call_ends_its_tools():
    async with desk({"slow": python("slow")}) as it:
        running = asyncio.create_task(it.run("slow"))
        while len(asyncio.all_tasks()) < 3:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_fifty_calls_at_once_get_their_own_results():
    async with desk({"slow": python("slow"), "echo": python("echo")}) as it:
        runs = [it.run("echo", number=number) for number in range(50)]
        async with asyncio.timeout(patience(5)):
            results = await asyncio.gather(*runs)
    assert results == [{"got": {"number": number}} for number in range(50)]


@pytest.mark.parametrize(
    ("entry_point", "expected"),
    [
        ("no.such.module:f", "can be imported"),
        (f"{HERE}:nothing", "async function"),
        (f"{HERE}:plain", "async function"),
        (f"{HERE}:two", "one argument"),
    ],
)
async def test_entry_points_are_looked_at_when_the_host_starts(entry_point, expected):
    with pytest.raises(ConfigurationError, match=expected) as caught:
        async with desk({"it": python_tool(entry_point)}):
            pass
    assert caught.value.setting == "tools.it.entry_point"


async def test_mcp_servers_are_handed_on_with_their_secret(caplog):
    tools = {
        "crm": {
            "kind": "mcp",
            "server_url": "https://mcp.example/",
            "authorization": "env:CRM_KEY",
            "allowed_tools": ["look_up"],
            "approval": "allowed",
        },
        "open": {"kind": "mcp", "server_url": "https://open.example/"},
        "broken": {"kind": "mcp", "server_url": "https://x.example/", "authorization": "env:NOWHERE"},
    }
    async with desk(tools) as it:
        crm, open_ = await it.tools.mcp()
        assert (crm.label, crm.server_url, crm.authorization) == ("crm", "https://mcp.example/", KEY)
        assert (list(crm.allowed_tools), crm.approval) == (["look_up"], "allowed")
        assert (open_.label, open_.authorization) == ("open", "")
        assert await it.run("crm") == {"error": "unknown tool"}
    assert "MCP server broken is left out" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in repr(crm)


async def test_many_tools_are_warned_of(caplog):
    many = {f"tool_{number}": python("echo") for number in range(toolbox.MANY - 2)}
    async with desk(many):
        pass
    assert "tools" not in caplog.text
    async with desk({**many, "one_more": python("echo")}):
        pass
    assert f"agents.desk has {toolbox.MANY + 1} tools" in caplog.text


async def test_the_sample_works_offline(caplog):
    caplog.set_level(logging.DEBUG)
    parameters = {
        "type": "object",
        "properties": {"order_number": {"type": "string", "pattern": "^[0-9]+$"}},
        "required": ["order_number"],
    }
    tool = python_tool("media_host.tools.samples:lookup_order", parameters=parameters)
    loose = python_tool("media_host.tools.samples:lookup_order")
    async with desk({"lookup_order": tool, "loose": loose}) as it:
        for number, order in ORDERS.items():
            assert await it.run("lookup_order", order_number=number) == {"found": True, **order}
        assert await it.run("lookup_order", order_number="00000") == {"error": "not found"}
        assert "order_number: expected type" not in str(await it.run("lookup_order", order_number=42719))
        assert await it.run("loose", order_number="4271x") == {
            "error": "wrong arguments: order_number must be a string of digits"
        }


async def test_a_box_leaves_the_connections_it_was_lent_open():
    async with service() as crm, desk({"look": http_tool(f"{crm.base}/x")}) as it:
        await it.box.close()
        await it.box.close()
        assert await it.run("look", id="1") == {"error": "failed"}


async def test_a_call_that_came_from_another_system_can_go_back_there():
    config = config_of()
    secrets = Secrets(environment={})
    async with aiohttp.ClientSession() as http:
        box = ToolBox.from_config(config, secrets, http)
        names = {spec.name for spec in box.for_agent(config.agents["desk"], returns=True).specs}
        assert names == {"transfer_to_human", "return_to_system", "end_call", "send_dtmf"}
        [spec] = [
            spec
            for spec in box.for_agent(config.agents["desk"], returns=True).specs
            if spec.name == "transfer_to_human"
        ]
        assert spec.parameters["properties"]["target"]["enum"] == ["person"]
        assert "return_to_system" not in {spec.name for spec in box.for_agent(config.agents["desk"]).specs}
        await box.close()
    await secrets.close()
