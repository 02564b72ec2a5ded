"""An agent of somebody's own in patchcord.yaml: what its address and key may be."""

import pytest

from shared.config.agents import WebSocketAgentConfig
from shared.config.document import parse_config
from shared.errors import ConfigurationError

FILE = """
agents:
  mine: {kind: websocket, url: "URL", key: "KEY", fallback: [other]}
  other: {kind: embedded, dialogue: d.yaml}
routes:
  - {name: desk, to: ["*"], agent: mine}
"""


def parsed(url="wss://agent.example/v1", key="env:KEY", text=FILE):
    return parse_config(text.replace("URL", url, 1).replace('"KEY"', f'"{key}"', 1).encode())


@pytest.mark.parametrize(
    "url",
    [
        "wss://agent.example",
        "wss://agent.example:8443/a/b",
        "ws://127.0.0.1:8765/",
        "ws://localhost:8765",
        "ws://[::1]:8765/x",
    ],
)
@pytest.mark.parametrize("key", ["", "env:KEY", "file:/run/key", "https://v.vault.azure.net/secrets/agent"])
def test_good_addresses_and_keys(url, key):
    agent = parsed(url, key).agents["mine"]
    assert isinstance(agent, WebSocketAgentConfig)
    assert (agent.url, agent.key, agent.barge_in, agent.silence.after_s) == (url, key, "speech", 8.0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "agent.example",
        "https://agent.example",
        "ws://agent.example",
        "ws://127.0.0.1.agent.example",
        "ws://localhost.agent.example/",
        "ws://127.0.0.1:80@agent.example",
        "wss://user:secret@agent.example",
        "wss://agent.example/?key=secret",
        "wss://agent.example/#x",
        "wss:// agent.example",
    ],
)
def test_bad_addresses_are_named(url):
    with pytest.raises(ConfigurationError) as caught:
        parsed(url)
    assert caught.value.setting == "patchcord.yaml: agents.mine.url"


@pytest.mark.parametrize("key", ["s3cret", "env:", "http://agent.example/secrets/x"])
def test_a_key_itself_is_refused_and_not_shown(key):
    with pytest.raises(ConfigurationError) as caught:
        parsed(key=key)
    assert caught.value.setting == "patchcord.yaml: agents.mine.key"
    assert key not in str(caught.value).replace("env:VARIABLE", "")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("fallback: [other]", "silence: {after_s: 301}", "mine.silence.after_s"),
        ("fallback: [other]", "fallback: [mine]", "mine.fallback[0]"),
        ("fallback: [other]", "fallback: [nobody]", "mine.fallback[0]"),
        ("fallback: [other]", "barge_in: maybe", "barge_in"),
        ("fallback: [other]", "dialogue: d.yaml", "agents"),
        ("fallback: [other]", "tools: [crm]", "mine.tools[0]"),
        ('url: "URL", ', "", "agents"),
    ],
)
def test_other_mistakes_are_named(old, new, place):
    text = FILE.replace(old, new) + 'tools: {crm: {kind: mcp, server_url: "https://crm.example/mcp"}}\n'
    with pytest.raises(ConfigurationError) as caught:
        parsed(text=text)
    assert place in caught.value.setting
