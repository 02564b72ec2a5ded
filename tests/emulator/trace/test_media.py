"""Media in the trace: the first frames, counts per second, kinds of the rest, and never a key."""

import json

import pytest

from emulator.trace.media import FROM_APP, TO_APP, SocketTrace, kind_of
from emulator.trace.record import Trace

HEADERS = {
    "x-ms-call-connection-id": "cc-1",
    "x-ms-call-correlation-id": "c-1",
    "Authorization": "Bearer s3cret",
}
AUDIO = b'{"kind":"AudioData","audioData":{"timestamp":"t","data":"' + b"A" * 1280 + b'","silent":false}}'
SILENCE = AUDIO.replace(b"false", b"true")


class Socket:
    """A traced socket with a clock that the test turns."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.time = 100.0
        self.trace = Trace(folder)
        self.tracer = SocketTrace(
            self.trace, "wss://a.example/acs/0123456789abcdefgh", HEADERS, 1, lambda: self.time
        )

    def lines(self):
        self.trace.close()
        text = (self.folder / "call-c-1.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def socket(tmp_path):
    socket = Socket(tmp_path)
    yield socket
    socket.trace.close()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (AUDIO, "AudioData"),
        (b'{"Kind" : "StopAudio","AudioData":null,"StopAudio":{}}', "StopAudio"),
        (b'{"AudioData":null,"StopAudio":{},"Kind":"StopAudio"}', "StopAudio"),
        (b'{"kind":null}', "?"),
        (b'{"kind":7}', "?"),
        (b"[]", "?"),
        (b"nonsense", "?"),
        (b"\xff", "?"),
    ],
)
def test_kinds(message, kind):
    assert kind_of(message) == kind


def test_a_connection(socket):
    tracer = socket.tracer
    tracer.opened()
    tracer.message(TO_APP, b'{"kind":"AudioMetadata","audioMetadata":{"sampleRate":24000}}')
    for index in range(53):
        socket.time = 100 + index * 0.02
        tracer.message(TO_APP, SILENCE if index % 2 else AUDIO)
    tracer.message(TO_APP, b'{"kind":"DtmfData","dtmfData":{"data":"7"}}')
    tracer.message(FROM_APP, b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}')
    tracer.message(FROM_APP, AUDIO)
    tracer.closed(1000, 2)
    tracer.closed(1006, 9)
    lines = socket.lines()
    assert [line["is"] for line in lines] == [
        "opened", "message", "frame", "frame", "frame", "second", "message", "message", "frame", "second", "closed",
    ]  # fmt: skip
    opened, metadata, second, key, stop = lines[0], lines[1], lines[5], lines[6], lines[7]
    assert opened["where"] == "wss://a.example/acs/[hidden]"
    assert opened["headers"]["Authorization"] == "Bearer [hidden]"
    assert metadata["message"]["audioMetadata"] == {"sampleRate": 24000}
    assert (second["dir"], second["frames"], second["silent"]) == (TO_APP, 48, 24)
    assert (key["kind"], stop["kind"], stop["dir"]) == ("DtmfData", "StopAudio", FROM_APP)
    assert not {"message", "data", "key"} & key.keys()
    assert lines[-2]["frames"] == 2
    assert lines[-1]["frames"] == {TO_APP: 53, FROM_APP: 1}
    assert (lines[-1]["code"], lines[-1]["dropped"]) == (1000, 2)


def test_keys_and_secrets_are_nowhere(socket):
    for key in "4271#":
        socket.tracer.message(TO_APP, b'{"kind":"DtmfData","dtmfData":{"data":"%s"}}' % key.encode())
    socket.tracer.message(FROM_APP, b'{"kind":"AudioMetadata","token":"s3cret"}')
    socket.tracer.refused("TimeoutError")
    lines = socket.lines()
    assert lines[0]["is"] == "opened"
    assert len({json.dumps({**line, "at": ""}) for line in lines[1:6]}) == 1
    assert "s3cret" not in json.dumps(lines)
    assert lines[-1]["error"] == "TimeoutError"


def test_a_flood_of_messages_is_bounded(socket):
    for _ in range(5000):
        socket.tracer.message(FROM_APP, b'{"kind":"Novel"}')
    assert len(socket.lines()) == 1 + 1000
