"""The emulated Twilio's small parts against what others have written: mu-law, signatures, the queue of what is played."""

import pytest
from twilio.request_validator import RequestValidator

from emulator.trace.view import format_trace
from emulator.twilio import ulaw
from emulator.twilio.config import TwilioConfig
from emulator.twilio.playout import MAX_QUEUED_MS, Playout
from emulator.twilio.signing import SETTINGS, SIGNATURE, TwilioSigner
from tests.support.twilio_app import ACCOUNT, TOKEN, ulaw_tone


def test_mulaw_by_the_recommendations_own_values():
    # G.711 table 2a/2b: the extremes and the first steps of both halves, as 16 bit samples.
    known = {0x80: 32124, 0x8F: 16764, 0x90: 15996, 0xFE: 8, 0xFF: 0, 0x00: -32124, 0x7E: -8, 0x7F: 0}
    pcm = ulaw.decode(bytes(known))
    assert [int.from_bytes(pcm[n : n + 2], "little", signed=True) for n in range(0, len(pcm), 2)] == list(
        known.values()
    )
    every = bytes(range(256))
    assert ulaw.encode(ulaw.decode(every)) == every.replace(b"\x7f", b"\xff"), "minus nought is nought"
    tone = ulaw_tone(600, 100)
    assert ulaw.encode(ulaw.decode(tone)).replace(b"\x7f", b"\xff") == tone.replace(b"\x7f", b"\xff")
    low, high = (-32768).to_bytes(2, "little", signed=True), (32767).to_bytes(2, "little", signed=True)
    assert ulaw.encode(low + high) == b"\x00\x80"


@pytest.mark.parametrize("key", ["", "a shared key"])
@pytest.mark.parametrize("form", [{}, {"b": "2", "a": "ü & 1", "A": ""}])
@pytest.mark.parametrize(
    "url", ["https://x.example/a?b=c&d", "wss://x.example:8443/twilio/eyJ", "http://127.0.0.1:1/"]
)
def test_signatures_are_those_of_twilios_own_package(url, form, key):
    headers = TwilioSigner(TwilioConfig(ACCOUNT, TOKEN, signing_key=key)).headers(url, form)
    algorithm = "HMAC_SHA256" if key else "HMAC_SHA1"
    assert RequestValidator(key or TOKEN).validate(url, form, headers[SIGNATURE], algorithm)
    assert (SETTINGS in headers) is bool(key)
    wrong = TwilioSigner(TwilioConfig(ACCOUNT, TOKEN, signing_key=key)).headers(url, form, wrong=True)
    assert not RequestValidator(key or TOKEN).validate(url, form, wrong[SIGNATURE], algorithm)


def test_marks_come_when_what_was_before_them_has_been_played():
    playout = Playout()
    assert playout.mark("nothing before") == ["nothing before"]
    playout.push(bytes(200))
    assert playout.mark("a") == []
    playout.push(bytes(100))
    assert playout.mark("b") == playout.mark("c") == []
    assert playout.take()[1] == []
    assert playout.take() == (bytes(140), ["a", "b", "c"])
    assert playout.take() == (None, [])
    assert playout.played_ms == playout.received_ms == 37.5


def test_a_hole_is_counted_and_new_speech_is_none():
    playout = Playout()
    for quiet, underruns in ((1, 1), (10, 2), (11, 2)):
        playout.push(bytes(160))
        playout.take()
        for _ in range(quiet):
            playout.take()
        playout.push(bytes(160))
        assert playout.underruns == underruns
        playout.clear()


def test_what_does_not_fit_is_counted():
    playout = Playout()
    playout.push(bytes(8 * MAX_QUEUED_MS + 1))
    playout.push(bytes(80))
    assert playout.overflow_ms == 10 and playout.longest_queue_ms == playout.queued_ms
    playout.mark("late")
    assert playout.clear() == ["late"] and playout.queued_ms == 0


def test_the_trace_of_a_call_reads_as_text():
    at = '"at": "2026-11-20T10:00:00.000Z", "call": "CA1"'
    text = format_trace(
        [
            f'{{{at}, "what": "twilio", "purpose": "voice", "method": "POST", "where": "http://x/v", "status": 200, "ms": 3.2}}',
            f'{{{at}, "what": "media", "socket": 1, "is": "message", "dir": "from app", "kind": "mark", "bytes": 9}}',
            f'{{{at}, "what": "notice", "code": 31924, "text": "Protocol Error", "detail": "no JSON"}}',
        ]
    )
    assert "app → twi  media 1   mark (9 bytes)" in text and "acs" not in text
    assert "call CA1" in text and "voice: POST http://x/v" in text and "31924 Protocol Error: no JSON" in text
