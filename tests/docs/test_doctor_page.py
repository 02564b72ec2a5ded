"""docs/doctor.md names what the doctor has: its links, its options, and its tool for keys."""

import argparse
import re
from pathlib import Path

from cli.doctor import arguments
from cli.doctor.command import LINKS

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


def test_each_link_has_its_row():
    assert re.findall(r"^\| (?!link|---)([^|]+) \|", PAGE, re.MULTILINE) == list(LINKS)


def test_each_command_of_the_page_can_be_given():
    parser = argparse.ArgumentParser(prog="patchcord")
    arguments.add_to(parser.add_subparsers(dest="command"))
    lines = re.findall(r"^patchcord (doctor.*?)(?:   .*)?$", PAGE, re.MULTILINE)
    assert len(lines) == 8
    options = set()
    for line in lines:
        given = parser.parse_args(line.split())
        options |= {name for name, value in vars(given).items() if value not in (None, False)}
    assert options == {"command", "env", "settings", "deployment", "json"}


def test_the_tool_for_keys_knows_what_the_page_says():
    tool = (Path(__file__).parents[2] / "cli" / "doctor" / "mend_keys.py").read_text()
    hows = re.findall(r"mend_keys (\w+) +SIGNING VERIFICATION", PAGE)
    assert hows == ["ensure", "rotate", "replace"]
    assert 'choices=("ensure", "rotate", "replace")' in tool
