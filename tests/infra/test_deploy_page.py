"""docs/deploy.md names what is there: every setting with its default, every file, every hook."""

import json
import re

import pytest
import yaml

from tests.media_host.image.contents import ROOT

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
OURS = {"PATCHCORD_AGENT_IDENTITY", "PATCHCORD_WIRE_EVENTS", "PATCHCORD_EVENTS_FINGERPRINT"}
TABLE = dict(re.findall(r"^\| `([A-Z_]+)` \| *([^|]*?) *\|", PAGE, re.MULTILINE))


def parameters() -> dict[str, str]:
    """Variables of azd that the templates read and people may set, with their defaults."""
    found = {}
    for name in ("main", "media"):
        content = json.loads((ROOT / "infra" / f"{name}.parameters.json").read_text())
        for one in content["parameters"].values():
            match = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", one["value"])
            if match[2] is not None or match[1] == "PATCHCORD_DATA_LOCATION":
                found[match[1]] = match[2] or ""
    return found


def test_every_setting_stands_there_with_its_default():
    wanted = {
        name: value
        for name, value in parameters().items()
        if not name.startswith("AZURE_") and name not in OURS
    }
    assert {name: value for name, value in TABLE.items() if name != "PATCHCORD_RESOURCE_GROUP"} == {
        name: value for name, value in wanted.items() if name != "PATCHCORD_RESOURCE_GROUP"
    }
    assert set(re.findall(r"PATCHCORD_[A-Z_]+", PAGE)) <= set(wanted) | OURS


def test_commands_and_files_are_there():
    hooks = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]
    assert set(re.findall(r"azd hooks run (\w+)", PAGE)) <= hooks.keys()
    for path in re.findall(r"`((?:infra|media_host|tests)/[\w./]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for page in re.findall(r"\]\((\w[\w-]*\.md)", PAGE):
        assert (ROOT / "docs" / page).exists(), page
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{one}:", makefile, re.MULTILINE) for one in re.findall(r"`make (\w+)`", PAGE))


@pytest.mark.parametrize(
    "words", ["the vault does not let us in", "Event Grid does not see the functions yet"]
)
def test_what_it_says_is_what_the_hooks_say(words):
    said = "".join(path.read_text() for path in (ROOT / "infra" / "hooks").glob("*.py"))
    assert words in said and words in PAGE
