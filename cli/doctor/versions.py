"""Link "versions": Python, the packages, and whether the function app runs the code that stands here."""

import re
import sys
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "media_host/requirements.txt")


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """What this machine has, then what the function app shows of itself."""
    yield ok("Python", sys.version.split()[0])
    for file in FILES:
        yield packages(ROOT / file)
    yield _api(exam)


def packages(path: Path) -> Finding:
    """The packages of one list of requirements, as they are installed here."""
    check = f"{path.parent.name}/{path.name}" if path.parent != ROOT else path.name
    if not path.exists():
        return unknown(check, "the list is not here")
    wanted = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", path.read_text(), re.MULTILINE)
    others = []
    for name, pinned in wanted:
        try:
            there = version(name)
        except PackageNotFoundError:
            there = "none"
        if there != pinned:
            others.append(f"{name} {there} instead of {pinned}")
    if others:
        return broken(check, ", ".join(others), f"pip install -r {path}")
    return ok(check, f"{len(wanted)} packages as pinned")


def _api(exam: Examination) -> Finding:
    """The same document means the same doors."""
    from shared.openapi.document import document

    check, settings = "the function app's code", exam.known_settings
    if exam.api is None or settings is None or exam.subject.is_partial:
        return unknown(check, "the function app, or its settings, are not known")
    ours = document(
        server=settings.callback_base,
        id_header=settings.api_id_header,
        secret_header=settings.api_secret_header,
        compatible=settings.compatible_api,
    )
    unlike = [part for part in ("paths", "components") if exam.api.get(part) != ours[part]]
    if unlike:
        return broken(
            check,
            f"its API is not that of the code here ({', '.join(unlike)} differ): another version, or other header names",
            "azd deploy (or start it again)",
        )
    return ok(check, "its API is that of the code here")
