"""Messages of Twilio's media WebSocket: JSON text, about 50 a second each way (twilio-and-transfers.md 2C).

`parse_message` reads every message; `media_slice` takes the audio out of the usual one without parsing JSON. The audio is
mu-law, 8000 Hz, mono, as base64; Twilio promises no length of a message, and sends 160 bytes (20 ms). What we send is
`Outbound`'s: one message of a shape that Twilio does not know ends the stream (error 31924).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import InvalidInput
from shared.wire.json_input import as_object, decode, text, whole_number

FRAME_LIMIT = 64 * 1024
"""Bytes of one message at most; 20 ms of audio are about 370."""

ENCODING = "audio/x-mulaw"
SAMPLE_RATE = 8000

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
CALL_SID = re.compile(r"CA[0-9a-f]{32}")
STREAM_SID = re.compile(r"MZ[0-9a-f]{32}")

MAX_PARAMETERS = 200
PARAMETER_LENGTH = 500
"""Characters of a `<Parameter>`'s name and value together, says Twilio."""

_KEYS = frozenset("0123456789*#ABCD")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# What Twilio writes around the audio, without spaces. Deployed streams put `streamSid` last, the documents put it after
# the number; a message with both, or with anything else, is the parser's. No value in here can hold a quotation mark.
_SID = rb'"streamSid":"(MZ[0-9a-f]{32})",'
_BEFORE = re.compile(
    rb'\{"event":"media","sequenceNumber":"[0-9]{1,9}",(?:' + _SID + rb')?"media":\{'
    rb'"track":"inbound","chunk":"[0-9]{1,9}","timestamp":"[0-9]{1,9}","payload":"'
)
_AFTER = re.compile(rb'"\}(?:,"streamSid":"(MZ[0-9a-f]{32})")?\}')
_AFTER_LENGTHS = (3, 3 + len(',"streamSid":""') + 34)


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message of every WebSocket."""

    protocol: str
    version: str


@dataclass(frozen=True, slots=True)
class Start:
    """The second message: whose stream this is. It comes once.

    Attributes:
        stream_sid, account_sid, call_sid: `MZ…`, `AC…` and `CA…`, 32 hexadecimal digits each.
        tracks: `inbound` only, on the streams that can be spoken into.
        parameters: the TwiML's `<Parameter>`s by name.
        encoding: always `ENCODING`.
        sample_rate: Hz, always `SAMPLE_RATE`.
        channels: always 1.
        sequence: the message's number, usually 1.
    """

    stream_sid: str
    account_sid: str
    call_sid: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)
    encoding: str = ENCODING
    sample_rate: int = SAMPLE_RATE
    channels: int = 1
    sequence: int = 1


@dataclass(frozen=True, slots=True)
class Media:
    """Audio from the caller.

    Attributes:
        base64: mu-law as base64 text, at least one sample: only characters of the alphabet, so that it can be spliced into
            another JSON text as it is.
        track: `inbound` or `outbound`.
        chunk: the message's number among those with audio, from 1; 0 if it gave none.
        timestamp_ms: since the stream began; 0 if it gave none.
        stream_sid: which stream.
    """

    base64: bytes = field(repr=False)
    track: str
    chunk: int
    timestamp_ms: int
    stream_sid: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A pressed key: one of `0`-`9`, `*`, `#`, `A`-`D`, hidden from `repr`."""

    key: str = field(repr=False)
    stream_sid: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The echo of a mark of ours: what was sent before it has been played, or was cleared."""

    name: str
    stream_sid: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The last message: the stream or the call is over. The sids are "" if it gave none."""

    account_sid: str
    call_sid: str
    stream_sid: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event that is new to us: to be ignored, not an error."""

    event: str


type Message = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


def parse_message(frame: bytes) -> Message:
    """The value of one text message.

    Raises:
        InvalidInput: no JSON object, no `event`, or a field of a known event is wrong. The text never quotes the message.
    """
    fields = as_object(decode(frame, field="message", limit=FRAME_LIMIT), field="message")
    event = text(fields.get("event"), field="event", limit=64)
    match event:
        case "connected":
            return Connected(
                text(fields.get("protocol"), field="protocol", limit=64, default=""),
                text(fields.get("version"), field="version", limit=64, default=""),
            )
        case "start":
            return _start(fields)
        case "media":
            return _media(fields)
        case "dtmf":
            key = as_object(fields.get("dtmf"), field="dtmf").get("digit")
            if not isinstance(key, str) or key not in _KEYS:
                raise InvalidInput("dtmf.digit", "one key of a telephone")
            return Dtmf(key, _stream(fields))
        case "mark":
            name = text(as_object(fields.get("mark"), field="mark").get("name"), field="mark.name", limit=256)
            return Mark(name, _stream(fields))
        case "stop":
            stop = as_object(fields.get("stop", {}), field="stop")
            return Stop(
                _sid(stop.get("accountSid", ""), ACCOUNT_SID, field="stop.accountSid", default=""),
                _sid(stop.get("callSid", ""), CALL_SID, field="stop.callSid", default=""),
                _stream(fields),
            )
    return Unknown(event)


def _sid(value: object, form: re.Pattern[str], *, field: str, default: str | None = None) -> str:
    if isinstance(value, str) and (form.fullmatch(value) or value == default):
        return value
    raise InvalidInput(field, f"an id such as {form.pattern[:2]} and 32 hexadecimal digits")


def _stream(fields: Mapping[str, object]) -> str:
    return _sid(fields.get("streamSid"), STREAM_SID, field="streamSid")


def _number(value: object, *, field: str) -> int:
    """A number as Twilio writes it, as text; 0 if it is missing."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, str):
        raise InvalidInput(field, "a whole number of at most 9 digits")
    number = whole_number(value, field=field, default=0)
    if number < 0:
        raise InvalidInput(field, "a whole number from 0")
    return number


