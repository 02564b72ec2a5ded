"""What docs/ivr.md shows is what the programs take and send."""

import json
import re
from pathlib import Path

import pytest
import yaml

from shared.config.document import parse_config
from shared.ivr.flow import move
from shared.ivr.state import Connected, IvrState, TransferTo
from shared.wire.acs_events import grid_event_from_dict, parse_incoming_call
from shared.wire.custom_context import RESERVED

PAGE = (Path(__file__).parents[2] / "docs" / "ivr.md").read_text()
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
JSON = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
ENVELOPE = {"id": "e1", "eventTime": "2026-11-20T23:50:36Z", "subject": ""}


@pytest.mark.parametrize("block", YAML, ids=range(len(YAML)))
def test_a_configuration_is_taken(block):
    assert parse_config(block.encode()).routes


def test_the_flow_has_a_step_of_each_kind():
    steps = yaml.safe_load(YAML[0])["ivrs"]["bank"]["steps"]
    shown = {step["kind"] for step in steps.values()}
    assert shown == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) & shown
    assert len(shown) == 8


def test_the_events_are_read_and_the_transfer_matches_them():
    transfer, there, back = JSON
    first, second = (parse_incoming_call(grid_event_from_dict(ENVELOPE | event)) for event in (there, back))
    assert first.voip_headers == transfer["customCallingContext"]["voipHeaders"]
    assert first.callee.raw_id == transfer["targetParticipant"]["rawId"]
    assert second.callee.raw_id == first.voip_headers["returnTo"]
    assert second.voip_headers["returnStep"] == first.voip_headers["returnStep"]


def test_the_headers_are_those_of_the_page():
    table = PAGE.split("| header |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == RESERVED


def test_the_flow_goes_on_where_the_page_says():
    ivr = parse_config(YAML[0].encode()).ivrs["bank"]
    state = IvrState(variables={"transferType": "AGENT"}, return_step="back")
    assert move(ivr, state, Connected()).action == TransferTo("+18005550199", {})
