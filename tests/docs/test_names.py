"""What pages name in backquotes is there: settings, metrics, error codes, addresses, tests."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from cli.processes import ROOT
from shared.openapi.document import document
from shared.telemetry.metrics import METRICS
from tests.docs.reading import PAGES, fences, quoted

SOURCES = (
    "*.py",
    "*.bicep",
    "*.json",
    "*.yaml",
    "*.yml",
    "*.js",
    "*.mjs",
    "*.cjs",
    "Makefile",
    "Dockerfile",
    "*.example",
)
FOLDERS = (
    "shared",
    "media_host",
    "emulator",
    "cli",
    "infra",
    "docs/examples",
    "tools",
    "bench",
    "tests/support",
)
PLACEHOLDERS = {"TOPIC_ID", "RESOURCE_AGENT", "RESOURCE_IVR", "TRANSCRIPTION_DEPLOYMENT"}

# Names of other people's programs, by the page that speaks of them.
FOREIGN = {
    "migration.md": {
        "TRANSPORT_URL", "TARGET_PHONE_NUMBER", "COGNITIVE_SERVICES_ENDPOINT", "ACS_DEV_TUNNEL",
        "AZURE_VOICE_LIVE_ENDPOINT", "VOICE_LIVE_MODEL", "OPENAI_MODEL",
    },
    "functions-host.md": {"WEBSITE_TIME_ZONE"},
    "telemetry.md": {"OTEL_TRACES_SAMPLER_ARG", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"},
    "emulator.md": {"IDENTITY_HEADER", "IDENTITY_ENDPOINT"},
}  # fmt: skip
FOREIGN_PATHS = {"/api/incomingCall", "/api/call"}


@cache
def sources() -> str:
    """The text of everything that is no page and no test."""
    files = {path for folder in FOLDERS for kind in SOURCES for path in (ROOT / folder).rglob(kind)}
    files |= {path for kind in SOURCES for path in ROOT.glob(kind)}
    return "\n".join(path.read_text() for path in sorted(files))


@cache
def words() -> frozenset[str]:
    """Every upper-case name with an underscore in the sources."""
    return frozenset(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", sources()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_and_variables_are_known(page: Path) -> None:
    texts = [*quoted(page), *(fence.text for fence in fences(page) if fence.tag in ("sh", "yaml", ""))]
    named = {name for text in texts for name in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text)}
    own = {name for text in texts for name in re.findall(r"\benv:([A-Z0-9_]+)", text)}  # the reader's choice
    assert named - words() - PLACEHOLDERS - own - FOREIGN.get(page.name, set()) == set()


def test_no_exception_is_left_over() -> None:
    pages = "".join(page.read_text() for page in PAGES)
    assert [name for name in PLACEHOLDERS if name not in pages or name in words()] == []
    for name, known in FOREIGN.items():
        page = (ROOT / "docs" / name).read_text()
        assert [word for word in known if word not in page or word in words()] == []


def test_every_setting_is_explained_with_its_default() -> None:
    """The example file is the reference that the pages send people to."""
    about = json.loads((ROOT / "local.settings.json.example").read_text())
    explained = set(about["_about"]) | set(about["_about_media_host"])
    named = {
        name
        for page in PAGES
        for text in quoted(page)
        for name in re.findall(r"\b(?:MEDIA|PATCHCORD|ACS|CALLBACK|INCOMING|MAX)_[A-Z_]+\b", text)
    }
    code = set(re.findall(r'reader\.\w+\(\s*"([A-Z_]+)"', sources()))
    assert len(code) > 15
    assert code & named <= explained


@cache
def routes() -> set[str]:
    """Addresses of the function app and the media host, with {} for what is filled in."""
    found = set(document(compatible=True)["paths"])
    found |= {
        f"/{path}" for path in re.findall(r'app\.route\("([^"]+)"', (ROOT / "function_app.py").read_text())
    }
    found |= {
        "/healthz",
        "/readyz",
        "/acs/{token}",
        "/twilio/{token}",
        "/runtime/webhooks/eventgrid",
        "/admin/functions/{name}",
    }
    return {re.sub(r"\{[^}]*\}|:\w+", "{}", path) for path in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_addresses_exist(page: Path) -> None:
    named = set()
    for text in quoted(page):
        for path in re.findall(
            r"(?<![\w./:}-])/(?:api|generativeagent|mg-genagent|acs|twilio)\b[\w/{}.-]*", text
        ):
            named.add(re.sub(r"\{[^}]*\}|\bID\b|…", "{}", path).rstrip("/.") or path)
    if page.name == "migration.md":
        named -= FOREIGN_PATHS
    known = routes()
    folders = {route[: at.start()] for route in known for at in re.finditer("/", route)}  # `/api/twilio/…`
    missing = {path for path in named if path not in known and path not in folders}
    assert {path for path in missing if not page.name.startswith("emulat")} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_error_codes_exist(page: Path) -> None:
    known = set(re.findall(r'"((?:4|5)\d\d-\d\d)"', sources()))
    assert set(re.findall(r"\b[45]\d\d-\d\d\b", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    for text in quoted(page):
        if found := re.fullmatch(r"(tests/[\w/]+\.py)::(\w+)", text):
            assert re.search(rf"^ *(async )?def {found[2]}\(", (ROOT / found[1]).read_text(), re.M), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_exist(page: Path) -> None:
    named = {text for text in quoted(page) if re.fullmatch(r"patchcord\.[a-z]+\.[a-z_.]+", text)}
    metrics = {metric.name for metric in METRICS}
    assert {
        name for name in named - metrics if f'"{name}"' not in sources()
    } == set()  # or a span's attribute
