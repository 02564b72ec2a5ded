"""Tools an agent may call: Python functions on an allow-list. An agent never names anything but a tool of this registry."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from media_host.agents.base import ToolSpec
from shared.errors import ConfigurationError

log = logging.getLogger(__name__)

TIMEOUT_S = 6.0

type ToolFunction = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Tool:
    """What the agent is told (`spec`) and what is run; `run` may raise `ValueError` for wrong arguments."""

    spec: ToolSpec
    run: ToolFunction


class ToolBox:
    """The tools that one agent may call.

    Args:
        tools: all of them; names are unique.
        timeout_s: a call may take this long (s).
    """

    def __init__(self, tools: Iterable[Tool], *, timeout_s: float = TIMEOUT_S) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._timeout_s = timeout_s

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """For `AgentStart.tools`."""
        return tuple(tool.spec for tool in self._tools.values())

    def only(self, names: Iterable[str]) -> "ToolBox":
        """A box with these tools alone.

        Raises:
            ConfigurationError: one is not in this box.
        """
        chosen = []
        for name in names:
            if name not in self._tools:
                raise ConfigurationError("tools", "one of " + ", ".join(sorted(self._tools)), name)
            chosen.append(self._tools[name])
        return ToolBox(chosen, timeout_s=self._timeout_s)

    async def run(self, name: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Run a tool. Never raises for what the tool or the agent did wrong: the result is then `{"error": REASON}`."""
        tool = self._tools.get(name)
        if tool is None:
            log.warning("an agent asked for a tool that it may not call")
            return {"error": "unknown tool"}
        try:
            async with asyncio.timeout(self._timeout_s):
                return await tool.run(arguments)
        except TimeoutError:
            log.warning("tool %s: no result within %g s", name, self._timeout_s)
            return {"error": "timeout"}
        except ValueError as error:
            return {"error": f"wrong arguments: {error}"}
        except Exception as error:  # a tool is the operator's code: whatever it does, the call goes on
            log.error("tool %s failed: %s", name, type(error).__name__)
            return {"error": "failed"}


ORDERS: Mapping[str, Mapping[str, str]] = {
    "42719": {
        "status": "shipped",
        "summary": (
            "Your order has left our warehouse in Rotterdam and is on its way to you. It holds three things: a reading lamp, "
            "a box of light bulbs and a wall hook. The carrier picked it up on Monday morning, it went through the "
            "sorting centre on Tuesday night, and it should be at your door on Thursday between nine and twelve. "
            "If nobody is at home, the driver leaves it with a neighbour, and puts a note in your letter box."
        ),
        "carrier": "parcel post",
        "expected": "Thursday",
    },
    "10042": {
        "status": "packed",
        "summary": "Your order is packed, and waits for the carrier, who comes tomorrow at noon.",
        "carrier": "parcel post",
        "expected": "Friday",
    },
    "31337": {
        "status": "delivered",
        "summary": "Your order was delivered last Friday, and signed for at the door.",
        "carrier": "courier",
        "expected": "",
    },
}
"""The sample tool's data: three orders of a shop that does not exist."""


async def lookup_order(arguments: Mapping[str, object]) -> Mapping[str, object]:
    """The sample tool: an order's status from a table in this file.

    Args:
        arguments: `{"order_number": "42719"}`.

    Returns:
        `{"found": True, "status", "summary", "carrier", "expected"}`, or `{"error": "not found"}`.

    Raises:
        ValueError: no order number.
    """
    number = arguments.get("order_number")
    if not isinstance(number, str) or not number.isdigit():
        raise ValueError("order_number must be a string of digits")
    order = ORDERS.get(number)
    return {"error": "not found"} if order is None else {"found": True, **order}


LOOKUP_ORDER = Tool(
    ToolSpec(
        "lookup_order",
        "Looks up the status of an order by its number.",
        {
            "type": "object",
            "properties": {"order_number": {"type": "string", "pattern": "^[0-9]+$"}},
            "required": ["order_number"],
            "additionalProperties": False,
        },
    ),
    lookup_order,
)


def builtin_tools() -> ToolBox:
    """Every tool that comes with Patchcord."""
    return ToolBox([LOOKUP_ORDER])
