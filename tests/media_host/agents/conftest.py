import pytest

from media_host.agents.base import AgentStart, Codec
from media_host.agents.websocket import LIMITS, WebSocketAgent
from shared.config.agents import WebSocketAgentConfig
from shared.errors import ConfigurationError
from tests.support.timing import patience


class Keys:
    def __init__(self, **known) -> None:
        self.known = known

    async def get(self, reference: str) -> str:
        if reference not in self.known:
            raise ConfigurationError(reference, "a secret")
        return self.known[reference]


@pytest.fixture(params=[True, False], ids=["fast", "library"])
def fast(request):
    return request.param


@pytest.fixture
async def meet():
    """Starts agents against what the test runs, and closes them."""
    agents = []

    async def start(own, host, *, codec=Codec.PCM16_24K, fast=True, limits=LIMITS, more=None, **config):
        key = config.pop("key", "")
        start_s = config.pop("start_s", patience(5))
        agent = WebSocketAgent(
            WebSocketAgentConfig(url=own.url, key=key, **config),
            Keys(KEY="s3cret", LINES="s3cret\r\nX-Admin: 1"),
            start_s=start_s,
            limits=limits,
            fast=fast,
        )
        agents.append(agent)
        await agent.start(AgentStart("call-1", codec, **(more or {})), host)
        return agent

    yield start
    for agent in agents:
        await agent.close()
