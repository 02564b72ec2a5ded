"""The security page names tests, each of which must exist, and every door, none of which may be missing."""

import re
from pathlib import Path

import pytest

from cli.processes import ROOT
from shared.openapi.document import document

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_the_page_names_many():
    assert len(NAMED) > 60


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda item: Path(item).name if item else "-")
def test_a_named_test_exists(path, name):
    text = (ROOT / path).read_text()
    if name:
        assert re.search(rf"^ *(async )?def {name}\(", text, re.MULTILINE)


def test_every_row_has_a_threat_or_a_check_and_a_test():
    rows = [
        row
        for row in re.findall(r"^\|(.*) \|$", PAGE, re.MULTILINE)
        if not row.startswith((" ---", " threat"))
    ]
    assert len(rows) > 50
    for row in rows:
        *_, check, tests = row.split(" | ")
        assert check.strip(), row
        assert re.fullmatch(r"(`tests/[^`]+`(, )?)+", tests), row


def test_every_door_is_named():
    doors = set(document(compatible=False)["paths"])
    server = (ROOT / "media_host" / "server.py").read_text()
    doors |= set(re.findall(r"`(?:GET )?(/[\w/{}]+)` (?:\d|upgrade)", server)) | {
        "/acs/{token}",
        "/twilio/{token}",
    }
    other_names = {"/incoming", "/api/callbacks"}  # of /api/acs-events: the page links to them
    assert doors >= {"/healthz", "/readyz", "/api/v1/calls"}
    missing = {
        door for door in doors - other_names if not re.search(rf"`(?:[A-Z]+ )?{re.escape(door)}`", PAGE)
    }
    assert {door for door in missing if not door.startswith("/api/v1/call-transfers/")} == set()
