import base64
import json

import pytest

from media_host.agents.base import Codec
from media_host.lines.acs import MAX_BAD_FRAMES, AcsLine

METADATA = {"encoding": "PCM", "sampleRate": 24000, "channels": 1, "length": 960}


class Wire:
    """In place of the WebSocket."""

    def __init__(self) -> None:
        self.sent, self.code, self.dropped = [], None, 3

    def send_text(self, data, *, must=False):
        self.sent.append((json.loads(data), must))
        return True

    def close(self, code=1000):
        self.code = code


class Rig:
    def __init__(self) -> None:
        self.audio, self.keys, self.faults, self.wire = [], [], [], Wire()
        self.line = AcsLine(Codec.PCM16_24K, connection_id="cc-1", control=None, name="call-1")
        self.line.on_audio, self.line.on_key = self.audio.append, self.keys.append
        self.line.on_fault = self.faults.append
        self.line.attach(self.wire)

    def frame(self, value) -> None:
        self.line.on_text(value if isinstance(value, bytes) else json.dumps(value).encode())


@pytest.fixture
def rig():
    rig = Rig()
    rig.frame({"kind": "AudioMetadata", "audioMetadata": METADATA})
    return rig


DATA = base64.b64encode(bytes(range(192)) * 5)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"kind":"AudioData","audioData":{"timestamp":"2026-11-20T23:50:38.925Z","participantRawID":"4:+14255550100",'
        b'"data":"' + DATA + b'","silent":false}}',
        b'{"kind":"AudioData","audioData":{"data":"' + DATA + b'","silent":true}}',
        {"Kind": "AudioData", "AudioData": {"Data": DATA.decode(), "Silent": False}},
        {"kind": "audioData", "audioData": {"extra": {"a": [1]}, "data": DATA.decode()}},
    ],
)
def test_audio_in_every_published_form_is_handed_on_as_it_came(rig, frame):
    rig.frame(frame)
    assert rig.audio == [DATA]


def test_a_silent_frame_without_audio_is_nothing(rig):
    rig.frame({"kind": "AudioData", "audioData": {"silent": True}})
    assert rig.audio == [] and rig.line.bad_frames == 0


def test_keys(rig):
    for key in ("3", "pound", "asterisk", "A"):
        rig.frame({"kind": "DtmfData", "dtmfData": {"data": key}})
    assert rig.keys == ["3", "#", "*", "A"]


def test_what_we_send_has_the_documented_form(rig):
    rig.line.send_audio(DATA)
    rig.line.stop_audio()
    rig.line.close(1001)
    assert rig.wire.sent == [
        ({"Kind": "AudioData", "AudioData": {"Data": DATA.decode()}, "StopAudio": None}, False),
        ({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}, True),
    ]
    assert rig.wire.code == 1001
    assert rig.line.dropped == 3


@pytest.mark.parametrize("changes", [{"sampleRate": 16000}, {"encoding": "mulaw"}])
def test_another_format_is_a_fault(changes):
    rig = Rig()
    rig.frame({"kind": "AudioMetadata", "audioMetadata": METADATA | changes})
    assert rig.faults == ["audio_format"]


def test_audio_before_its_description_is_a_fault():
    rig = Rig()
    rig.frame({"kind": "AudioData", "audioData": {"data": DATA.decode()}})
    assert rig.faults == ["audio_before_metadata"] and rig.audio == []


def test_unknown_kinds_are_ignored_and_bad_frames_counted(rig, caplog):
    rig.frame({"kind": "MarkData", "markData": {"id": "m1"}})
    assert rig.line.bad_frames == 0
    for _ in range(MAX_BAD_FRAMES):
        rig.frame(b"{")
    assert rig.faults == []
    rig.frame({"kind": "AudioData", "audioData": {"data": "AAA"}})
    assert rig.faults == ["bad_frames"]
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 1