def _start(fields: Mapping[str, object]) -> Start:
    start = as_object(fields.get("start"), field="start")
    stream = _sid(start.get("streamSid"), STREAM_SID, field="start.streamSid")
    if fields.get("streamSid", stream) != stream:
        raise InvalidInput("streamSid", "the same as start.streamSid")
    tracks = start.get("tracks", [])
    if not isinstance(tracks, list) or len(tracks) > 2:
        raise InvalidInput("start.tracks", "a list of at most two")
    form = as_object(start.get("mediaFormat"), field="start.mediaFormat")
    for name, wanted in (("encoding", ENCODING), ("sampleRate", SAMPLE_RATE), ("channels", 1)):
        if form.get(name) != wanted or isinstance(form.get(name), bool):
            raise InvalidInput(f"start.mediaFormat.{name}", str(wanted))
    return Start(
        stream,
        _sid(start.get("accountSid"), ACCOUNT_SID, field="start.accountSid"),
        _sid(start.get("callSid"), CALL_SID, field="start.callSid"),
        tuple(text(track, field="start.tracks", limit=32) for track in tracks),
        _parameters(start.get("customParameters")),
        sequence=_number(fields.get("sequenceNumber"), field="sequenceNumber"),
    )


def _parameters(value: object) -> dict[str, str]:
    where = "start.customParameters"
    parameters = as_object({} if value is None else value, field=where)
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidInput(where, f"at most {MAX_PARAMETERS} parameters")
    result: dict[str, str] = {}
    for name, one in parameters.items():
        if not name or not isinstance(one, str) or len(name) + len(one) > PARAMETER_LENGTH:
            raise InvalidInput(where, f"names and texts of at most {PARAMETER_LENGTH} characters together")
        result[name] = one
    return result


def _media(fields: Mapping[str, object]) -> Media:
    media = as_object(fields.get("media"), field="media")
    payload = media.get("payload")
    if not isinstance(payload, str) or not payload.isascii() or not _is_base64(base64 := payload.encode()):
        raise InvalidInput("media.payload", "audio in base64")
    track = text(media.get("track"), field="media.track", limit=32, default="inbound")
    if track not in ("inbound", "outbound"):
        raise InvalidInput("media.track", "inbound or outbound")
    return Media(
        base64,
        track,
        _number(media.get("chunk"), field="media.chunk"),
        _number(media.get("timestamp"), field="media.timestamp"),
        _stream(fields),
    )


def _is_base64(base64: bytes) -> bool:
    """Whether this is base64 (RFC 4648 section 4, with padding) of at least one byte. One pass in C, no decoding."""
    digits = base64.rstrip(b"=")
    return (
        len(base64) - len(digits) <= 2
        and len(base64) % 4 == 0
        and bool(digits)
        and not digits.translate(None, _BASE64)
    )


def media_slice(frame: bytes, stream_sid: str = "") -> bytes | None:
    """The base64 audio of a caller's message in the form that Twilio writes, found without parsing JSON.

    Args:
        frame: one text message.
        stream_sid: the stream that it has to belong to; "" takes any.

    Returns:
        What `parse_message(frame).base64` would be; None if the message has any other form or belongs to another stream:
        ask `parse_message` then.
    """
    before = _BEFORE.match(frame)
    if before is None or len(frame) > FRAME_LIMIT:
        return None
    end = len(frame) - _AFTER_LENGTHS[before[1] is None]
    after = _AFTER.fullmatch(frame, end) if end > before.end() else None
    if after is None:  # its length leaves room for `streamSid` only if there was none before
        return None
    if stream_sid and (before[1] or after[1]) != stream_sid.encode():
        return None
    base64 = frame[before.end() : end]
    return base64 if _is_base64(base64) else None


class Outbound:
    """Makes the messages that we send on one stream; everything around the audio is put together once.

    Args:
        stream_sid: of the start message.

    Raises:
        InvalidInput: it is no stream's id.
    """

    def __init__(self, stream_sid: str) -> None:
        _sid(stream_sid, STREAM_SID, field="streamSid")
        self._media = f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"'.encode()
        self._mark = f'{{"event":"mark","streamSid":"{stream_sid}","mark":{{"name":'.encode()
        self._clear = f'{{"event":"clear","streamSid":"{stream_sid}"}}'.encode()

    def media(self, base64: bytes) -> bytes:
        """The message that makes Twilio play audio: mu-law of any length as base64 text. It is not checked here."""
        return self._media + base64 + b'"}}'

    def mark(self, name: str) -> bytes:
        """The message whose echo tells that all audio before it has been played, or was cleared."""
        return self._mark + json.dumps(name).encode() + b"}}"

    def clear(self) -> bytes:
        """The message that makes Twilio drop the audio it has queued, and echo the marks in it."""
        return self._clear
