"""The ACS line: one audio WebSocket that ACS has opened to us (acs.md section 3).

The usual frame takes one slice and one call: the caller's base64 goes to the agent as it came.
"""

import logging
from collections.abc import Callable

from media_host.agents.base import Codec
from media_host.websocket import WebSocketConnection
from shared.errors import InvalidInput
from shared.wire.acs_media import (
    STOP_AUDIO,
    AudioData,
    AudioMetadata,
    Dtmf,
    audio_slice,
    encode_audio,
    parse_frame,
)

log = logging.getLogger(__name__)

MAX_BAD_FRAMES = 50
"""A peer that sends more frames than this that cannot be read is closed."""


class AcsLine:
    """The telephone side of one call.

    Args:
        connection: the WebSocket; its `on_text` must be this object's.
        codec: the format that was asked for when the call was answered.
        on_audio: one frame of the caller's audio, base64.
        on_key: one key.
        on_fault: called once when this side of the call cannot go on: a machine name.
        name: the call's id, for logs.

    Attributes:
        bad_frames: frames that could not be read.
        ready: ACS has described its audio as we expect it.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        on_audio: Callable[[bytes], None],
        on_key: Callable[[str], None],
        on_fault: Callable[[str], None],
        name: str,
    ) -> None:
        self.bad_frames = 0
        self.ready = False
        self.on_audio = on_audio
        self._codec = codec
        self._on_key = on_key
        self._on_fault = on_fault
        self._name = name
        self._connection: WebSocketConnection
        self._send: Callable[[bytes], bool]

    def attach(self, connection: WebSocketConnection) -> None:
        """Use `connection`, before it delivers anything."""
        self._connection = connection
        self._send = connection.send_text

    def on_text(self, frame: bytes) -> None:
        """A frame from ACS."""
        audio = audio_slice(frame)
        if audio is not None and self.ready:
            self.on_audio(audio)
        else:
            self._other(frame)

    def send_audio(self, data: bytes) -> None:
        """Base64 audio to the caller."""
        self._send(encode_audio(data))

    def stop_audio(self) -> None:
        """Let ACS forget what it has not played."""
        self._connection.send_text(STOP_AUDIO, must=True)

    @property
    def dropped(self) -> int:
        """Messages that the line was too slow to take."""
        return self._connection.dropped

    def close(self, code: int = 1000) -> None:
        """Close the WebSocket; that alone does not end the call (acs.md 3.5)."""
        self._connection.close(code)

    def _other(self, frame: bytes) -> None:
        try:
            parsed = parse_frame(frame)
        except InvalidInput as error:
            self.bad_frames += 1
            if self.bad_frames == 1:
                log.warning("call %s: a frame of the line cannot be read: %s", self._name, error)
            if self.bad_frames > MAX_BAD_FRAMES:
                self._refuse("bad_frames")
            return
        match parsed:
            case AudioData(base64=audio):
                if not self.ready:
                    self._refuse("audio_before_metadata")
                elif audio:
                    self.on_audio(audio)
            case Dtmf(key=key):
                self._on_key(key)
            case AudioMetadata(encoding=encoding, sample_rate=rate):
                if encoding.upper() != "PCM" or rate != self._codec.sample_rate:
                    self._refuse("audio_format")
                self.ready = True

    def _refuse(self, reason: str) -> None:
        log.error("call %s: %s", self._name, reason)
        self._on_fault(reason)
