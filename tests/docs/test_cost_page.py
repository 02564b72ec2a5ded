"""docs/cost.md: its table is the program's, and what it shows is what the program prints."""

import re
import subprocess
import sys

from cli.processes import ROOT
from tests.docs.reading import commands, fences

PAGE = ROOT / "docs" / "cost.md"


def run(*arguments: str) -> str:
    program = [sys.executable, ROOT / "docs" / "examples" / "cost.py", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout


def test_the_page_shows_what_the_program_prints() -> None:
    [command] = [item for item in commands() if item.page == "cost.md"]
    [shown] = [fence.text for fence in fences(PAGE) if fence.tag == ""]
    assert run(*command.words[2:]) == shown


def test_the_prices_are_those_of_the_table() -> None:
    listed: dict[str, float | None] = {}
    for names, values in re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| ([^|]+) \|", PAGE.read_text(), re.M):
        for name, value in zip(re.findall(r"[\w-]+", names), values.split(","), strict=True):
            listed[name] = None if value.strip() == "–" else float(value)
    code = (ROOT / "docs" / "examples" / "cost.py").read_text()
    known = re.findall(r'^    "([a-z-]+)": ([\d._]+|None),', code, re.M)
    assert listed == {name: None if value == "None" else float(value) for name, value in known}


def test_the_formula() -> None:
    """One call of one minute in which only the agent speaks, nothing read again: 1200 tokens of what is said."""
    names = ["acs-inbound", "acs-number", "vcpu", "gib", "audio-in", "cached"]
    free = [word for name in names for word in ("--price", f"{name}=0")]
    told = run(
        "--calls=1", "--minutes=1", "--agent-share=1", "--caller-share=0", "--price=audio-out=1000000", *free
    )
    assert re.search(r"^model +1,200\.00 +1200\.0000$", told, re.M)
    assert re.search(
        r"^function app +12\.00 ", run("--calls=1", "--price", f"always-ready={12 / 4 / 2_628_000}"), re.M
    )
