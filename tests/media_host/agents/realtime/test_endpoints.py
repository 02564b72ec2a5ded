import pytest

from media_host.agents.realtime.endpoints import address, resource
from shared.config.realtime import FoundryAgent, RealtimeAgentConfig


@pytest.mark.parametrize(
    ("config", "url"),
    [
        (
            RealtimeAgentConfig(service="openai", model="gpt-realtime-2"),
            "wss://api.openai.com/v1/realtime?model=gpt-realtime-2",
        ),
        (
            RealtimeAgentConfig(
                service="azure-openai", endpoint="https://r.openai.azure.com/", model="my deployment&x"
            ),
            "wss://r.openai.azure.com/openai/v1/realtime?model=my%20deployment%26x",
        ),
        (
            RealtimeAgentConfig(service="voice-live", endpoint="https://r.services.ai.azure.com", model="m"),
            "wss://r.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15&model=m",
        ),
        (
            RealtimeAgentConfig(
                service="voice-live",
                endpoint="wss://r.services.ai.azure.com",
                foundry_agent=FoundryAgent(name="desk", project="p"),
            ),
            "wss://r.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15"
            "&agent-name=desk&agent-project-name=p",
        ),
        (
            RealtimeAgentConfig(
                service="voice-live",
                endpoint="https://r.services.ai.azure.com",
                foundry_agent=FoundryAgent(
                    name="d", project="p", version="3", identity_client_id="id", resource_override="other"
                ),
            ),
            "wss://r.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15&agent-name=d"
            "&agent-project-name=p&agent-version=3&agent-authentication-identity-client-id=id"
            "&foundry-resource-override=other",
        ),
        (
            RealtimeAgentConfig(service="voice-live", endpoint="http://127.0.0.1:9", model="m"),
            "ws://127.0.0.1:9/voice-live/realtime?api-version=2026-07-15&model=m",
        ),
        (
            RealtimeAgentConfig(service="openai", endpoint="ws://[::1]:9", model="m"),
            "ws://[::1]:9/v1/realtime?model=m",
        ),
    ],
)
def test_addresses(config, url):
    assert address(config) == url


def test_a_foundry_agent_s_conversation_goes_on():
    agent = RealtimeAgentConfig(
        service="voice-live",
        endpoint="https://r.services.ai.azure.com",
        foundry_agent=FoundryAgent(name="desk", project="p"),
    )
    assert address(agent, "thread 1").endswith("&agent-project-name=p&conversation-id=thread%201")
    model = RealtimeAgentConfig(service="openai", model="m")
    assert address(model, "thread 1") == address(model)


def test_an_address_never_holds_a_key():
    config = RealtimeAgentConfig(service="openai", model="m", key="env:SECRET_KEY")
    assert "SECRET_KEY" not in address(config) and "key" not in address(config)


def test_azure_openai_gets_no_api_version():
    config = RealtimeAgentConfig(service="azure-openai", endpoint="https://r.openai.azure.com", model="d")
    assert "api-version" not in address(config)


def test_a_resource_is_a_host():
    assert resource("wss://r.openai.azure.com/openai/v1/realtime?model=d") == "r.openai.azure.com"
    assert resource("ws://127.0.0.1:9/v1") == "127.0.0.1:9"
