"""A realtime model as the voice agent, over its WebSocket."""

import os
from collections.abc import Mapping

from media_host.agents.realtime.agent import RealtimeAgent
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import ConfigurationError


def create(config: RealtimeAgentConfig, environment: Mapping[str, str] = os.environ) -> RealtimeAgent:
    """The agent that patchcord.yaml describes.

    Raises:
        ConfigurationError: its key's variable is not set.
    """
    key = ""
    if config.auth == "key":
        name = config.key.removeprefix("env:")
        key = environment.get(name, "").strip()
        if not key:
            raise ConfigurationError(name, "the realtime model's key")
    endpoint = config.endpoint or "wss://api.openai.com"
    voice = config.voice if isinstance(config.voice, str) else ""
    return RealtimeAgent(
        f"{endpoint}/v1/realtime", config.model, api_key=key, instructions=config.instructions, voice=voice
    )
