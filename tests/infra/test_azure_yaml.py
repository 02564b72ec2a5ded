"""azure.yaml says what azd knows, and what is here; what goes to Azure is what the function app needs, and no more."""

import re

import pathspec
import pytest
import yaml

from tests.media_host.image.contents import ROOT, files_of, installed, missing, reached
from tests.media_host.image.test_dockerfile import tracked

AZD = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))

# By hand, from azd's schema (Azure/azure-dev, schemas/v1.0/azure.yaml.json at 00cddf71, read 2026-11-21).
HOOKS = {
    f"{when}{what}"
    for when in ("pre", "post")
    for what in ("provision", "deploy", "package", "restore", "up", "down")
}
HOOK = {
    "run",
    "shell",
    "kind",
    "dir",
    "interactive",
    "continueOnError",
    "secrets",
    "config",
    "windows",
    "posix",
}
DOCKER = {"path", "context", "platform", "registry", "image", "tag", "buildArgs", "network", "remoteBuild"}
SERVICE = {
    "project",
    "host",
    "language",
    "module",
    "dist",
    "remoteBuild",
    "docker",
    "hooks",
    "uses",
    "env",
    "image",
}


def test_it_has_the_keys_that_azd_knows():
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", AZD["name"])
    assert AZD.keys() <= {"name", "metadata", "infra", "services", "hooks"}
    assert AZD["infra"].keys() <= {"provider", "path", "module"}
    for service in AZD["services"].values():
        assert service.keys() <= SERVICE
        assert service.get("docker", {}).keys() <= DOCKER
    assert AZD["hooks"].keys() <= HOOKS
    for hook in AZD["hooks"].values():
        assert hook.keys() <= HOOK
        assert hook["kind"] == "python" and hook["config"].keys() == {"virtualEnvName"}


def test_what_it_names_is_there():
    infra = ROOT / AZD["infra"]["path"]
    assert (infra / f"{AZD['infra']['module']}.bicep").is_file()
    media = AZD["services"]["media"]
    assert (infra / f"{media['module']}.bicep").is_file()
    assert (infra / f"{media['module']}.parameters.json").is_file()
    assert (ROOT / media["project"] / media["docker"]["path"]).is_file()
    assert (ROOT / AZD["services"]["functions"]["project"] / "host.json").is_file()
    for hook in AZD["hooks"].values():
        script = ROOT / hook["run"]
        assert script.is_file() and (script.parent / "requirements.txt").is_file()


def test_services_are_found_by_their_tags():
    text = "".join(path.read_text() for path in (ROOT / "infra").rglob("*.bicep"))
    assert set(re.findall(r"'azd-service-name': '(\w+)'", text)) == AZD["services"].keys()
    outputs = (ROOT / "infra" / "main.bicep").read_text()
    assert "output AZURE_CONTAINER_REGISTRY_ENDPOINT" in outputs  # remote builds ask for it


def test_each_hook_runs_its_own_step():
    steps = {name: (ROOT / hook["run"]).read_text() for name, hook in AZD["hooks"].items()}
    found = {name: re.search(r'\.main\("(\w+)"\)', text)[1] for name, text in steps.items()}
    assert found == {
        "preprovision": "before_provision",
        "postprovision": "after_provision",
        "postdeploy": "after_deploy",
    }


def sent() -> list[str]:
    rules = pathspec.PathSpec.from_lines("gitignore", (ROOT / ".funcignore").read_text().splitlines())
    return [path for path in tracked() if not rules.match_file(path)]


def test_the_function_apps_package_is_its_code_alone():
    kept = sent()
    assert {path for path in kept if "/" not in path} == {
        "function_app.py",
        "host.json",
        "patchcord.yaml",
        "requirements.txt",
    }
    assert {path.partition("/")[0] for path in kept if "/" in path} == {"shared"}


@pytest.mark.parametrize(
    "path", [".azure/sandbox/.env", "local.settings.json", ".patchcord/functions-keys.json", "main_env/x.py"]
)
def test_what_is_secret_or_local_is_not_sent(path):
    rules = pathspec.PathSpec.from_lines("gitignore", (ROOT / ".funcignore").read_text().splitlines())
    assert rules.match_file(path)


def test_all_that_the_function_app_imports_is_sent_or_installed():
    ours, elsewhere = reached([ROOT / "function_app.py"])
    assert {str(path.relative_to(ROOT)) for path in ours} <= set(sent())
    assert missing(elsewhere, files_of(installed(ROOT / "requirements.txt"))) == set()


def test_the_hooks_have_what_they_import_at_the_versions_of_the_rest():
    hooks = ROOT / "infra" / "hooks"
    lines = [
        line for line in (hooks / "requirements.txt").read_text().splitlines() if line and line[0] != "#"
    ]
    assert lines[0] == "-r ../../requirements.txt"
    everywhere = (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert all(line in everywhere for line in lines[1:])
    packages = files_of(installed(ROOT / "requirements.txt") | installed(hooks / "requirements.txt"))
    _, elsewhere = reached(list(hooks.glob("*.py")))
    assert missing(elsewhere, packages) == set()
