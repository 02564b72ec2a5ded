"""Tools of kind `python`: an async function of the operator's."""

from collections.abc import Mapping

from media_host.agents.base import ToolSpec
from media_host.entry_points import load_entry_point
from media_host.tools.schema import Schema
from media_host.tools.tool import Tool, WrongArguments
from shared.config.tools import PythonTool

MAX_REASON = 200
"""Characters of a `ValueError`'s text that the agent is told."""


def python_tool(spec: ToolSpec, config: PythonTool, place: str) -> Tool:
    """The tool that `config` declares; its function is imported now.

    Args:
        spec: what the agent is told.
        config: the declaration.
        place: where it stands (`tools.NAME`).

    Raises:
        ConfigurationError: the entry point or the schema is wrong.
    """
    schema = Schema(config.parameters, f"{place}.parameters")
    function = load_entry_point(config.entry_point, f"{place}.entry_point")

    async def run(arguments: Mapping[str, object], secure: Mapping[str, str]) -> object:
        try:
            return await function(arguments)
        except ValueError as error:
            raise WrongArguments(str(error)[:MAX_REASON]) from None

    return Tool(spec, schema, run, frozenset(), config.timeout_s, config.saying, config.saying_after_s)
