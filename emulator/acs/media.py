"""Media frames as the service writes and reads them, and the playout queue that it keeps for each call (acs.md 3)."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from emulator.acs.errors import invalid

FRAME_MS = 20
MAX_QUEUED_MS = 5 * 60 * 1000
GAP_TICKS = 10
"""Audio that comes within 200 ms after the queue ran dry was late: the caller heard a hole. Later audio is new speech."""

SAMPLE_RATES = {"pcm16KMono": 16000, "pcm24KMono": 24000}


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """`mediaStreamingOptions` of an answered call, checked (acs.md 2)."""

    url: str
    start: bool
    bidirectional: bool
    sample_rate: int
    dtmf: bool
    channels: Literal["mixed", "unmixed"]

    @property
    def frame_bytes(self) -> int:
        """Bytes of 20 ms: 640 or 960."""
        return self.sample_rate * 2 * FRAME_MS // 1000


def read_media_options(value: object) -> MediaOptions | None:
    """`mediaStreamingOptions` of a request, with the service's defaults; None when the request has none.

    Raises:
        RestError: 400/8523 names the wrong field.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("MediaStreamingOptions")
    url = value.get("transportUrl")
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        raise invalid("TransportUrl")
    if str(value.get("transportType", "")).lower() != "websocket":
        raise invalid("TransportType")
    if str(value.get("contentType", "audio")).lower() != "audio":
        raise invalid("ContentType")
    channels = str(value.get("audioChannelType", "")).lower()
    if channels not in ("mixed", "unmixed"):
        raise invalid("AudioChannelType")
    rates = {name.lower(): rate for name, rate in SAMPLE_RATES.items()}
    rate = rates.get(str(value.get("audioFormat", "pcm16KMono")).lower())
    if rate is None:
        raise invalid("AudioFormat")
    return MediaOptions(
        url=url,
        start=value.get("startMediaStreaming") is True,
        bidirectional=value.get("enableBidirectional") is True,
        sample_rate=rate,
        dtmf=value.get("enableDtmfTones") is True,
        channels="mixed" if channels == "mixed" else "unmixed",
    )


def audio_metadata(subscription_id: str, options: MediaOptions) -> bytes:
    """The first message of every media connection; `length` is the bytes of a frame."""
    metadata = {
        "subscriptionId": subscription_id,
        "encoding": "PCM",
        "sampleRate": options.sample_rate,
        "channels": 1,
        "length": options.frame_bytes,
    }
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": metadata}, separators=(",", ":")).encode()


def dtmf_data(key: str) -> bytes:
    """One pressed key."""
    return b'{"kind":"DtmfData","dtmfData":{"data":"%s"}}' % key.encode()


class AudioWriter:
    """Writes `AudioData` messages of one stream.

    Args:
        options: the stream's format.
        participant: the speaker's raw id in an unmixed stream; a mixed one names nobody.
    """

    def __init__(self, options: MediaOptions, participant: str | None = None) -> None:
        self._silence = base64.b64encode(bytes(options.frame_bytes))
        self._who = (
            b"" if participant is None else b'"participantRawID":%s,' % json.dumps(participant).encode()
        )

    def frame(self, pcm: bytes | None) -> bytes:
        """The message for one frame of PCM16LE, or of silence (None)."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")[:23].encode()
        data = self._silence if pcm is None else base64.b64encode(pcm)
        silent = b"true" if pcm is None else b"false"
        return b'{"kind":"AudioData","audioData":{"timestamp":"%sZ",%s"data":"%s","silent":%s}}' % (
            stamp,
            self._who,
            data,
            silent,
        )


def read_message(message: bytes) -> tuple[Literal["audio", "stop", "other"], bytes]:
    """What an app sent: audio (its PCM), a stop of what is queued, or something that the service ignores.

    Keys and `kind` match in any case and `kind` alone decides: three casings are in use, and one of them carries `stopAudio` on
    audio messages (acs.md 3.3).
    """
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return "other", b""
    kind = str(_field(value, "kind") or "").lower()
    if kind == "stopaudio":
        return "stop", b""
    if kind != "audiodata":
        return "other", b""
    text = _field(_field(value, "audiodata"), "data")
    if not isinstance(text, str):
        return "other", b""
    try:
        return "audio", base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "other", b""


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((found for key, found in value.items() if key.lower() == name), None)


class Playout:
    """Audio that waits to be heard: a FIFO that loses 20 ms per tick in real time (acs.md 3.4).

    Attributes:
        received_ms: audio taken in (ms).
        played_ms: audio that the caller heard (ms).
        flushed_ms: audio thrown away by `StopAudio` (ms).
        overflow_ms: audio that did not fit (ms).
        stops: `StopAudio` messages.
        underruns: holes: the queue ran dry and was filled again within 200 ms.
        longest_queue_ms: the most that ever waited (ms).
    """

    def __init__(self, sample_rate: int) -> None:
        self.received_ms = 0.0
        self.played_ms = 0.0
        self.flushed_ms = 0.0
        self.overflow_ms = 0.0
        self.stops = 0
        self.underruns = 0
        self.longest_queue_ms = 0.0
        self._per_ms = sample_rate * 2 // 1000
        self._frame = self._per_ms * FRAME_MS
        self._queue = bytearray()
        self._dry_ticks = 0

    @property
    def queued_ms(self) -> float:
        """What waits (ms)."""
        return len(self._queue) / self._per_ms

    def push(self, pcm: bytes) -> None:
        """Take audio of any length."""
        if self.queued_ms > MAX_QUEUED_MS:
            self.overflow_ms += len(pcm) / self._per_ms
            return
        if 0 < self._dry_ticks <= GAP_TICKS:
            self.underruns += 1
        self._dry_ticks = 0
        self._queue += pcm
        self.received_ms += len(pcm) / self._per_ms
        self.longest_queue_ms = max(self.longest_queue_ms, self.queued_ms)

    def stop(self) -> None:
        """`StopAudio`: throw away what waits."""
        self.stops += 1
        self.clear()

    def clear(self) -> None:
        """Throw away what waits."""
        self.flushed_ms += self.queued_ms
        self._queue.clear()
        self._dry_ticks = GAP_TICKS + 1

    def take(self) -> bytes | None:
        """The next 20 ms; a rest is filled up with silence; None when nothing waits."""
        queue = self._queue
        if not queue:
            if self.received_ms:
                self._dry_ticks += 1
            return None
        pcm = bytes(queue[: self._frame])
        del queue[: self._frame]
        self.played_ms += len(pcm) / self._per_ms
        return pcm if len(pcm) == self._frame else pcm.ljust(self._frame, b"\0")
