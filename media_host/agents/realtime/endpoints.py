"""Where a realtime model is (realtime.md section 1)."""

import re
from urllib.parse import quote, urlencode, urlsplit

from shared.config.realtime import RealtimeAgentConfig

_PATHS = {
    "openai": "/v1/realtime",
    "azure-openai": "/openai/v1/realtime",
    "voice-live": "/voice-live/realtime",
}


def address(config: RealtimeAgentConfig, conversation_id: str = "") -> str:
    """The WebSocket address; whatever lets us in goes in headers (`access`), because addresses end up in logs.

    Args:
        config: the agent's entry, which has been checked.
        conversation_id: of a Foundry agent: goes on with that conversation.
    """
    base = re.sub("^http", "ws", (config.endpoint or "https://api.openai.com").rstrip("/"))
    query = {}
    if config.service == "voice-live":
        query["api-version"] = config.api_version  # Azure OpenAI's /openai/v1 answers 401 to one
    if (agent := config.foundry_agent) is None:
        query["model"] = config.model
    else:
        query |= {
            "agent-name": agent.name,
            "agent-project-name": agent.project,
            "agent-version": agent.version,
            "conversation-id": conversation_id,
            "agent-authentication-identity-client-id": agent.identity_client_id,
            "foundry-resource-override": agent.resource_override,
        }
    given = {name: value for name, value in query.items() if value}
    return f"{base}{_PATHS[config.service]}?{urlencode(given, quote_via=quote)}"


def resource(url: str) -> str:
    """Host and port of an address: what quotas belong to, and what may be shown."""
    return urlsplit(url).netloc
