"""docs/events.md: its examples are events, and it names every type."""

import json
import re

import pytest

from cli.processes import ROOT
from shared.publishing.events import TYPES
from shared.publishing.outbox import Kind
from tests.support.api_schemas import event_problems

PAGE = (ROOT / "docs" / "events.md").read_text()
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_every_type_is_named():
    assert set(re.findall(r"^\| `(io\.patchcord\.[\w.-]+)`", PAGE, re.MULTILINE)) == {
        TYPES + kind for kind in Kind
    }


def test_every_kind_of_data_has_an_example():
    shown = {example["type"] for example in EXAMPLES}
    assert shown == {TYPES + kind for kind in Kind} - {TYPES + Kind.CALL_ANSWERED}  # like call.ended


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_an_example_is_an_event(example):
    assert event_problems(example) == []
