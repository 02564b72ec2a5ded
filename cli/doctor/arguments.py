"""The arguments of `patchcord doctor`; apart, because the examination imports half of the system."""

from pathlib import Path
from typing import Any


def add_to(commands: Any) -> None:
    """The command's arguments."""
    doctor = commands.add_parser(
        "doctor",
        help="try every link from a ringing telephone to the agent, and say how to mend what is broken",
        description="Without an option: what `patchcord up` runs here, else local.settings.json, else this environment.",
    )
    source = doctor.add_mutually_exclusive_group()
    source.add_argument("--env", type=Path, metavar="FILE", help="settings from a file of NAME=value lines")
    source.add_argument("--settings", type=Path, metavar="FILE", help="settings from a local.settings.json")
    doctor.add_argument(
        "--deployment",
        nargs="?",
        const="",
        metavar="NAME|URL",
        help="a deployment: an environment of azd (none: its default one), or the function app's address",
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
