import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from multidict import CIMultiDict, MultiDict

from emulator.functions_host.keys import HostKeys, open_keys, presented_key, read_keys
from shared.errors import ConfigurationError

KEYS = HostKeys(
    "m", {"default": "h"}, {"eventgrid_extension": "s", "other_extension": "o"}, {"Hello": {"k": "f"}}
)


@pytest.mark.parametrize(
    ("level", "function", "opens"),
    [
        ("ANONYMOUS", "hello", ["m", "h", "f", "s", "", "wrong"]),
        ("FUNCTION", "hello", ["m", "h", "f"]),
        ("function", "another", ["m", "h"]),
        ("ADMIN", "hello", ["m"]),
    ],
)
def test_who_may_call_a_function(level: str, function: str, opens: list[str]) -> None:
    assert [key for key in ("m", "h", "f", "s", "", "wrong") if KEYS.allows(level, function, key)] == opens


@pytest.mark.parametrize(
    ("extension", "opens"),
    [("eventgrid", ["m", "s"]), ("EventGrid", ["m", "s"]), ("other", ["m", "o"]), ("none", ["m"])],
)
def test_who_may_post_to_a_webhook(extension: str, opens: list[str]) -> None:
    assert [key for key in ("m", "h", "f", "s", "o", "", "é") if KEYS.allows_webhook(extension, key)] == opens


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ([], [], ""),
        ([], [("code", "q")], "q"),
        ([("X-Functions-Key", "h")], [("code", "q")], "h"),
        ([("x-functions-key", "")], [("code", "q")], ""),
        ([("x-functions-key", "h"), ("x-functions-key", "i")], [], "h"),
    ],
)
def test_the_header_is_read_first(headers: list, query: list, key: str) -> None:
    assert presented_key(CIMultiDict(headers), MultiDict(query)) == key


def test_a_keys_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(open_keys, [path] * 8))
    assert all(keys == made[0] for keys in made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["keys.json"]
    assert len({made[0].master, made[0].host["default"], made[0].system["eventgrid_extension"]}) == 3
    assert len(made[0].master) >= 43
    assert made[0].master not in repr(made[0])


def test_a_file_that_others_could_read_is_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    before = open_keys(path)
    path.chmod(0o644)
    assert open_keys(path) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "readable by others" in caplog.text


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "a readable keys file"),
        ("[]", "an object"),
        ({"host": {}, "system": {}}, "master"),
        ({"master": "topsecret", "host": {"default": 1}, "system": {"eventgrid_extension": "x"}}, "host"),
        ({"master": "topsecret", "host": {}, "system": {}}, "system.eventgrid_extension"),
        (
            {"master": "topsecret", "host": {}, "system": {"eventgrid_extension": "x"}, "functions": []},
            "functions",
        ),
        (
            {
                "master": "topsecret",
                "host": {},
                "system": {"eventgrid_extension": "x"},
                "functions": {"a": 1},
            },
            "functions.a",
        ),
    ],
)
def test_a_wrong_keys_file_is_named_without_its_keys(tmp_path: Path, document: object, named: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(ConfigurationError) as caught:
        read_keys(path)
    assert named in str(caught.value)
    assert "topsecret" not in str(caught.value)
