from pathlib import Path

import aiohttp
import pytest

from media_host.agents.base import Codec
from media_host.agents.factory import AgentFactory
from media_host.agents.realtime.access import ModelAccess
from media_host.line_codec import pcm_codec, takes_ulaw, ulaw_line_codec
from media_host.tools import ToolBox
from shared.config.document import parse_config
from shared.security.secrets import Secrets

CONFIG = b"""
agents:
  scripted: {kind: embedded, dialogue: reception.yaml}
  narrow: {kind: embedded, dialogue: reception.yaml, audio: pcm16KMono}
  model: {kind: realtime, service: openai, model: gpt-realtime, key: "env:KEY"}
  safe: {kind: realtime, service: openai, model: gpt-realtime, key: "env:KEY", fallback: [scripted]}
  twin: {kind: realtime, service: openai, model: gpt-realtime, key: "env:KEY", fallback: [model, ours]}
  plain: {kind: websocket, url: "wss://agent.example"}
  ours: {kind: websocket, url: "wss://agent.example", mulaw: true}
routes:
  - {name: all, to: ["*"], agent: model}
"""


@pytest.fixture
def config():
    return parse_config(CONFIG)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("scripted", Codec.PCM16_24K),
        ("narrow", Codec.PCM16_16K),
        ("model", Codec.ULAW_8K),
        ("safe", Codec.PCM16_24K),  # the one that takes over could not
        ("twin", Codec.ULAW_8K),
        ("plain", Codec.PCM16_24K),  # what `audio` says is what it gets
        ("ours", Codec.ULAW_8K),
    ],
)
def test_a_mu_law_line_is_converted_for_those_that_do_not_speak_it(config, name, codec):
    agents = config.agents
    assert ulaw_line_codec(agents[name], agents) is codec
    assert pcm_codec(agents[name]) is (Codec.PCM16_16K if name == "narrow" else Codec.PCM16_24K)


async def test_what_the_configuration_says_agents_can_do_they_can(config):
    """Every codec that is chosen is among those of the agent that is made then."""
    async with aiohttp.ClientSession() as http:
        secrets = Secrets()
        factory = AgentFactory(
            config,
            folder=Path(),
            speech=None,
            secrets=secrets,
            access=ModelAccess(secrets, ""),
            tools=ToolBox.from_config(config, secrets, http),
        )
        for name in ("model", "twin", "plain", "ours"):
            agent = config.agents[name]
            assert ulaw_line_codec(agent, config.agents) in factory.make(agent).capabilities.codecs
            if takes_ulaw(agent):
                assert Codec.ULAW_8K in factory.make(agent).capabilities.codecs
