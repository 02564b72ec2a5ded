"""Tests that run JavaScript: `make test` installs their packages into .node; JAVASCRIPT_MODULES may name another folder.

Without them such a test is skipped with the reason, or fails when REQUIRE_NODE=1.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def node_modules(wanted: Path) -> Path:
    """The `node_modules` folder that holds what the package.json `wanted` asks for, in just these versions."""
    folder = Path(os.environ.get("JAVASCRIPT_MODULES") or ROOT / ".node" / "node_modules")
    if why := _missing(json.loads(wanted.read_text())["dependencies"], folder):
        (pytest.fail if os.environ.get("REQUIRE_NODE") == "1" else pytest.skip)(why)
    return folder.absolute()


def _missing(packages: dict[str, str], folder: Path) -> str:
    """Why the test cannot run, or ""."""
    if shutil.which("node") is None:
        return "Node is not installed"
    for package, version in packages.items():
        installed = folder / package / "package.json"
        if not installed.is_file():
            return f"{package} is not installed (`make test` does it; or set JAVASCRIPT_MODULES to its node_modules)"
        if (found := json.loads(installed.read_text())["version"]) != version:
            return f"{package} {found} is installed, not {version}"
    return ""
