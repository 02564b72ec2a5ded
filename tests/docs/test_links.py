"""Links between our own pages, with their anchors, and the files that pages name, must lead somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from cli.processes import ROOT
from tests.docs.reading import PAGES, prose, quoted

LINKS = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page))]
FOLDERS = ("shared", "media_host", "emulator", "cli", "docs", "dialogues", "tests", "infra", "bench", "tools")


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.S | re.M)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda item: getattr(item, "name", item))
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), link
    assert target.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(target), sorted(anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_backquotes_exist(page: Path) -> None:
    named = [
        found[0].rstrip("/")
        for text in quoted(page)
        if (found := re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]+", text.partition("::")[0]))
    ]
    missing = [
        path for path in named if not any(ROOT.glob(re.sub(r"\b[A-Z]{4,}\b", "*", path)))
    ]  # NAME is any
    assert missing == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"^\| \[([\w-]+\.md)\]", index, re.M))
