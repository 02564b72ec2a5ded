"""The trace as people read it."""

import json

from emulator.trace import format_trace


def line(second: float, what: str, **data: object) -> str:
    return json.dumps({"at": f"2026-11-20T23:50:{second:06.3f}Z", "call": "c-1", "what": what, **data})


CALLS = "/calling/callConnections"


def test_a_call() -> None:
    lines = [
        line(30, "event", method="POST", where="http://a/e", status=200, ms=12.4,
             headers={"aeg-subscription-name": "CALLS", "aeg-delivery-count": "1"},
             request=[{"eventType": "Microsoft.Communication.IncomingCall", "data": {}}]),
        line(30.1, "rest", method="POST", where=f"{CALLS}:answer?api-version=1", status=200, ms=3,
             request={"operationContext": "hello"}),
        line(30.2, "callback", method="POST", where="http://a/c", status=200, ms=1,
             request=[{"type": "Microsoft.Communication.MediaStreamingFailed",
                       "data": {"resultInformation": {"code": 400, "subCode": 8581}}}]),
        line(30.3, "media", socket=1, **{"is": "opened"}, where="ws://a/m", ms=4, headers={}),
        line(30.4, "media", socket=1, **{"is": "frame"}, dir="to app", kind="AudioData", bytes=1300, silent=True),
        line(31.4, "media", socket=1, **{"is": "second"}, dir="from app", frames=48, bytes=63000, silent=0),
        line(32, "media", socket=1, **{"is": "message"}, dir="from app", kind="StopAudio", bytes=52),
        line(32.5, "media", socket=1, **{"is": "refused"}, where="ws://a/m", ms=4, error="TimeoutError"),
        line(33, "media", socket=1, **{"is": "closed"}, code=1000, ms=2700,
             frames={"to app": 140, "from app": 48}, dropped=0),
        line(34, "rest", method="POST", where=f"{CALLS}/cc-1:play", status=404, ms=0.4,
             response={"error": {"code": "8522"}}),
        line(35, "rest", method="DELETE", where=f"{CALLS}/cc-1", status=204, ms=1),
        line(36, "rest", method="GET", where=f"{CALLS}/cc-1/participants/4:+1425", status=200, ms=1),
        line(37, "callback", method="POST", where="http://a/c", error="ClientConnectorError", ms=1, request=[]),
        line(38, "fetch", method="GET", where="https://a/hello.wav", status=200, ms=1),
        line(39, "rest", method="POST", where="/identities?api-version=1", status=201, ms=1),
    ]  # fmt: skip
    text = format_trace(lines)
    rows = [" ".join(row.split()) for row in text.splitlines()]
    assert rows == [
        "call c-1",
        "0.000 acs → app event IncomingCall to CALLS, again (1) 200 12 ms",
        "0.100 app → acs rest POST answer 200 3 ms [hello]",
        "0.200 acs → app callback MediaStreamingFailed (400/8581) 200 1 ms",
        "0.300 acs → app media 1 opened ws://a/m 4 ms",
        "0.400 acs → app media 1 AudioData (1300 bytes, silent)",
        "1.400 app → acs media 1 48 frames, 0 silent, 63000 bytes",
        "2.000 app → acs media 1 StopAudio (52 bytes)",
        "2.500 acs → app media 1 refused ws://a/m: TimeoutError",
        "3.000 acs → app media 1 closed with 1000 after 2.7 s: 140 frames to the app, 48 from it, 0 dropped",
        "4.000 app → acs rest POST play 404/8522 0 ms",
        "5.000 app → acs rest DELETE call 204 1 ms",
        "6.000 app → acs rest GET call participants/4:+1425 200 1 ms",
        "7.000 acs → app callback ClientConnectorError 1 ms",
        "8.000 acs → app fetch GET https://a/hello.wav 200 1 ms",
        "9.000 app → acs rest POST /identities 201 1 ms",
    ]


def test_bodies_on_request() -> None:
    text = format_trace(
        [line(30, "rest", method="POST", where=f"{CALLS}:answer", status=200, ms=3, request={"a": [1]})],
        bodies=True,
    )
    assert '"a": [' in text
    assert "request:" in text


def test_lines_that_are_none_are_named() -> None:
    good = line(30, "rest", method="GET", where=f"{CALLS}/c", status=200, ms=3)
    broken = ["{", "[]", "7", '{"at":"x","what":"rest"}', '{"at":"2026-11-20T23:50:30Z","what":"media"}', ""]
    rows = format_trace([good, *broken]).splitlines()
    assert rows[2:] == [f"line {number} is no line of a trace" for number in range(2, 7)]


def test_nothing_at_all() -> None:
    assert format_trace([]) == "an empty trace\n"
