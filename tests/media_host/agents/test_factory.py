"""Agents made from patchcord.yaml: each kind, those with successors, and mistakes that only the makers can see."""

from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from media_host.agents.embedded.agent import EmbeddedAgent
from media_host.agents.factory import AgentFactory
from media_host.agents.fallback import FallbackAgent
from media_host.agents.realtime import RealtimeAgent
from media_host.agents.realtime.access import ModelAccess
from media_host.agents.websocket import WebSocketAgent
from media_host.tools import ToolBox
from shared.config.document import parse_config
from shared.errors import AgentUnavailable, ConfigurationError
from shared.security.secrets import Secrets

ROOT = Path(__file__).parents[3]
FILE = """
agents:
  mine: {kind: websocket, url: "ws://127.0.0.1:1/", fallback: [model, script]}
  model: {kind: realtime, service: openai, model: gpt-realtime, key: "env:KEY"}
  script: {kind: embedded, dialogue: dialogues/order_desk.yaml}
routes:
  - {name: desk, to: ["*"], agent: mine}
"""


@pytest.fixture
async def factory():
    async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:

        def make(text=FILE, *, speech="engines"):
            config, secrets = parse_config(text.encode()), Secrets(environment={"KEY": "k"})
            tools = ToolBox.from_config(config, secrets, http)
            stack.push_async_callback(tools.close)
            return config.agents, AgentFactory(
                config,
                folder=ROOT,
                speech=speech,
                secrets=secrets,
                access=ModelAccess(secrets, "", lambda: 0.0),
                tools=tools,
            )

        yield make


async def test_each_kind(factory):
    agents, made = factory(FILE.replace(", fallback: [model, script]", ""))
    made.check()
    assert isinstance(made.make(agents["mine"]), WebSocketAgent)
    assert isinstance(made.make(agents["model"]), RealtimeAgent)
    assert isinstance(made.make(agents["script"]), EmbeddedAgent)
    assert made.make(agents["mine"]) is not made.make(agents["mine"])


async def test_one_with_successors_is_a_chain_of_all_of_them_by_name(factory):
    agents, made = factory()
    made.check()
    chain = made.make(agents["mine"])
    assert isinstance(chain, FallbackAgent)
    assert [link.name for link in chain._chain] == ["mine", "model", "script"]
    kinds = [WebSocketAgent, RealtimeAgent, EmbeddedAgent]
    assert [type(link.make()) for link in chain._chain] == kinds


async def test_a_host_without_speech_says_so_and_others_answer(factory, caplog):
    agents, made = factory(speech=None)
    made.check()
    assert "agent script will not answer: no speech synthesiser" in caplog.text
    assert isinstance(made.make(agents["mine"]), FallbackAgent)
    with pytest.raises(AgentUnavailable):
        made.make(agents["script"])


async def test_a_successor_must_take_the_calls_format(factory):
    text = FILE.replace("kind: websocket,", "kind: websocket, audio: pcm16KMono,")
    with pytest.raises(ConfigurationError) as caught:
        factory(text)[1].check()
    assert caught.value.setting == "agents.mine.fallback[0]"
    assert "pcm16KMono" in str(caught.value)


async def test_a_tool_that_a_dialogue_calls_and_its_agent_has_not_is_told_at_start(factory, caplog):
    factory()[1].check()
    assert "agent script: its dialogue calls lookup_order, not among its tools" in caplog.text
    caplog.clear()
    tool = 'tools: {lookup_order: {kind: python, entry_point: "media_host.tools.samples:lookup_order", description: x}}'
    factory(FILE.replace("desk.yaml}", "desk.yaml, tools: [lookup_order]}") + tool)[1].check()
    assert "not among" not in caplog.text


async def test_a_dialogue_with_a_mistake_is_found_at_start(factory):
    with pytest.raises(ConfigurationError):
        factory(FILE.replace("order_desk.yaml", "nowhere.yaml"))[1].check()
