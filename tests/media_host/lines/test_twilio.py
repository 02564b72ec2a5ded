"""The Twilio line without a socket: its messages in and out, in any order, and the bad ones of reliability.md 3F."""

import asyncio
import base64
import hashlib
import itertools

import pytest

from media_host.agents.base import Codec
from media_host.caller_audio import EARLY_FRAMES
from media_host.lines import twilio as module
from media_host.lines.twilio import KEPT_OTHERS, MAX_BAD_FRAMES, TwilioLine
from shared.errors import InvalidInput
from tests.support import twilio_end as they
from tests.support.twilio_end import FRAME, OTHER_STREAM, STREAM, TwilioEnd


class Rig:
    """A line and whom it tells."""

    def __init__(self, codec=Codec.ULAW_8K, *, session=True) -> None:
        self.audio, self.keys, self.faults, self.marks, self.stops = [], [], [], [], []
        self.end = TwilioEnd()
        self.line = TwilioLine("arriving")
        self.line.attach(self.end)
        self.end.deliver = self.line.on_text
        self.codec = codec
        if session:
            self.send(they.connected(), they.start())
            self.join()

    def join(self) -> None:
        line = self.line
        line.use(self.codec, "call-1")
        line.on_audio, line.on_key, line.on_fault = self.audio.append, self.keys.append, self.faults.append
        line.on_mark, line.on_stop = self.marks.append, lambda: self.stops.append(line.stopped)
        line.deliver()

    def send(self, *messages) -> None:
        for message in messages:
            self.line.on_text(they.text(message))

    @property
    def told(self):
        return self.audio, self.keys, self.faults, self.marks, self.stops


@pytest.fixture
async def rig():
    return Rig()


async def test_the_start_message_says_whose_stream_it_is():
    rig = Rig(session=False)
    rig.send(they.connected())
    assert not rig.line.started.done() and not rig.line.ready
    rig.send(they.start(customParameters={"taskName": "refund"}))
    start = rig.line.started.result()
    assert (start.stream_sid, start.account_sid, start.call_sid) == (STREAM, they.ACCOUNT, they.CALL)
    assert start.parameters == {"taskName": "refund"} and rig.line.ready


async def test_mu_law_passes_through_byte_for_byte_both_ways(rig):
    """The text itself is handed on, without a sample being looked at."""
    frames = [base64.b64encode(bytes((n * 7 + i) % 256 for i in range(160))).decode() for n in range(100)]
    rig.send(*(they.media(frame, n=n + 2) for n, frame in enumerate(frames)))
    sent = "".join(frames).encode()
    assert hashlib.sha256(b"".join(rig.audio)).digest() == hashlib.sha256(sent).digest()
    for frame in frames:
        rig.line.send_audio(frame.encode())
    assert hashlib.sha256(b"".join(rig.end.raw)).digest() == hashlib.sha256(sent).digest()


async def test_the_usual_message_is_not_parsed(rig, monkeypatch):
    monkeypatch.setattr(module, "parse_message", None)
    rig.send(*(they.media(n=n) for n in range(2, 12)))
    assert rig.audio == [FRAME.encode()] * 10


@pytest.mark.parametrize("codec", [Codec.PCM16_24K, Codec.PCM16_16K])
async def test_another_session_gets_and_gives_pcm(codec):
    rig = Rig(codec)
    rig.send(*(they.media(n=n) for n in range(2, 12)))
    frame = codec.bytes_per_ms * 20
    assert [len(base64.b64decode(data)) for data in rig.audio] == [frame] * 10
    for _ in range(10):
        rig.line.send_audio(base64.b64encode(bytes(frame)))
    assert rig.end.sent == ["media"] * 10 and rig.end.audio == b"\xff" * 1600
    assert rig.line.codec is codec


async def test_keys_marks_and_the_end(rig):
    rig.send(they.dtmf("5"), they.dtmf("#"), they.mark("g0.1"), they.mark("never sent"))
    assert rig.keys == ["5", "#"] and rig.marks == ["g0.1", "never sent"]
    rig.send(they.stop(), they.stop(), they.dtmf("7"), they.start())
    assert rig.stops == [True] and rig.keys == ["5", "#"] and rig.faults == []


async def test_what_we_send_is_what_twilio_takes(rig):
    """Every frame is checked by `twilio_end.checked`, which was written from the reference."""
    rig.line.send_audio(FRAME.encode())
    rig.line.send_mark("g0.1")
    rig.line.stop_audio()
    rig.line.send_audio(base64.b64encode(b"\0" * 4801))
    assert rig.end.sent == ["media", "g0.1", "clear", "media"]
    rig.line.close(1011)
    assert rig.end.closed == 1011 and rig.line.dropped == 0
    assert await rig.line.hang_up(everyone=True) == ""


async def test_a_flush_is_not_heard_later_by_way_of_the_filter():
    rig = Rig(Codec.PCM16_24K)
    rig.line.send_audio(base64.b64encode(b"\x20\x4e" * 480))
    rig.line.stop_audio()
    rig.line.send_audio(base64.b64encode(bytes(960)))
    assert rig.end.audio.endswith(b"\xff" * 160)


async def test_played_out_waits_for_the_last_marks_echo():
    rig = Rig()
    loop = asyncio.get_running_loop()
    rig.line.send_audio(base64.b64encode(b"\x2a" * 800))
    began = loop.time()
    assert await rig.line.played_out(5) is True
    assert loop.time() - began >= 0.18  # 90 ms of path, 100 ms of audio
    assert rig.end.sent == ["media", "end"] and rig.marks == []
    rig.end.echoes = False
    began = loop.time()
    assert await rig.line.played_out(0.05) is False
    assert loop.time() - began < 2
    waiting = asyncio.create_task(rig.line.played_out(60))
    await asyncio.sleep(0)
    rig.line.over()
    async with asyncio.timeout(2):
        await waiting


