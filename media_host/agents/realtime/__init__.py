"""A realtime model as the voice agent, over its WebSocket."""

from media_host.agents.realtime.access import ModelAccess
from media_host.agents.realtime.agent import McpSupplier, RealtimeAgent, no_mcp
from shared.config.realtime import RealtimeAgentConfig

__all__ = ["RealtimeAgent", "create"]


def create(
    config: RealtimeAgentConfig, access: ModelAccess, *, mcp: McpSupplier | None = None
) -> RealtimeAgent:
    """The agent that patchcord.yaml describes; `mcp` gives the MCP servers that it may use."""
    return RealtimeAgent(config, access, mcp=mcp or no_mcp)
