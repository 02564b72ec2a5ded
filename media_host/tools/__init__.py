"""Tools that agents may call: declared in patchcord.yaml (`http`, `python`, `mcp`), and those built in."""

from media_host.tools.builtin import HostActions
from media_host.tools.toolbox import AgentTools, ToolBox

__all__ = ["AgentTools", "HostActions", "ToolBox"]
