"""Links between our own pages, and the files that pages name, must lead somewhere."""

import re

import pytest

from cli.processes import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKS = [
    (page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda item: getattr(item, "name", item))
def test_a_link_leads_to_a_file(page, link):
    assert (page.parent / link).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_backquotes_exist(page):
    named = re.findall(
        r"`((?:shared|media_host|emulator|cli|docs|dialogues|tests)/[\w./-]+\.\w+)`", page.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []
