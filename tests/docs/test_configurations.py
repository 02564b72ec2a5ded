"""Every piece of patchcord.yaml that a page shows is one that the programs take."""

import pytest
import yaml

from cli.processes import ROOT
from shared.config.document import Config, parse_config
from tests.docs.reading import PAGES, Fence, fences

# Their pages have tests of their own.
ELSEWHERE = {"agents.md", "ivr.md", "tools.md", "twilio.md", "emulator.md"}
BLOCKS = [
    fence for page in PAGES for fence in fences(page) if fence.tag == "yaml" and page.name not in ELSEWHERE
]
AGENT = {"kind": "embedded", "dialogue": "dialogues/order_desk.yaml"}
NUMBER = "+18005550009"


def whole(block: str) -> Config:
    """The piece with what it leaves out: the agents that it names, and a route."""
    shown = yaml.safe_load(block)
    agents = {
        name: entry if entry and "kind" in entry else AGENT | (entry or {})
        for name, entry in shown.get("agents", {}).items()
    }
    named = {route["agent"] for route in shown.get("routes", [])}
    named |= {name for agent in agents.values() for name in agent.get("fallback", [])}
    named |= {name for tenant in shown.get("tenants", {}).values() for name in tenant.get("agents", [])}
    named |= {entry["agent"] for entry in shown.get("call_transfers", {}).values()}
    shown["agents"] = {name: AGENT for name in sorted(named)} | agents or {"reception": AGENT}
    tools = {tool for agent in agents.values() for tool in agent.get("tools", [])}
    if tools:
        sample = yaml.safe_load((ROOT / "patchcord.yaml").read_text())["tools"]
        shown.setdefault("tools", {name: sample[name] for name in tools})
    first = next(iter(shown["agents"]))
    shown.setdefault("routes", [{"name": "desk", "to": [NUMBER], "agent": first}])
    return parse_config(yaml.safe_dump(shown).encode())


def _id(fence: Fence) -> str:
    return f"{fence.page.name}-{fence.text.split(':')[0].strip()}"


def test_there_are_some() -> None:
    assert {fence.page.name for fence in BLOCKS} >= {
        "quick-start.md",
        "tenants.md",
        "outbound.md",
        "operations.md",
    }


@pytest.mark.parametrize("fence", BLOCKS, ids=_id)
def test_a_configuration_is_taken(fence: Fence) -> None:
    text = fence.text.replace("8:acs:…", "8:acs:RESOURCE_USER")
    assert whole(text).routes
