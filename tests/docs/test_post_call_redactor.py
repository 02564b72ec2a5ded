"""docs/examples/post_call_redactor.py does what it says, as the hook of a real record."""

import importlib
import json
import stat
import sys

import aiohttp
import pytest

from cli.processes import ROOT
from media_host.post_call import PostCallHooks
from shared.calls.events import EventKind
from shared.security.secrets import Secrets
from tests.media_host.post_calls import a_call, config_of, open_calls

CALLER, CARD = "+14255550100", "4111 1111 1111 1111"


@pytest.fixture
def redactor(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    yield importlib.import_module("post_call_redactor")
    sys.modules.pop("post_call_redactor", None)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My name is Ann Smith.", "My name is [name]."),
        ("Hello, this is Bob calling", "Hello, this is [name] calling"),
        ("I'm tired", "I'm tired"),
        ("write to ann.smith@example.com please", "write to [e-mail] please"),
        ("ann at example dot com", "[e-mail]"),
        ("my card is 4111 1111-1111 1111", "my card is [card]"),
        ("it is 4111 1111 1111 1112", "it is [number]"),
        ("call +1 (425) 555-0100", "call [number]"),
        ("order 42719 of 2026", "order 42719 of 2026"),
    ],
)
def test_a_text_is_masked(redactor, text, masked):
    assert redactor.masker(set())(text) == masked


def test_the_names_in_the_variables_are_masked_everywhere(redactor):
    record = {
        "inputVariables": {"customerName": "Ann Smith", "account": "00123"},
        "transcript": [{"text": "Good morning, Mrs. smith!"}],
        "callId": "c1",
    }
    assert redactor.redacted(record) == {
        "inputVariables": {"customerName": "[name]", "account": "00123"},
        "transcript": [{"text": "Good morning, Mrs. [name]!"}],
        "callId": "c1",
    }


async def test_as_a_hook_it_keeps_a_record_without_them(redactor, tmp_path, monkeypatch):
    monkeypatch.setenv("POST_CALL_FOLDER", str(tmp_path / "kept"))
    config = config_of({"kind": "python", "entry_point": "post_call_redactor:keep"})
    async with open_calls(tmp_path) as calls, aiohttp.ClientSession() as http:
        call_id = await a_call(calls, {"customerName": "Ann Smith", "mail": "ann@example.com"})
        said = f"I am Ann Smith, my card is {CARD}"
        await calls.note("default", call_id, "s-1", EventKind.CALLER_SAID, text=said)
        hooks = PostCallHooks(config, calls, Secrets(), http)
        hooks.begin("default", call_id, "desk")
        await hooks.close()
    path = tmp_path / "kept" / f"{call_id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = json.loads(path.read_text())
    assert record["callId"] == call_id
    assert record["transcript"][0]["text"] == "I am [name], my card is [card]"
    for personal in ("Ann", "Smith", "ann@example.com", CALLER, CARD):
        assert personal not in path.read_text()
