"""What docs/twilio.md shows is what the programs take and send."""

import json
import re
from pathlib import Path

from shared.config.document import parse_config
from shared.config.twilio import NextStep
from shared.openapi.document import document
from shared.twilio.after import state_json
from shared.twilio.begin import CONVERSATION_NAMES, CUSTOMER_NAMES, RESERVED, TASK_NAMES, TRANSFER_NAMES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "twilio.md").read_text()


def test_the_configuration_is_taken():
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    entry = parse_config(block.encode()).twilio["default"]
    assert entry.next.agent == NextStep(enqueue="support")
    assert set(re.findall(r"^ {4}(\w+):", block.partition("twilio:")[2], re.MULTILINE)) == set(
        entry.__struct_fields__
    )


def test_the_state_has_the_fields_that_a_flow_reads():
    [block] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert list(json.loads(block)) == list(state_json(None, 0.0))


def test_addresses_and_parameters_exist():
    paths = set(document(compatible=False)["paths"])
    named = set(re.findall(r"/api/twilio/[a-z-]+", PAGE))
    assert named <= paths and len(named) == 3
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)?) \| ", PAGE.partition("## Parameters")[2], re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert names == {*TRANSFER_NAMES, *CONVERSATION_NAMES, CUSTOMER_NAMES[0], TASK_NAMES[0]} <= RESERVED


def test_the_functions_read_the_environment_that_the_page_names():
    code = "".join(file.read_text() for file in (DOCS / "examples/twilio-functions").glob("*.js"))
    table = PAGE.partition("| environment | |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([A-Z_]{6,})`", table))
    assert named == set(re.findall(r"context\.([A-Z_]+)", code))
