"""Built-in tools: what the host does for an agent. Each is offered only to agents with which it can work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from media_host.agents.base import ToolSpec
from media_host.tools.outputs import Outputs
from media_host.tools.schema import Schema
from shared.config.agent import FALLBACK, SYSTEM, Agent

REASON: Mapping[str, Any] = {
    "type": "string",
    "maxLength": 200,
    "description": "Why, in a few words; it goes into the call's record.",
}


class HostActions(Protocol):
    """What the host does in one call; each returns the object that the agent gets as the tool's result.

    No secret and no digit that the caller has pressed is in any of them.
    """

    async def transfer_to_human(
        self, target: str, reason: str, variables: Mapping[str, str]
    ) -> Mapping[str, object]:
        """Hand the caller over to a name under the agent's `transfers`."""

    async def return_to_system(self, reason: str, variables: Mapping[str, str]) -> Mapping[str, object]:
        """Hand the caller back to the system: the transfer `system`."""

    async def end_call(self, reason: str) -> Mapping[str, object]:
        """Say what is still to be said, then hang up."""

    async def send_dtmf(self, digits: str) -> Mapping[str, object]:
        """Press keys on the line."""

    async def collect_digits(self, name: str) -> Mapping[str, object]:
        """Let the caller key in the secure digits `name`; the result says whether, never what."""


type Act = Callable[[HostActions, Mapping[str, Any]], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A built-in tool for one agent: what the agent is told, what its arguments are checked against, what is done."""

    spec: ToolSpec
    schema: Schema
    act: Act


PERSON = "person"
"""Whoever the system that the call came from has for a caller who wants a person."""


def people(agent: Agent, *, returns: bool = False) -> list[str]:
    """The transfers that an agent may choose for a caller who wants a person; see `built_in_tools` for `returns`."""
    own = [name for name in agent.transfers if name not in (FALLBACK, SYSTEM)]
    return own or ([PERSON] if returns else [])


def built_in_tools(
    agent: Agent, outputs: Outputs, place: str, *, returns: bool = False
) -> dict[str, BuiltIn]:
    """The built-in tools that can work for `agent`, by name.

    Args:
        agent: whose.
        outputs: its outcome variables.
        place: where the agent stands, for messages (`agents.reception`).
        returns: the call came with an identity to give the caller back to.
    """
    offered: dict[str, BuiltIn] = {}

    def offer(
        name: str,
        description: str,
        properties: dict[str, Any],
        required: list[str],
        act: Act,
        while_running: Literal["listen", "hold"] = "hold",
    ) -> None:
        parameters = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        spec = ToolSpec(name, description, parameters, while_running)
        offered[name] = BuiltIn(spec, Schema(parameters, f"{place}: {name}"), act)

    variables = {"variables": outputs.schema.source}
    needed = ["variables"] if outputs.schema.required else []
    if targets := people(agent, returns=returns):

        async def transfer(actions: HostActions, given: Mapping[str, Any]) -> Mapping[str, object]:
            handed = outputs.checked(given.get("variables", {}))
            return await actions.transfer_to_human(given["target"], given["reason"], handed)

        offer(
            "transfer_to_human",
            "Hands the caller over to a person. Tell the caller first, and say no more afterwards.",
            {"target": {"type": "string", "enum": targets}, "reason": REASON, **variables},
            ["target", "reason", *needed],
            transfer,
        )
    if SYSTEM in agent.transfers or returns:

        async def give_back(actions: HostActions, given: Mapping[str, Any]) -> Mapping[str, object]:
            return await actions.return_to_system(
                given["reason"], outputs.checked(given.get("variables", {}))
            )

        offer(
            "return_to_system",
            "Hands the caller back to the automatic system that the call came from, when your job is done.",
            {"reason": REASON, **variables},
            ["reason", *needed],
            give_back,
        )
    offer(
        "end_call",
        "Ends the call. Say goodbye first, and say no more afterwards.",
        {"reason": REASON},
        ["reason"],
        lambda actions, given: actions.end_call(given["reason"]),
    )
    offer(
        "send_dtmf",
        "Presses up to 18 keys on the line, as on a telephone's keypad.",
        {"digits": {"type": "string", "pattern": "^[0-9A-D*#]{1,18}$"}},
        ["digits"],
        lambda actions, given: actions.send_dtmf(given["digits"]),
    )
    if agent.secure_digits:
        offer(
            "collect_digits",
            "Lets the caller key in digits that you never get to know, such as a card's number. The result says only "
            "whether it was done. Tell the caller to use the keypad; never ask for such digits to be spoken.",
            {"name": {"type": "string", "enum": list(agent.secure_digits)}},
            ["name"],
            lambda actions, given: actions.collect_digits(given["name"]),
        )
    return offered
