"""The ACS line: one audio WebSocket that ACS has opened to us (acs.md section 3).

The usual frame takes one slice and one call: the caller's base64 goes to the agent as it came.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from media_host.agents.base import Codec
from media_host.audio import ACS_NAMES
from media_host.lines.base import nobody
from media_host.websocket import WebSocketConnection
from shared.errors import CallGone, InvalidInput, PatchcordError
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

HANG_UP_TRIES_S = (0.3, 1.0)


class HangsUp(Protocol):
    """The part of ACS's call control that ends a call."""

    async def hang_up(self, connection_id: str, *, everyone: bool) -> None:
        """End the call, or only our part of it; raises `CallGone` when it is over already."""


class AcsLine:
    """The telephone side of one call (`lines.base.Line`).

    Args:
        codec: the format that was asked for when the call was answered.
        connection_id: ACS's id of the call.
        control: ACS.
        name: the call's id, for logs.
    """

    sends_keys = True
    ends_by_rest = True
    reports_end = True
    fault_code = 1000

    def __init__(self, codec: Codec, *, connection_id: str, control: HangsUp, name: str) -> None:
        self.codec = codec
        self.audio_format = ACS_NAMES[codec]
        self.bad_frames = 0
        self.ready = False
        self.stopped = False
        self.on_audio: Callable[[bytes], None] = nobody
        self.on_key: Callable[[str], None] = nobody
        self.on_fault: Callable[[str], None] = nobody
        self.on_mark: Callable[[str], None] = nobody
        self.on_stop: Callable[[], None] = nobody
        self.send_mark: Callable[[str], None] | None = None
        self._connection_id = connection_id
        self._control = control
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

    async def played_out(self, within_s: float) -> bool:
        """Nothing to wait for: ACS does not tell (acs.md 3.3)."""
        return False

    async def hang_up(self, *, everyone: bool) -> str:
        """By REST; tried three times."""
        for pause in (*HANG_UP_TRIES_S, 0.0):
            try:
                await self._control.hang_up(self._connection_id, everyone=everyone)
                break
            except CallGone:
                break
            except PatchcordError as error:
                log.error("call %s: not hung up: %s", self._name, error)
                if not pause:
                    return error.message
                await asyncio.sleep(pause)
        return ""

    @property
    def dropped(self) -> int:
        """Messages that the line was too slow to take."""
        return self._connection.dropped

    def over(self) -> None:
        """Nothing waits."""

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
                self.on_key(key)
            case AudioMetadata(encoding=encoding, sample_rate=rate):
                if encoding.upper() != "PCM" or rate != self.codec.sample_rate:
                    self._refuse("audio_format")
                self.ready = True

    def _refuse(self, reason: str) -> None:
        log.error("call %s: %s", self._name, reason)
        self.on_fault(reason)
