import json
from pathlib import Path

import pytest

from emulator.functions_host.settings import HostFile, apply_local_settings, parse_duration, read_host_file
from shared.errors import ConfigurationError


def write(folder: Path, document: object) -> Path:
    path = folder / "file.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, HostFile("api", 1800.0)),
        ({"extensions": {"http": {"routePrefix": ""}}}, HostFile("", 1800.0)),
        (
            {"extensions": {"http": {"routePrefix": "v1/x"}}, "functionTimeout": "00:00:30"},
            HostFile("v1/x", 30.0),
        ),
        ({"functionTimeout": "-1"}, HostFile("api", None)),
    ],
)
def test_host_json(tmp_path: Path, document: dict, expected: HostFile) -> None:
    assert read_host_file(write(tmp_path, {"version": "2.0", **document})) == expected


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "readable JSON"),
        ([], "a JSON object"),
        ({}, "version"),
        ({"version": "2.0", "extensions": []}, "extensions"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": "{x}"}}}, "routePrefix"),
        ({"version": "2.0", "functionTimeout": "5 min"}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout"),
    ],
)
def test_a_wrong_host_json_is_named(tmp_path: Path, document: object, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        read_host_file(write(tmp_path, document))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"host\.json: expected a file"):
        read_host_file(tmp_path / "host.json")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:05", 300),
        ("00:00:01.5", 1.5),
        ("2.01:00:00", 176400),
        ("25:00:00", None),
        ("-1", None),
        ("1:2:3:4", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


def test_values_fill_in_what_the_environment_does_not_say(tmp_path: Path) -> None:
    environment = {"A": "set"}
    path = write(tmp_path, {"Values": {"A": "file", "B": "file"}, "Host": {"LocalHttpPort": 7075}})
    assert apply_local_settings(path, environment) == 7075
    assert environment == {"A": "set", "B": "file"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"IsEncrypted": True, "Values": {}}, "IsEncrypted"),
        ({"Values": {"SECRET": 12345}}, r"Values\.SECRET"),
        ({"Values": []}, "Values"),
        ({"Values": {}, "Host": {"LocalHttpPort": "x"}}, "LocalHttpPort"),
    ],
)
def test_wrong_local_settings_are_named_without_their_values(
    tmp_path: Path, document: dict, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        apply_local_settings(write(tmp_path, document), {})
    assert "12345" not in str(caught.value)
