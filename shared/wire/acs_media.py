"""Frames of ACS's audio WebSocket: JSON text, 50 a second (acs.md section 3).

`parse_frame` reads every frame; `audio_slice` takes the audio out of the usual one without parsing JSON. ACS writes
camelCase keys, its documents and samples other cases too, so names are compared without case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import InvalidInput
from shared.wire.json_input import as_object, decode, text, whole_number

FRAME_LIMIT = 64 * 1024
"""Bytes of one frame at most (reliability.md T7); 20 ms at 24 kHz are about 1,430."""

STOP_AUDIO = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
"""The frame that makes ACS drop the audio it has queued but not played (acs.md 3.3, 3.4)."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# What ACS sends before and after the audio, in this order and without spaces. Neither part can hold a backslash or a
# quotation mark inside a value, so nothing here can mean anything else to a JSON parser.
_BEFORE = re.compile(
    rb'\{"kind":"AudioData","audioData":\{'
    rb'(?:"timestamp":"[0-9TZ:.+-]{1,40}",)?(?:"participantRawID":"[0-9A-Za-z:+._-]{1,512}",)?"data":"'
)
_AFTER = (b'","silent":false}}', b'","silent":true}}')

_TONE_WORDS = {
    **{
        word: str(key) for key, word in enumerate("zero one two three four five six seven eight nine".split())
    },
    **{key: key for key in "0123456789*#"},
    **{key.lower(): key for key in "ABCD"},
    "asterisk": "*",
    "star": "*",
    "pound": "#",
    "hash": "#",
}


@dataclass(frozen=True, slots=True)
class AudioMetadata:
    """The first frame of every stream.

    Attributes:
        subscription_id: ACS's id of the stream, "" if it gave none.
        encoding: `PCM`: 16 bit, little-endian.
        sample_rate: Hz, 16000 or 24000.
        channels: 1.
        length: bytes of audio in one frame: 640 at 16 kHz, 960 at 24 kHz; 0 if it gave none.
    """

    subscription_id: str
    encoding: str
    sample_rate: int
    channels: int
    length: int


@dataclass(frozen=True, slots=True)
class AudioData:
    """20 ms of audio from the caller.

    Attributes:
        base64: PCM16LE as base64 text: whole samples, only characters of the alphabet, so that it can be spliced into
            another JSON text as it is.
        silent: ACS heard nothing in it. A missing flag means that it did.
        participant: raw id of who speaks; "" in a mixed stream.
        timestamp: as ACS wrote it.
    """

    base64: bytes = field(repr=False)
    silent: bool
    participant: str
    timestamp: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A pressed key.

    Attributes:
        key: one of `0`-`9`, `*`, `#`, `A`-`D`; hidden from `repr`.
    """

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A kind of frame that is new to us: to be ignored, not an error (acs.md 3.2)."""

    kind: str


type Frame = AudioMetadata | AudioData | Dtmf | Unknown


def parse_frame(frame: bytes) -> Frame:
    """The value of one text frame.

    Raises:
        InvalidInput: no JSON object, no `kind`, or a field of a known kind is wrong. The text never quotes the frame.
    """
    value = as_object(decode(frame, field="frame", limit=FRAME_LIMIT), field="frame")
    fields = {key.lower(): item for key, item in value.items()}
    kind = text(fields.get("kind"), field="kind", limit=64)
    match kind.lower():
        case "audiodata":
            return _audio(_details(fields, "audioData"))
        case "audiometadata":
            return _metadata(_details(fields, "audioMetadata"))
        case "dtmfdata":
            return Dtmf(dtmf_key(_details(fields, "dtmfData").get("data"), field="dtmfData.data"))
    return Unknown(kind)


def _details(fields: Mapping[str, object], name: str) -> dict[str, object]:
    return {key.lower(): item for key, item in as_object(fields.get(name.lower()), field=name).items()}


def _audio(data: Mapping[str, object]) -> AudioData:
    audio = data.get("data")
    silent = data.get("silent")
    if not isinstance(silent, bool | None):
        raise InvalidInput("audioData.silent", "true or false")
    if audio is None and silent:
        audio = ""
    if not isinstance(audio, str) or not audio.isascii() or not _whole_samples(base64 := audio.encode()):
        raise InvalidInput("audioData.data", "whole 16-bit samples in base64")
    return AudioData(
        base64,
        bool(silent),
        text(data.get("participantrawid"), field="audioData.participantRawID", limit=512, default=""),
        text(data.get("timestamp"), field="audioData.timestamp", limit=64, default=""),
    )


def _whole_samples(base64: bytes) -> bool:
    """Whether this is base64 (RFC 4648 section 4, with padding) of an even number of bytes. One pass in C, no decoding."""
    digits = base64.rstrip(b"=")
    padding = len(base64) - len(digits)
    return (
        padding <= 2
        and len(base64) % 4 == 0
        and (len(base64) // 4 * 3 - padding) % 2 == 0
        and not digits.translate(None, _BASE64)
    )


def _metadata(data: Mapping[str, object]) -> AudioMetadata:
    channels = data.get("channels")
    if isinstance(channels, str) and channels.lower() == "mono":  # some builds name it instead of counting
        channels = 1
    where = "audioMetadata"
    rate = whole_number(data.get("samplerate"), field=f"{where}.sampleRate", default=0)
    if rate not in (16000, 24000):
        raise InvalidInput(f"{where}.sampleRate", "16000 or 24000")
    if whole_number(channels, field=f"{where}.channels", default=1) != 1:
        raise InvalidInput(f"{where}.channels", "1")
    return AudioMetadata(
        text(data.get("subscriptionid"), field=f"{where}.subscriptionId", limit=256, default=""),
        text(data.get("encoding"), field=f"{where}.encoding", limit=32, default="PCM"),
        rate,
        1,
        whole_number(data.get("length"), field=f"{where}.length", default=0),
    )


def dtmf_key(value: object, *, field: str) -> str:
    """A key in one form, whether ACS names it (`pound`, in callbacks) or shows it (`#`, on the socket; acs.md 4.2).

    Returns:
        One of `0`-`9`, `*`, `#`, `A`-`D`.

    Raises:
        InvalidInput: anything else; the text does not say what.
    """
    key = _TONE_WORDS.get(value.lower()) if isinstance(value, str) else None
    if key is None:
        raise InvalidInput(field, "one key of a telephone")
    return key


def audio_slice(frame: bytes) -> bytes | None:
    """The base64 audio of a frame in the form that ACS writes, found without parsing JSON.

    Returns:
        What `parse_frame(frame).base64` would be; None if the frame is of any other form: ask `parse_frame` then.
    """
    before = _BEFORE.match(frame)
    if before is None or not frame.endswith(_AFTER):
        return None
    base64 = frame[before.end() : frame.rindex(b'","')]
    return base64 if base64 and len(frame) <= FRAME_LIMIT and _whole_samples(base64) else None


def encode_audio(base64: bytes) -> bytes:
    """The frame that makes ACS play audio to the caller, in the documented casing (acs.md 3.3).

    Args:
        base64: whole PCM16LE samples of the stream's rate, any length, as base64 text. It is not checked here.
    """
    return b'{"Kind":"AudioData","AudioData":{"Data":"' + base64 + b'"},"StopAudio":null}'
