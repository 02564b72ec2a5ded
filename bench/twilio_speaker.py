"""A caller of the load generator as Twilio carries it: mu-law frames in Media Streams messages, marks sent back at once."""

import json
import time

from bench.speakers import Caller, Gauge
from bench.traffic import ULAW_BYTES, Ear, noise, stamp

now_ns = time.monotonic_ns


class TwilioCaller(Caller):
    """One media stream.

    Args:
        call: `accountSid`, `callSid` and `streamSid`.
    """

    def __init__(
        self, path: str, headers: dict[str, str], number: int, gauge: Gauge, call: dict[str, str]
    ) -> None:
        super().__init__(path, headers, number, gauge)
        self.ear = Ear(ULAW_BYTES)
        start = {
            **call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        message = {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": call["streamSid"]}
        self._start = json.dumps(message, separators=(",", ":")).encode()
        self._rest = noise(number, ULAW_BYTES)
        self._end = f'"}},"streamSid":"{call["streamSid"]}"}}'
        self._numbers = 1

    def opened(self) -> None:
        """The first two messages."""
        self.send(b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        self.send(self._start)

    def tick(self, now_ns: int) -> None:
        """Send the next frame."""
        if not self.is_open:
            return
        self._numbers += 1
        head = (
            f'{{"event":"media","sequenceNumber":"{self._numbers}","media":{{"track":"inbound",'
            f'"chunk":"{self.sent + 1}","timestamp":"{20 * self.sent}","payload":"'
        )
        audio = stamp(now_ns, self.number, self.sent) + self._rest
        self.send(head.encode() + audio + self._end.encode())
        self.sent += 1

    def message(self, text: bytes) -> None:
        """Hear the agent; a mark goes back at once, a clear has nothing to throw away."""
        start = text.find(b'"payload":"')
        if start > 0:
            start += 11
            self.heard += 1
            audio = text[start : text.find(b'"', start)]
            self.ear.hear(audio, now_ns(), self._gauge.window, self._gauge.down)
        elif text.startswith(b'{"event":"mark"'):
            self._numbers += 1
            self.send(b'{"sequenceNumber":"%d",' % self._numbers + text[1:])
        else:
            self._gauge.unknown += 1
