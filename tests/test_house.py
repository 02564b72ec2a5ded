"""The house: pins, the commands that README promises, and how a missing Python is said."""

import os
import re
import subprocess
import tomllib

import pytest

from cli.processes import ROOT


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "media_host/requirements.txt"])
def test_every_requirement_is_pinned_exactly(name):
    assert [line for line in requirements(name) if not re.match(r"[\w.\[\]-]+==[\w.]+( *;.*)?$", line)] == []


def test_a_package_has_one_version_everywhere():
    pins: dict[str, set[str]] = {}
    for name in ("requirements.txt", "requirements-dev.txt", "media_host/requirements.txt"):
        for line in requirements(name):
            package, version = line.split(";")[0].split("==")
            pins.setdefault(package.partition("[")[0], set()).add(version.strip())
    assert {package: versions for package, versions in pins.items() if len(versions) > 1} == {}


def test_the_function_app_does_not_deploy_the_runtime_or_speech():
    deployed = " ".join(requirements("requirements.txt"))
    for package in ("azure-functions-runtime", "pocketsphinx", "espeakng", "numpy", "uvloop"):
        assert package not in deployed


def test_python_is_the_same_in_all_places():
    version = (ROOT / ".python-version").read_text().strip()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"].startswith(f">={version}")
    assert f"FROM python:{version}" in (ROOT / "media_host" / "Dockerfile").read_text()


def test_make_has_the_commands_that_readme_names():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (demo|up|test|check|bench|clean)\b", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_ci_runs_the_readmes_test_command():
    steps = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "make check" in steps
    assert "make test" in steps


def test_a_missing_python_is_said_with_what_to_install(tmp_path):
    for tool in ("sh", "dirname", "cat", "uname"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}" if os.path.exists(f"/bin/{tool}") else f"/usr/bin/{tool}")
    found = subprocess.run(
        ["/bin/sh", ROOT / "tools" / "find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert "Patchcord needs Python 3.13" in found.stderr
    assert "uv python install 3.13" in found.stderr


def test_this_python_is_found():
    found = subprocess.run([ROOT / "tools" / "find-python"], capture_output=True, text=True, check=True)
    version = subprocess.run([found.stdout.strip(), "-V"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("Python 3.13")


def test_calls_stand_where_the_runner_looks_for_them():
    """Elsewhere, neither part of `tools/run-tests` would run them."""
    line = re.search(r"^run calls (.*) -m e2e", (ROOT / "tools" / "run-tests").read_text(), re.MULTILINE)
    folders = [ROOT / folder for folder in line[1].split()]
    marked = [
        path for path in (ROOT / "tests").rglob("test_*.py") if re.search(r"mark\.e2e\b", path.read_text())
    ]
    assert len(marked) > 10
    assert [path for path in marked if not any(path.is_relative_to(folder) for folder in folders)] == []
