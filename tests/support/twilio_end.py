"""Twilio's end of a media stream, written from twilio-and-transfers.md 2C and not from our code: frames, checks, playout."""

import asyncio
import base64
import json
import re
from dataclasses import dataclass, field

ACCOUNT, CALL, STREAM = "AC" + "0" * 31 + "1", "CA" + "0" * 31 + "2", "MZ" + "0" * 31 + "3"
FRAME = base64.b64encode(b"\x2a" * 160).decode()
OTHER_STREAM = "MZ" + "f" * 32

FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def connected() -> dict:
    return {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def start(**changes) -> dict:
    """`changes` are of the inner object."""
    inner = {
        "streamSid": STREAM,
        "accountSid": ACCOUNT,
        "callSid": CALL,
        "tracks": ["inbound"],
        "customParameters": {},
        "mediaFormat": FORMAT,
        **changes,
    }
    return {"event": "start", "sequenceNumber": "1", "start": inner, "streamSid": inner["streamSid"]}


def media(payload=FRAME, *, sid=STREAM, n=2, track="inbound") -> dict:
    told = {"track": track, "chunk": str(n), "timestamp": str(n * 20), "payload": payload}
    return {"event": "media", "sequenceNumber": str(n), "media": told, "streamSid": sid}


def dtmf(digit, *, sid=STREAM) -> dict:
    return {
        "event": "dtmf",
        "streamSid": sid,
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": digit},
    }


def mark(name, *, sid=STREAM) -> dict:
    return {"event": "mark", "sequenceNumber": "4", "streamSid": sid, "mark": {"name": name}}


def stop(*, sid=STREAM) -> dict:
    stopped = {"accountSid": ACCOUNT, "callSid": CALL}
    return {"event": "stop", "sequenceNumber": "5", "streamSid": sid, "stop": stopped}


def text(message) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()


def checked(frame: bytes) -> dict:
    """What we have sent, if Twilio would take it; anything else would be its error 31924."""
    message = json.loads(frame)
    assert message.pop("streamSid") == STREAM
    match message:
        case {"event": "clear", **rest}:
            assert rest == {}
        case {"event": "mark", "mark": {"name": str(name), **inner}, **rest}:
            assert name and inner == {} and rest == {}
        case {"event": "media", "media": {"payload": str(payload), **inner}, **rest}:
            assert inner == {} and rest == {}
            assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", payload)
            assert base64.b64decode(payload, validate=True)
        case _:
            raise AssertionError(f"31924: {frame!r}")
    return message


@dataclass
class TwilioEnd:
    """In place of the WebSocket: plays what it gets in the loop's time, and sends marks back when that is heard.

    Attributes:
        path_ms: from us to the caller's ear.
        echoes: marks come back.
        sent: what we sent, in order: `media`, `clear`, or a mark's name.
        heard: (ms, mu-law) as the caller heard it; what was cleared is not there.
        deliver: gets Twilio's messages: the session's or the line's `on_text`.
    """

    path_ms: float = 90.0
    echoes: bool = True
    dropped: int = 0
    closed: int | None = None
    closed_at: float = 0.0
    sent: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.deliver = None
        self.until = 0.0
        self.pending: dict[str, asyncio.TimerHandle] = {}

    def ms(self) -> float:
        return self.loop.time() * 1000

    def send_text(self, data: bytes, *, must=False) -> bool:
        message = checked(data)
        if self.closed is not None:
            return False
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"])
                begin = max(self.ms() + self.path_ms, self.until)
                self.until = begin + len(audio) / 8
                self.heard.append((begin, audio))
                self.sent.append("media")
                self.raw.append(message["media"]["payload"].encode())
            case "mark":
                name = message["mark"]["name"]
                self.sent.append(name)
                due = max(self.ms() + self.path_ms, self.until)
                if self.echoes:
                    self.pending[name] = self.loop.call_at(due / 1000, self._echo, name)
            case "clear":
                self.sent.append("clear")
                self._clear()
        return True

    def _clear(self) -> None:
        now = self.ms()
        self.clears.append(now)
        kept = [(at, audio[: int((now - at) * 8)]) for at, audio in self.heard if at < now]
        self.heard = kept
        self.until = now
        for name, timer in list(self.pending.items()):
            timer.cancel()
            self._echo(name)

    def _echo(self, name: str) -> None:
        del self.pending[name]
        self.loop.call_soon(self.deliver, text(mark(name)))

    def close(self, code=1000) -> None:
        if self.closed is None:
            self.closed, self.closed_at = code, self.ms()

    @property
    def audio(self) -> bytes:
        return b"".join(audio for _, audio in self.heard)
