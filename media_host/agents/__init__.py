"""Voice agents: the protocol and its implementations, loaded when a configuration names them."""

from pathlib import Path
from typing import TYPE_CHECKING

from media_host.agents.base import VoiceAgent
from shared.config.agents import AgentConfig, EmbeddedAgentConfig
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import AgentUnavailable, ConfigurationError

if TYPE_CHECKING:
    from media_host.speech import Speech


def create_agent(config: AgentConfig, *, folder: Path, speech: "Speech | None") -> VoiceAgent:
    """A fresh agent for one call.

    Args:
        config: from patchcord.yaml.
        folder: where patchcord.yaml is; a dialogue's path is relative to it.
        speech: the process's speech engines, started; None when they could not be.

    Raises:
        ConfigurationError: the configuration cannot work.
        AgentUnavailable: it needs speech engines, and there are none.
    """
    if isinstance(config, RealtimeAgentConfig):
        from media_host.agents.realtime import create as create_realtime

        return create_realtime(config)
    if not isinstance(config, EmbeddedAgentConfig):
        raise ConfigurationError("agents: kind", "embedded or realtime", "websocket")
    from media_host.agents.embedded import create as create_embedded

    if speech is None:
        raise AgentUnavailable("no speech synthesiser on this host")
    return create_embedded(folder / config.dialogue, speech)
