"""Messages of a media stream as Twilio writes and reads them (reference/twilio-and-transfers.md 2C)."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.twilio.notices import Trouble

FRAME_MS = 20
FRAME_BYTES = 160
MEDIA_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
PROTOCOL_ERROR = 31924

type Json = dict[str, Any]


class StreamWriter:
    """Writes the messages of one stream, which are numbered from "1" (`connected` is not).

    Args:
        stream_sid: `MZ…`.
        account_sid: `AC…`.
        call_sid: `CA…`.
    """

    def __init__(self, stream_sid: str, account_sid: str, call_sid: str) -> None:
        self._stream_sid = stream_sid
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._sequence = 0
        self._chunk = 0

    def _numbered(self, event: str, **parts: object) -> bytes:
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            **parts,
            "streamSid": self._stream_sid,
        }
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()

    @staticmethod
    def connected() -> bytes:
        """The first message of every connection."""
        return b'{"event":"connected","protocol":"Call","version":"1.0.0"}'

    def start(self, parameters: Mapping[str, str]) -> bytes:
        """The second message: which call this is, and the TwiML's parameters."""
        start: Json = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": MEDIA_FORMAT,
            "customParameters": dict(parameters),
        }
        return self._numbered("start", start=start)

    def media(self, audio: bytes) -> bytes:
        """Audio of the caller, mu-law; its timestamp is that of the stream's start plus 20 ms for each chunk before."""
        self._chunk += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str((self._chunk - 1) * FRAME_MS),
            "payload": base64.b64encode(audio).decode(),
        }
        return self._numbered("media", media=media)

    def dtmf(self, key: str) -> bytes:
        """The caller pressed a key."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": key})

    def mark(self, name: str) -> bytes:
        """All that was sent before this mark has been played, or was cleared."""
        return self._numbered("mark", mark={"name": name})

    def stop(self) -> bytes:
        """The last message: the stream or the call is over."""
        return self._numbered("stop", stop={"accountSid": self._account_sid, "callSid": self._call_sid})

    def unknown(self, number: int) -> bytes:
        """A message that an app has to ignore: of a newer service, or without a body; `number` says which."""
        if number % 2:
            return self._numbered("somethingNew", somethingNew={"value": 1})
        return json.dumps({"event": "ping"}).encode()


@dataclass(frozen=True, slots=True)
class Audio:
    """The app sends mu-law audio."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """The app wants to be told when what it sent before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """The app throws away what was not played yet."""


def read_message(message: bytes, stream_sid: str) -> Audio | Mark | Clear:
    """What an app sent.

    Raises:
        Trouble: 31924: it is no media, mark or clear message of this stream, or it has not the shape of one.
    """
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise Trouble(PROTOCOL_ERROR, "no JSON") from None
    if not isinstance(value, dict):
        raise Trouble(PROTOCOL_ERROR, "no JSON object")
    event = value.get("event")
    if event not in ("media", "mark", "clear"):
        raise Trouble(PROTOCOL_ERROR, "event is not media, mark or clear")
    if value.get("streamSid") != stream_sid:
        raise Trouble(PROTOCOL_ERROR, f"{event}: streamSid is not this stream's")
    if event == "clear":
        return Clear()
    body = value.get(event)
    if not isinstance(body, dict):
        raise Trouble(PROTOCOL_ERROR, f"{event}: no {event} object")
    if event == "mark":
        name = body.get("name")
        if not isinstance(name, str) or not name:
            raise Trouble(PROTOCOL_ERROR, "mark: no name")
        return Mark(name)
    return Audio(_payload(body))


def _payload(media: Json) -> bytes:
    payload = media.get("payload")
    if not isinstance(payload, str) or not payload:
        raise Trouble(PROTOCOL_ERROR, "media: no payload")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise Trouble(PROTOCOL_ERROR, "media: payload is no base64") from None
    if data.startswith((b"RIFF", b".snd")):
        raise Trouble(PROTOCOL_ERROR, "media: payload has a file header")
    return data
