"""Lines find their call by whatever id the traffic carries."""

import json

import pytest

from emulator.trace import Trace

CALL = "0b6e5a58-2a3d-4a55-b1d4-0f1f5f8f6a01"
CONTEXT = "eyJhbGciOiJub25lIn0." + "c" * 8000


class Traced:
    """A trace and what it wrote."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.trace = Trace(folder, now=lambda: 1_795_000_000.5)

    def exchange(self, what="rest", method="POST", request=None, response=None, outcome=None, **more):
        bodies = [b"" if body is None else json.dumps(body).encode() for body in (request, response)]
        self.trace.exchange(what, method, "/where", {}, *bodies, 1.25, outcome or {"status": 200}, **more)

    def read(self, name):
        self.trace.close()
        file = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def traced(tmp_path):
    traced = Traced(tmp_path)
    yield traced
    traced.trace.close()


def test_a_line(traced):
    traced.exchange(request={"a": 1}, response={"correlationId": CALL}, outcome={"status": 201})
    assert traced.read(f"call-{CALL}") == [
        {
            "at": "2026-11-18T11:06:40.500Z",
            "call": CALL,
            "what": "rest",
            "method": "POST",
            "where": "/where",
            "status": 201,
            "ms": 1.2,
            "request": {"a": 1},
            "response": {"correlationId": CALL},
        }
    ]


@pytest.mark.parametrize(
    "later",
    [
        {"request": {"incomingCallContext": CONTEXT}},
        {"named": {"callConnectionId": "cc-1"}},
        {"request": {"callConnectionId": "cc-1"}},
        {"request": [{"data": {"callConnectionId": "cc-1"}}]},
        {"request": {"serverCallId": "c2VydmVy"}},
        {"named": {"recordingId": "rec-1"}},
    ],
    ids=["context", "path", "body", "callback", "server call", "recording"],
)
def test_later_lines_are_known_by_what_was_learnt_before(traced, later):
    event = {"correlationId": CALL, "incomingCallContext": CONTEXT, "serverCallId": "c2VydmVy"}
    traced.exchange("event", request=[{"data": event}])
    traced.exchange(response={"correlationId": CALL, "callConnectionId": "cc-1"})
    traced.exchange(request={"callConnectionId": "cc-1"}, response={"recordingId": "rec-1"})
    traced.exchange(**later)
    assert len(traced.read(f"call-{CALL}")) == 4


def test_what_belongs_to_no_call_has_a_file_of_its_own(traced):
    traced.exchange(response={"identity": {"id": "8:acs:r_u"}})
    traced.exchange(named={"callConnectionId": "unknown"}, outcome={"status": 404})
    assert [line["call"] for line in traced.read("emulator")] == [None, None]


@pytest.mark.parametrize("call", ["../../etc/passwd", "a/b", "x" * 100, ""])
def test_an_id_cannot_name_another_file(traced, call):
    traced.exchange(response={"correlationId": call})
    assert len(traced.read("emulator")) == 1
    assert [file.name for file in traced.folder.iterdir()] == ["emulator.jsonl"]


def test_bodies_that_are_no_json_are_not_written_down(traced):
    traced.trace.exchange("rest", "POST", "/w", {}, b"password=hunter2", None, 1, {"error": "x"})
    assert traced.read("emulator")[0]["request"] == "[16 bytes, no JSON]"
