from datetime import UTC, datetime

import pytest

from shared.ivr.answers import answer_of
from shared.ivr.state import Answer, Connected, Gone, Result
from shared.wire.acs_events import Callback


def callback(kind, sub_code=0, **data):
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return Callback("e1", kind, now, "cc", "s", "c", "3.1.menu", 400, sub_code, "", data)


@pytest.mark.parametrize(
    ("kind", "sub_code", "data", "result", "value"),
    [
        ("PlayCompleted", 0, {}, Result.PLAYED, ""),
        ("PlayFailed", 8536, {}, Result.FAILED, ""),
        ("PlayCanceled", 0, {}, Result.FAILED, ""),
        ("RecognizeFailed", 8510, {}, Result.NO_INPUT, ""),
        ("RecognizeFailed", 8532, {}, Result.NO_MATCH, ""),
        ("RecognizeFailed", 8511, {}, Result.FAILED, ""),
        ("RecognizeCanceled", 0, {}, Result.FAILED, ""),
        ("CallTransferAccepted", 0, {}, Result.ACCEPTED, ""),
        ("CallTransferFailed", 0, {}, Result.FAILED, ""),
        ("AddParticipantSucceeded", 0, {}, Result.ACCEPTED, ""),
        ("AddParticipantFailed", 0, {}, Result.FAILED, ""),
        ("RecognizeCompleted", 0, {"dtmfResult": {"tones": ["zero", "pound"]}}, Result.KEYS, "0#"),
        ("RecognizeCompleted", 0, {"dtmfResult": {"tones": ["zero", 1]}}, Result.NO_MATCH, ""),
        ("RecognizeCompleted", 0, {"dtmfResult": {"tones": ["what"]}}, Result.NO_MATCH, ""),
        ("RecognizeCompleted", 0, {"dtmfResult": "x", "choiceResult": []}, Result.NO_MATCH, ""),
        ("RecognizeCompleted", 0, {"choiceResult": {"label": "yes"}}, Result.CHOSEN, "yes"),
        ("RecognizeCompleted", 0, {"choiceResult": {"label": 1}}, Result.NO_MATCH, ""),
    ],
)
def test_what_a_callback_means(kind, sub_code, data, result, value):
    assert answer_of(callback(kind, sub_code, **data)) == Answer("3.1.menu", result, value)


def test_beginning_and_end():
    assert answer_of(callback("CallConnected")) == Connected()
    assert answer_of(callback("CallDisconnected")) == answer_of(callback("AnswerFailed")) == Gone()
    assert answer_of(callback("ParticipantsUpdated")) is None
