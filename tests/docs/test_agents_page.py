"""Every configuration that docs/agents.md shows is one that the program takes."""

import re
from pathlib import Path

import pytest
import yaml

from shared.config.document import parse_config

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples():
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_is_taken(block):
    shown = yaml.safe_load(block)
    agent = next(iter(shown["agents"]))
    shown.setdefault("routes", [{"name": "desk", "to": ["+18005550000"], "agent": agent}])
    assert set(parse_config(yaml.safe_dump(shown).encode()).agents) == set(shown["agents"])
