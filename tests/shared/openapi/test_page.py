"""docs/api.md is what the document says."""

import json
from pathlib import Path
from runpy import run_path

import shared.openapi
from shared.openapi.__main__ import PAGE, main
from shared.openapi.document import document
from shared.openapi.page import render
from tests.shared.openapi.test_document import OPERATIONS


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == render(), "run: python -m shared.openapi"


def test_the_page_names_every_door_and_code():
    text = PAGE.read_text()
    for path, method, operation in OPERATIONS:
        assert f"`{method.upper()} {path}`" in text
        for answer in operation["responses"].values():
            for code in answer.get("content", {}).get("application/json", {}).get("examples", {}):
                assert f"| {code} |" in text


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["openapi", "--json"])
    run_path(str(Path(shared.openapi.__file__).with_name("__main__.py")), run_name="__main__")
    assert json.loads(capsys.readouterr().out) == document()
    main(["--json"])
    assert json.loads(capsys.readouterr().out) == document()
    main([], tmp_path / "api.md")
    assert (tmp_path / "api.md").read_text() == PAGE.read_text()
