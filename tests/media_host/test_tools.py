import asyncio

import pytest

from media_host.agents.base import ToolSpec
from media_host.tools import ORDERS, Tool, ToolBox, builtin_tools
from shared.errors import ConfigurationError


def box(run, **options):
    return ToolBox([Tool(ToolSpec("it", "", {}), run)], **options)


@pytest.mark.parametrize("number", ORDERS)
async def test_the_sample_finds_its_orders(number):
    result = await builtin_tools().run("lookup_order", {"order_number": number})
    assert result["found"] is True
    assert result["status"] in ("shipped", "packed", "delivered")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"order_number": "00000"}, "not found"),
        ({"order_number": 42719}, "wrong arguments: order_number must be a string of digits"),
        ({"order_number": "4271x"}, "wrong arguments: order_number must be a string of digits"),
        ({}, "wrong arguments: order_number must be a string of digits"),
    ],
)
async def test_the_sample_says_what_is_wrong(arguments, error):
    assert await builtin_tools().run("lookup_order", arguments) == {"error": error}


async def test_only_what_is_in_the_box_is_run():
    tools = builtin_tools()
    assert [spec.name for spec in tools.only(["lookup_order"]).specs] == ["lookup_order"]
    assert await tools.only([]).run("lookup_order", {"order_number": "42719"}) == {"error": "unknown tool"}
    assert await tools.run("__import__", {}) == {"error": "unknown tool"}
    with pytest.raises(ConfigurationError, match="rm_rf"):
        tools.only(["rm_rf"])


async def test_a_tool_that_fails_does_not_end_the_call_nor_tell_why(caplog):
    async def run(arguments):
        raise KeyError("42719")

    assert await box(run).run("it", {}) == {"error": "failed"}
    assert "42719" not in caplog.text


async def test_a_tool_that_takes_too_long_is_given_up():
    async def run(arguments):
        await asyncio.sleep(600)

    assert await box(run, timeout_s=0.02).run("it", {}) == {"error": "timeout"}