# --- before there is a session


async def test_nothing_that_comes_before_the_session_is_lost():
    rig = Rig(session=False)
    rig.send(they.connected(), they.start(), they.media(n=2), they.dtmf("1"), they.media("AAAA", n=3))
    assert rig.told == ([], [], [], [], [])
    rig.join()
    rig.send(they.media("////", n=4))
    assert rig.audio == [FRAME.encode(), b"AAAA", b"////"] and rig.keys == ["1"]


async def test_what_is_kept_is_bounded_and_the_end_is_never_among_what_is_left_out():
    rig = Rig(session=False)
    rig.send(they.start(), *(they.media(n=n) for n in range(2, EARLY_FRAMES + 50)))
    rig.send(*(they.dtmf("1") for _ in range(KEPT_OTHERS + 50)), they.stop())
    rig.join()
    assert len(rig.audio) == EARLY_FRAMES and len(rig.keys) == KEPT_OTHERS and rig.stops == [True]


@pytest.mark.parametrize("early", [they.media(), they.dtmf("1"), they.mark("m"), they.stop()])
async def test_anything_else_before_the_start_is_refused(early):
    rig = Rig(session=False)
    rig.send(they.connected(), early)
    with pytest.raises(InvalidInput):
        await rig.line.started


@pytest.mark.parametrize("early", [b"{", they.start(mediaFormat={"encoding": "audio/l16"})])
async def test_what_cannot_be_read_before_the_start_is_not_waited_out(early):
    rig = Rig(session=False)
    rig.send(they.connected(), early, early)
    assert isinstance(rig.line.started.exception(), InvalidInput)


async def test_a_second_start_changes_nothing_and_ends_the_call(rig):
    rig.send(they.start(streamSid=OTHER_STREAM, callSid="CA" + "9" * 32))
    assert rig.faults == ["second_start"]
    rig.line.send_audio(FRAME.encode())  # still to the first stream, or `checked` would object
    before = Rig(session=False)
    before.send(they.start(), they.start(streamSid=OTHER_STREAM), they.start())
    assert before.line.started.result().stream_sid == STREAM
    before.join()
    assert before.faults == ["second_start"]


# --- bad ones (3F)

BAD = {
    "no JSON": b"{",
    "an array": b"[]",
    "no event": b"{}",
    "not UTF-8": b'{"event":"\xff"}',
    "bad base64": they.media("AAA"),
    "not base64 at all": they.media("@@@@"),
    "no audio": they.media(""),
    "audio of another stream": they.media(sid=OTHER_STREAM),
    "a key of another stream": they.dtmf("1", sid=OTHER_STREAM),
    "the end of another stream": they.stop(sid=OTHER_STREAM),
    "a mark of another stream": they.mark("g0.1", sid=OTHER_STREAM),
    "two keys": they.dtmf("12"),
    "an emoji": they.dtmf("\N{GRINNING FACE}"),
    "no digit": {"event": "dtmf", "streamSid": STREAM, "dtmf": {}},
    "a negative timestamp": they.media()
    | {"media": {"track": "inbound", "timestamp": "-5", "payload": FRAME}},
    "a number for a payload": they.media() | {"media": {"track": "inbound", "payload": 5}},
    "an unknown track": they.media(track="sideways"),
    "too deep": b'{"event":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a huge mark": they.mark("m" * 300),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_message_is_counted_and_nothing_else(rig, name):
    rig.send(BAD[name])
    assert rig.told == ([], [], [], [], []) and rig.line.bad_frames == 1
    rig.send(they.media())
    assert rig.audio == [FRAME.encode()]


@pytest.mark.parametrize(
    "message",
    [
        {"event": "video", "streamSid": STREAM},
        they.connected(),
        they.media(track="outbound"),
        they.media(n=700),  # the numbers leap
        they.media(n=2) | {"sequenceNumber": "1"},  # and go back
        they.media() | {"more": {"a": [1, None]}},
        they.media(base64.b64encode(b"\x2a" * 40_000).decode()),
        they.media("/w=="),
    ],
)
async def test_what_is_new_or_odd_but_readable_is_no_mistake(rig, message):
    rig.send(message)
    assert rig.line.bad_frames == 0 and rig.faults == []
    speech = message["event"] == "media" and message["media"]["track"] == "inbound"
    assert len(rig.audio) == (1 if speech else 0)  # what the caller hears is not what the caller says


async def test_too_many_bad_messages_are_one_fault(rig, caplog):
    for _ in range(MAX_BAD_FRAMES):
        rig.send(b"{")
    assert rig.faults == []
    for _ in range(20):
        rig.send(they.media(sid=OTHER_STREAM))
    assert rig.faults == ["bad_frames"]
    assert len([record for record in caplog.records if "cannot be taken" in record.message]) == 1


async def test_messages_in_any_order_never_raise():
    """Each of 720 orders of six messages: no exception, and nothing but the start makes a session possible."""
    six = [they.connected(), they.start(), they.media(), they.dtmf("1"), they.mark("m"), they.stop()]
    for order in itertools.permutations(six):
        rig = Rig(session=False)
        rig.send(*order)
        first = next(message["event"] for message in order if message["event"] != "connected")
        assert rig.line.started.done()
        assert (rig.line.started.exception() is None) is (first == "start")
        if first == "start":
            rig.join()
            assert rig.stops == [True] and rig.faults == []
