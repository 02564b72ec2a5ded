"""The two kinds of peers that the load generator plays: callers (as ACS does) and the realtime model's socket."""

import json
import time
from array import array

from bench.frames import TEXT, Peer, header
from bench.traffic import FRAME_BYTES, STAMP_CHARS, ULAW_BYTES, Ear, Window, noise, stamp

now_ns = time.monotonic_ns

_METADATA = json.dumps(
    {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": "5f0c1c5e-8f5e-4f0e-9f7a-0a6c2b1d9e11",
            "encoding": "PCM",
            "sampleRate": 24000,
            "channels": 1,
            "length": 960,
        },
    },
    separators=(",", ":"),
).encode()
_LINE = b'{"kind":"AudioData","audioData":{"timestamp":"2026-11-20T23:50:38.925Z","data":"'
_APPEND = b'{"type":"input_audio_buffer.append","audio":"'
_DATA = (b'"Data":"', b'"data":"')


class Gauge:
    """What all peers of one run write into.

    Attributes:
        up: latencies (ms) from callers to models.
        down: back again.
        twilio: the gauge of the calls on the Twilio line; of the same window.
    """

    def __init__(self, window: Window | None = None) -> None:
        self.window = window or Window()
        self.up: array[float] = array("d")
        self.down: array[float] = array("d")
        self.unknown = 0
        self.twilio = self if window else Gauge(self.window)


class Caller(Peer):
    """One caller's media socket: `tick` sends 20 ms of audio; what comes back is checked, or only counted.

    Args:
        number: who this is.
        audio: None for stamped frames; otherwise base64 frames that are sent round and round.
    """

    def __init__(
        self,
        path: str,
        headers: dict[str, str],
        number: int,
        gauge: Gauge,
        audio: list[bytes] | None = None,
        silent: bool = False,
    ) -> None:
        super().__init__(path, headers)
        self.ear = Ear()
        self.sent = 0
        self.heard = 0
        self.ended = False
        self.number = number
        self._gauge = gauge
        self._audio = audio
        self._tail = b""
        self._envelope_end = b'","silent":' + (b"true" if silent else b"false") + b"}}"

    def opened(self) -> None:
        """Say what is coming, and prepare everything that does not change from frame to frame.

        One masking key serves all frames of a caller: their masked text is then made once, and only the stamp is
        masked anew. The other side cannot tell, and has the full work of unmasking.
        """
        self.send(_METADATA)
        mask = self._masks.next()
        rest = noise(self.number) + self._envelope_end
        size = len(_LINE) + STAMP_CHARS + len(rest)
        at = len(_LINE) + STAMP_CHARS
        self._front = header(TEXT, size, masked=True) + mask + _xor(_LINE, mask, 0)
        self._back = _xor(rest, mask, at)
        self._stamp_mask = int.from_bytes(_key(mask, len(_LINE), STAMP_CHARS))

    def tick(self, now_ns: int) -> None:
        """Send the next frame."""
        if not self.is_open:
            return
        if self._audio is not None:
            self.send(_LINE + self._audio[self.sent % len(self._audio)] + self._envelope_end)
        else:
            plain = int.from_bytes(stamp(now_ns, self.number, self.sent))
            self.write(self._front + (plain ^ self._stamp_mask).to_bytes(STAMP_CHARS) + self._back)
        self.sent += 1

    def message(self, text: bytes) -> None:
        """Hear the agent."""
        for mark in _DATA:
            start = text.find(mark)
            if start > 0:
                break
        else:
            self._gauge.unknown += 1
            return
        start += 8
        self.heard += 1
        if self._audio is None:
            audio = text[start : text.find(b'"', start)]
            self.ear.hear(audio, now_ns(), self._gauge.window, self._gauge.down)

    def lost(self) -> None:
        """The line is gone."""
        self.ended = True


class Model(Peer):
    """One session of the realtime model (GA): confirms the configuration, hears appends, and talks once it is asked to."""

    def __init__(self, number: int, gauge: Gauge) -> None:
        super().__init__()
        self.ear = Ear()
        self.sent = 0
        self.talking = False
        self.ended = False
        self.number = number
        self._gauge = gauge
        ids = f'"response_id":"resp_{number:06d}","item_id":"item_{number:06d}"'
        self._head = b'{"type":"response.output_audio.delta","event_id":"event_'
        self._middle = f'",{ids},"output_index":0,"content_index":0,"delta":"'.encode()
        self._speak(FRAME_BYTES)

    def _speak(self, frame_bytes: int) -> None:
        """Frames of this many bytes, from now on."""
        self._rest = noise(self.number, frame_bytes) + b'"}'
        size = len(self._head) + 8 + len(self._middle) + STAMP_CHARS + len(self._rest)
        self._front = header(TEXT, size, masked=False) + self._head

    def tick(self, now_ns: int) -> None:
        """Send 20 ms of speech, if a response is wanted."""
        if self.talking and self.is_open:
            speech = stamp(now_ns, self.number, self.sent) + self._rest
            self.write(self._front + b"%08d" % self.sent + self._middle + speech)
            self.sent += 1

    def message(self, text: bytes) -> None:
        """Hear the caller, or do as configured."""
        if text.startswith(_APPEND):
            self.ear.hear(text[len(_APPEND) : -2], now_ns(), self._gauge.window, self._gauge.up)
            return
        event = json.loads(text)
        kind = event.get("type")
        if kind == "session.update":
            if event["session"]["audio"]["input"]["format"]["type"] == "audio/pcmu":
                self._gauge, self.ear = self._gauge.twilio, Ear(ULAW_BYTES)
                self._speak(ULAW_BYTES)
            self._tell("session.updated", session={**event["session"], "id": f"sess_{self.number}"})
        elif kind == "response.create" and not self.talking:
            response = {
                "id": f"resp_{self.number:06d}",
                "object": "realtime.response",
                "status": "in_progress",
            }
            self._tell("response.created", response=response)
            self.talking = True
        else:
            self._gauge.unknown += 1

    def _tell(self, kind: str, **fields: object) -> None:
        event = {"type": kind, "event_id": f"event_{kind}", **fields}
        self.send(json.dumps(event, separators=(",", ":")).encode())

    def lost(self) -> None:
        """The session is gone."""
        self.ended = True


def _key(mask: bytes, at: int, size: int) -> bytes:
    """The masking key as it falls on `size` bytes from position `at` of a payload."""
    turn = at % 4
    return ((mask[turn:] + mask[:turn]) * (size // 4 + 1))[:size]


def _xor(data: bytes, mask: bytes, at: int) -> bytes:
    key = _key(mask, at, len(data))
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))
