"""What an app does and is told, in words."""

import pytest

from cli.app_story import told_of_app

CALLS = "/calling/callConnections"


def rest(where: str, method: str = "POST", status: object = 202, **request: object) -> dict:
    return {
        "what": "rest",
        "method": method,
        "where": f"{CALLS}{where}?api-version=1",
        "status": status,
        "request": request,
    }


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (rest(":answer", status=200), "the app       answers"),
        (rest("/c1", "DELETE", 204), "the app       hangs up"),
        (
            rest("/c1:play", playSources=[{"kind": "text", "text": {"text": "hello"}}]),
            "the app       plays “hello”",
        ),
        (rest("/c1:play", playSources=[{"file": {"uri": "https://x/a/b.wav"}}]), "the app       plays b.wav"),
        (rest("/c1:recognize", playPrompt={"ssml": {"ssmlText": "<speak/>"}}), "the app       asks SSML"),
        (
            rest("/c1:transferToParticipant", targetParticipant={"rawId": "4:+1425"}),
            "the app       transfers to +1425",
        ),
        (
            rest("/c1/participants:add", participantToAdd={"rawId": "8:acs:x"}),
            "the app       invites to 8:acs:x",
        ),
        (rest("/c1:hold", status=400), "the app       puts on hold: 400"),
        (rest("/c1:somethingNew"), "the app       somethingNew"),
    ],
)
def test_what_an_app_does(record: dict, told: str) -> None:
    assert told_of_app(record, 1.0) == f"   1.0 s  {told}"


@pytest.mark.parametrize(
    ("status", "data", "told"),
    [
        (200, {}, "is told       CallConnected"),
        (500, {}, "is told       CallConnected, which it does not take: 500"),
        (
            200,
            {"resultInformation": {"code": 400, "subCode": 8510, "message": "silence"}},
            "is told       CallConnected (400/8510 silence)",
        ),
    ],
)
def test_what_an_app_is_told(status: int, data: dict, told: str) -> None:
    event = {"type": "Microsoft.Communication.CallConnected", "data": data}
    record = {"what": "callback", "method": "POST", "where": "http://x", "status": status, "request": [event]}
    assert told_of_app(record, 0.0) == f"   0.0 s  {told}"


@pytest.mark.parametrize(
    "record",
    [
        {"what": "media", "is": "second"},
        {"what": "event", "method": "POST", "where": "x", "status": 200},
        rest("/c1", "GET", 200),
    ],
)
def test_the_rest_is_left_to_the_trace(record: dict) -> None:
    assert told_of_app(record, 0.0) is None
