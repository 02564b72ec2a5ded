"""Media frames in every published casing, options with the service's defaults, and the playout queue."""

import base64
import json

import pytest

from emulator.acs.errors import RestError
from emulator.acs.media import (
    AudioWriter,
    MediaOptions,
    Playout,
    audio_metadata,
    dtmf_data,
    read_media_options,
    read_message,
)

OPTIONS = {
    "transportType": "websocket",
    "audioChannelType": "mixed",
    "transportUrl": "ws://127.0.0.1:1/x",
    "contentType": "audio",
    "startMediaStreaming": True,
    "enableBidirectional": True,
    "audioFormat": "pcm24KMono",
    "enableDtmfTones": True,
}
WIDE = MediaOptions("ws://x", True, True, 24000, True, "mixed")
DATA = base64.b64encode(b"\1\2" * 480).decode()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"Kind": "AudioData", "AudioData": {"Data": DATA}, "StopAudio": None}, "audio"),
        ({"kind": "AudioData", "audioData": {"data": DATA}}, "audio"),
        ({"kind": "audioData", "audioData": {"data": DATA, "isSilent": False}, "stopAudio": {}}, "audio"),
        ({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}, "stop"),
        ({"kind": "StopAudio", "stopAudio": {}}, "stop"),
        ({"kind": "stopAudio", "stopAudio": {}}, "stop"),
        ({"kind": "MarkData", "markData": {"id": "1"}}, "other"),
        ({"stopAudio": {}}, "other"),
        ({"kind": "AudioData", "audioData": {}}, "other"),
        ({"kind": "AudioData"}, "other"),
        ({"kind": "AudioData", "audioData": {"data": "no base64!"}}, "other"),
        ({"kind": "AudioData", "audioData": {"data": "ä"}}, "other"),
        (["AudioData"], "other"),
    ],
)
def test_what_an_app_sends(message: object, kind: str) -> None:
    found, pcm = read_message(json.dumps(message).encode())
    assert found == kind
    assert pcm == (b"\1\2" * 480 if kind == "audio" else b"")


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_ignored(message: bytes) -> None:
    assert read_message(message) == ("other", b"")


def test_metadata() -> None:
    assert json.loads(audio_metadata("sub", WIDE)) == {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": "sub", "encoding": "PCM", "sampleRate": 24000, "channels": 1, "length": 960,
        },
    }  # fmt: skip


def test_a_frame_of_speech_in_a_mixed_stream() -> None:
    message = json.loads(AudioWriter(WIDE).frame(b"\1\2" * 480))
    stamp = message["audioData"].pop("timestamp")
    assert message == {"kind": "AudioData", "audioData": {"data": DATA, "silent": False}}
    assert len(stamp) == len("2026-11-20T23:50:38.925Z")
    assert stamp.endswith("Z")


def test_a_silent_frame_in_an_unmixed_stream() -> None:
    options = MediaOptions("ws://x", True, True, 16000, True, "unmixed")
    data = json.loads(AudioWriter(options, "4:+1").frame(None))["audioData"]
    assert data["participantRawID"] == "4:+1"
    assert data["silent"] is True
    assert base64.b64decode(data["data"]) == bytes(640)


def test_keys() -> None:
    assert json.loads(dtmf_data("#")) == {"kind": "DtmfData", "dtmfData": {"data": "#"}}


def test_options_as_the_client_sends_them() -> None:
    options = read_media_options(OPTIONS)
    assert options == MediaOptions("ws://127.0.0.1:1/x", True, True, 24000, True, "mixed")
    assert options.frame_bytes == 960


def test_defaults_of_the_service() -> None:
    options = read_media_options(
        {key: OPTIONS[key] for key in ("transportType", "audioChannelType", "transportUrl")}
    )
    assert options == MediaOptions("ws://127.0.0.1:1/x", False, False, 16000, False, "mixed")
    assert read_media_options(None) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"transportUrl": "https://x"}, "TransportUrl"),
        ({"transportUrl": None}, "TransportUrl"),
        ({"transportType": "tcp"}, "TransportType"),
        ({"contentType": "video"}, "ContentType"),
        ({"audioChannelType": "stereo"}, "AudioChannelType"),
        ({"audioFormat": "mp3"}, "AudioFormat"),
    ],
)
def test_wrong_options(change: dict, field: str) -> None:
    with pytest.raises(RestError, match=field) as caught:
        read_media_options({**OPTIONS, **change})
    assert (caught.value.status, caught.value.code) == (400, "8523")


def test_options_are_an_object() -> None:
    with pytest.raises(RestError):
        read_media_options([])


def test_the_queue_plays_20_ms_a_tick_and_fills_up_the_rest() -> None:
    playout = Playout(24000)
    assert playout.take() is None
    playout.push(b"\1" * 1000)
    assert playout.take() == b"\1" * 960
    assert playout.take() == (b"\1" * 40).ljust(960, b"\0")
    assert playout.take() is None
    assert playout.received_ms == pytest.approx(1000 / 48)
    assert playout.played_ms == pytest.approx(1000 / 48)


def test_a_stop_empties_the_queue() -> None:
    playout = Playout(16000)
    playout.push(bytes(6400))
    playout.take()
    playout.stop()
    assert playout.take() is None
    assert (playout.flushed_ms, playout.stops, playout.longest_queue_ms) == (180, 1, 200)


def test_a_hole_is_an_underrun_and_new_speech_is_not() -> None:
    playout = Playout(24000)
    playout.push(bytes(960))
    playout.take()
    playout.take()
    playout.push(bytes(960))  # one tick late
    assert playout.underruns == 1
    for _ in range(12):
        playout.take()
    playout.push(bytes(960))
    assert playout.underruns == 1


def test_speech_after_a_stop_is_no_underrun() -> None:
    playout = Playout(24000)
    playout.push(bytes(960))
    playout.stop()
    playout.take()
    playout.push(bytes(960))
    assert playout.underruns == 0


def test_the_queue_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.acs.media.MAX_QUEUED_MS", 30)
    playout = Playout(24000)
    for _ in range(5):
        playout.push(bytes(960))
    assert (playout.queued_ms, playout.overflow_ms) == (40, 60)
