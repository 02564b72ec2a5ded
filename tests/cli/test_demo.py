import io
import json

import pytest

from cli.demo import latency_rows, outcome_lines, report, shown

RECORD = {
    "state": "ended",
    "ended": {"reason": "agent_done", "by": "agent", "code": 200, "subCode": 7000},
    "outcome": {
        "transferType": "SYSTEM",
        "reason": "goodbye",
        "referenceVariables": {"order": "A1"},
        "transferVariables": {},
    },
    "latencies": {"eventToAnswerMs": 98.4, "answerToFirstAudioMs": 70.6},
    "recording": None,
}


def test_outcome_and_reason_are_said():
    assert outcome_lines(RECORD) == [
        "Ended    agent_done by the agent",
        "Outcome  SYSTEM (goodbye)",
        "         referenceVariables: order=A1",
    ]


def test_a_rejected_call_has_a_reason_but_no_outcome():
    record = {"state": "rejected", "ended": {"reason": "no_media_host", "by": "system"}, "outcome": None}
    assert outcome_lines(record) == ["Ended    no_media_host by the system"]


def test_latencies_that_were_not_measured_are_a_dash():
    rows = dict(latency_rows(RECORD, {"barge_in_ms": [140.4, 160.2]}))
    assert rows == {
        "event → answer": "98",
        "answer → first agent audio": "71",
        "barge-in → silence": "140, 160",
    }
    assert set(dict(latency_rows({}, {})).values()) == {"—"}


@pytest.mark.parametrize(
    ("state", "failed", "code"),
    [("ended", None, 0), ("ended", "step 2: nobody spoke", 1), ("failed", None, 1)],
)
def test_the_exit_code_says_whether_the_call_went_as_scripted(tmp_path, state, failed, code):
    out = io.StringIO()
    record = {**RECORD, "state": state}
    assert report(record, {"failed": failed}, tmp_path, tmp_path / "out", out) == code
    assert json.loads((tmp_path / "out" / "call.json").read_text()) == record
    assert ("did not go as scripted" in out.getvalue()) is bool(code)
    assert (failed or "") in out.getvalue()


def test_paths_are_shown_as_people_read_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "out" / "call.wav") == "out/call.wav"
    assert shown(tmp_path.parent / "call.wav") == str(tmp_path.parent / "call.wav")
