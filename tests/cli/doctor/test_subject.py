import json
from argparse import Namespace

import pytest

from cli.doctor.command import subject_of
from cli.doctor.subject import (
    from_azd,
    from_env_file,
    from_local_settings,
    from_run_file,
    read_env_file,
    secrets_of,
)
from shared.errors import ConfigurationError, PatchcordError

NOTHING = {"env": None, "settings": None, "deployment": None}


def test_an_environment_file_as_a_shell_reads_it(tmp_path):
    path = tmp_path / ".env"
    path.write_text("# ours\n\nexport A=1\nB = 'two words'\nC=\"a#b\" # said\nD=\n")
    assert read_env_file(path) == {"A": "1", "B": "two words", "C": "a#b", "D": ""}


@pytest.mark.parametrize("line", ["secret value", "1A=2", "A='open"])
def test_a_wrong_line_is_named_and_not_shown(tmp_path, line):
    path = tmp_path / ".env"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        read_env_file(path)
    assert str(caught.value) == f"{path}, line 2: expected NAME=value"


def test_each_source_says_how_a_setting_is_set(tmp_path):
    env = tmp_path / ".env"
    env.write_text("ACS_JWT=off\n")
    assert from_env_file(env).mend("ACS_JWT", "require") == f"in {env}: ACS_JWT=require"
    settings = tmp_path / "local.settings.json"
    settings.write_text(json.dumps({"Values": {"MAX_CONCURRENT_CALLS": 5}}))
    subject = from_local_settings(settings)
    assert subject.env == {"MAX_CONCURRENT_CALLS": "5"}
    assert subject.mend("ACS_JWT") == f'in {settings}, under Values: "ACS_JWT": "VALUE"'


@pytest.mark.parametrize("text", ["no json", "{}", '{"Values": []}'])
def test_damaged_files(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        from_local_settings(path)
    with pytest.raises(PatchcordError, match="damaged or of an older version"):
        from_run_file(path)


def azd_folder(tmp_path, lines):
    folder = tmp_path / ".azure"
    (folder / "prod").mkdir(parents=True)
    (folder / "config.json").write_text('{"version": 1, "defaultEnvironment": "prod"}')
    (folder / "prod" / ".env").write_text("\n".join(f'{name}="{value}"' for name, value in lines.items()))
    return folder


@pytest.mark.parametrize("name", ["", "prod"])
def test_a_deployment_by_azd(tmp_path, name):
    lines = {"AZURE_RESOURCE_GROUP": "rg-prod", "FUNCTION_APP_NAME": "func-1", "ACS_RESOURCE_ID": "id"}
    subject = from_azd(name, azd_folder(tmp_path, lines))
    assert subject.env == {"PATCHCORD_ENVIRONMENT": "prod", **lines}
    assert subject.mend("ACS_JWT", "require").startswith(
        "az functionapp config appsettings set -g rg-prod -n func-1 --settings ACS_JWT=require"
    )
    assert subject.keys_with == "azd hooks run postprovision"


@pytest.mark.parametrize(
    ("name", "message"),
    [("../etc", "the name of an azd environment"), ("other", "readable file"), ("prod", "azd provision")],
)
def test_no_such_deployment(tmp_path, name, message):
    folder = azd_folder(tmp_path, {"AZURE_LOCATION": "westeurope"})
    with pytest.raises(ConfigurationError, match=message):
        from_azd(name, folder)
    with pytest.raises(ConfigurationError, match="no default one"):
        from_azd("", tmp_path)


def test_who_is_examined(tmp_path, monkeypatch):
    """What runs here, else the local settings, else the environment; an option says otherwise."""
    monkeypatch.chdir(tmp_path)
    env = tmp_path / "x.env"
    env.write_text("ACS_JWT=off\n")
    assert subject_of(Namespace(**NOTHING)).name == "the settings in this environment"
    (tmp_path / "local.settings.json").write_text('{"Values": {}}')
    assert subject_of(Namespace(**NOTHING)).name == "local.settings.json"
    (tmp_path / ".patchcord").mkdir()
    run = {"settings": {}, "emulator": "http://127.0.0.1:1", "control_key": "k", "credentials": {}}
    (tmp_path / ".patchcord" / "run.json").write_text(json.dumps(run))
    assert subject_of(Namespace(**NOTHING)).emulator == "http://127.0.0.1:1"
    assert subject_of(Namespace(**NOTHING | {"env": env})).name == str(env)
    url = "https://func.example/"
    alone = subject_of(Namespace(**NOTHING | {"deployment": url}))
    assert (alone.name, alone.is_partial) == ("https://func.example", True)
    both = subject_of(Namespace(**NOTHING | {"deployment": url, "env": env}))
    assert both.env == {"ACS_JWT": "off", "CALLBACK_EVENTS_URI": "https://func.example"}
    assert not both.is_partial


def test_secrets_of_settings():
    env = {
        "AZURE_ACS_CONN_KEY": "endpoint=https://x;accesskey=c2VjcmV0",
        "PATCHCORD_STORE": "AccountName=x;AccountKey=a2V5;TableEndpoint=http://y",
        "TWILIO_AUTH_TOKEN": "0123",
        "PATCHCORD_SIGNING_KEYS": "file:keys.json",
        "PATCHCORD_LOG_LEVEL": "info",
    }
    assert secrets_of(env) == {
        env["AZURE_ACS_CONN_KEY"],
        env["PATCHCORD_STORE"],
        "c2VjcmV0",
        "a2V5",
        "0123",
    }
