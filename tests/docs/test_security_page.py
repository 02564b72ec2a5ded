"""The security page names tests; each of them must exist."""

import re
from pathlib import Path

import pytest

from cli.processes import ROOT

NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text())


def test_the_page_names_many():
    assert len(NAMED) > 15


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda item: Path(item).name if item else "-")
def test_a_named_test_exists(path, name):
    text = (ROOT / path).read_text()
    if name:
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)
