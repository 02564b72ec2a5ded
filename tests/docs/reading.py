"""Reads our pages: their fences, their commands, what they name in backquotes."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cli.processes import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = "make patchcord python pip npm npx node az azd azurite func docker ngrok curl git cp mkdir cat tail".split()
BUILT_IN = {"set", ".", "cd", "export", "for", "do", "done", "break", "if", "fi"}


@dataclass(frozen=True)
class Fence:
    """A fenced block: the tag after its first fence, and the text between them."""

    page: Path
    tag: str
    text: str


@dataclass(frozen=True)
class Command:
    """One simple command of a page: its words without the environment before it.

    `program` is the first word without a folder (`.venv/bin/patchcord` is `patchcord`), `folder` where a `cd` before it leads.
    """

    page: str
    words: tuple[str, ...]
    folder: str = "."
    environment: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The first word without a folder."""
        return self.words[0].rpartition("/")[2]

    @property
    def line(self) -> str:
        """As it would be typed, without the folder of the virtual environment."""
        return shlex.join((self.program, *self.words[1:]))


@cache
def fences(page: Path) -> list[Fence]:
    """All fenced blocks of a page; an indented fence within a list item counts, too."""
    found = re.finditer(
        r"^(?P<indent> *)```(?P<tag>[\w.-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
        page.read_text(),
        re.S | re.M,
    )
    return [Fence(page, one["tag"], one["text"]) for one in found]


@cache
def prose(page: Path) -> str:
    """The page without its fences and HTML comments."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.S | re.M)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def quoted(page: Path) -> list[str]:
    """What stands in single backquotes outside of fences, without its line breaks."""
    return [re.sub(r"\s+", " ", one) for one in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


def parse(page: str, text: str) -> Iterator[Command]:
    """The simple commands of a shell text; `#` comments go, a backslash joins lines."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words, folder = [], "."
        for word in [*lexer, ";"]:
            if word and set(word) <= set("();<>|&"):
                if word[0] in "<>":
                    words.append(word)
                    continue
                if words and words[0] == "cd":
                    folder = words[1]
                elif command := _simple(page, words, folder):
                    yield command
                words = []
            else:
                words.append(word)


def _simple(page: str, words: list[str], folder: str) -> Command | None:
    environment = []
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        environment.append(words.pop(0))
    if words and words[0] in ("do", "then"):
        words = words[1:]
    kept: list[str] = []
    skip = False
    for word in words:  # `> FILE` and the like are no arguments
        if skip:
            skip = False
        elif word and word[0] in "<>":
            skip = True
            if kept and kept[-1].isdigit():
                kept.pop()
        else:
            kept.append(word)
    if not kept or kept[0] in BUILT_IN:
        return None
    return Command(page, tuple(kept), folder, tuple(environment))


@cache
def commands() -> list[Command]:
    """The commands in all `sh` fences."""
    return [
        command
        for page in PAGES
        for fence in fences(page)
        if fence.tag == "sh"
        for command in parse(page.name, fence.text)
    ]


def quoted_commands() -> list[Command]:
    """The commands that stand in backquotes, such as `make demo`."""
    found = []
    for page in PAGES:
        for text in quoted(page):
            first = text.split()[0].rpartition("/")[2] if text.split() else ""
            if first in {"make", "patchcord", "python", "azd"} and " " in text and "…" not in text.split()[1]:
                found += list(parse(page.name, text.replace(" | ", " ").replace("…", "")))[:1]
    return found
