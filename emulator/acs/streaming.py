"""Media streaming of one call: dialling the app's WebSocket, frames both ways, loss and reconnection (acs.md 3.5)."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.exceptions import WebSocketException

from emulator.acs.dialler import Dialler
from emulator.acs.events import media_update
from emulator.acs.legs import Spoken
from emulator.acs.media import AudioWriter, MediaOptions, Playout, audio_metadata, dtmf_data, read_message
from emulator.acs.media_faults import MediaFaults
from emulator.acs.mixing import Frame
from emulator.acs.signing import Signer
from emulator.acs.socket import MediaSocket
from emulator.acs.speakers import Speakers
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]
type Report = Callable[[str, Json], None]

OPEN_TIMEOUT_S = 5.0
NORMAL_CLOSE = 1000
RECONNECT_AFTER_S = 0.2
REFUSED = "Action failed, Transport url is not valid or web socket server is not operational."


@dataclass(frozen=True, slots=True)
class Outcome:
    """A callback that is due: its type and its data."""

    kind: str
    data: Json


class Line(Protocol):
    """The call that streams: it is told what becomes of the connection."""

    def opened_media(self) -> None:
        """The connection stands."""

    def lost_media(self, reason: str) -> None:
        """The connection could not be made, or broke."""

    def flushed_media(self, now: float) -> None:
        """The app threw away what waited to be heard."""


class Streaming:
    """The media subscription of a call.

    Args:
        options: what the app asked for when it answered.
        headers: `x-ms-call-connection-id` and `x-ms-call-correlation-id`.
        signer: makes the upgrade's `Authorization`.
        faults: of the call.
        line: the call.
        report: takes callbacks that come about by themselves (the app closed or lost the connection).
        dialler: makes the connections.

    Attributes:
        subscription_id: as in `mediaStreamingSubscription`.
        frames_sent: `AudioData` messages sent.
        messages_received: messages of any kind.
        audio_received: `AudioData` messages among them.
        ignored: messages of unknown kinds or shapes.
        dials: connections tried.
    """

    def __init__(
        self,
        options: MediaOptions,
        headers: dict[str, str],
        signer: Signer,
        faults: Faults,
        line: Line,
        report: Report,
        dialler: Dialler | None = None,
    ) -> None:
        self.options = options
        self.subscription_id = str(uuid.uuid4())
        self.playout = Playout(options.sample_rate)
        self.frames_sent = 0
        self.messages_received = 0
        self.audio_received = 0
        self.ignored = 0
        self.dials = 0
        self._headers = headers
        self._signer = signer
        self._faults = faults
        self._media_faults = MediaFaults(faults, options)
        self._writer = AudioWriter(options)
        self._speakers = Speakers(options)
        self._line = line
        self._report = report
        self._dialler = dialler or Dialler()
        self._socket: MediaSocket | None = None
        self._starting = False
        self._broke = False
        self._over = False
        self._dropped_before = 0
        self._connected_at = 0.0
        self._again: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether the connection stands, or is being made."""
        return self._starting or (self._socket is not None and self._socket.is_open)

    @property
    def frames_dropped(self) -> int:
        """Frames that the app was too slow to take."""
        return self._dropped_before + (self._socket.dropped if self._socket else 0)

    async def start(self) -> Outcome:
        """Dial the app's address; returns the callback that tells how it went, and never raises for the app's faults."""
        self._starting = True
        self.dials += 1
        try:
            if self._faults.take("media_refused"):
                return self._refused("refused on demand")
            headers = {**self._headers, "Authorization": self._signer.media_header(self._faults.clock_skew_s)}
            socket = self._dialler.socket(self.options.url, headers, self._message, self._closed)
            await socket.open(OPEN_TIMEOUT_S)
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            return self._refused(type(error).__name__)
        finally:
            self._starting = False
        if self._over:
            await socket.close()
            return Outcome(
                "MediaStreamingStopped", media_update("MediaStreamingStopped", "subscriptionStopped")
            )
        if self._socket is not None:
            self._dropped_before += self._socket.dropped
        self._socket = socket
        self._connected_at = asyncio.get_running_loop().time()
        socket.send(audio_metadata(self.subscription_id, self.options))
        details = "streamConnectionReestablished" if self._broke else "subscriptionStarted"
        self._broke = False
        self._line.opened_media()
        return Outcome("MediaStreamingStarted", media_update("MediaStreamingStarted", details))

    def _refused(self, why: str) -> Outcome:
        log.info("media of %s: not connected: %s", self._headers["x-ms-call-connection-id"], why)
        self._line.lost_media("refused")
        details = "initialWebSocketConnectionFailed"
        return Outcome(
            "MediaStreamingFailed", media_update("MediaStreamingFailed", details, 400, 8581, REFUSED)
        )

    async def stop(self) -> Outcome | None:
        """Close the connection (1000); returns the callback, or None when there was no connection."""
        socket, self._socket = self._socket, None
        if socket is None or not socket.is_open:
            return None
        self._dropped_before += socket.dropped
        self.playout.clear()
        await socket.close(NORMAL_CLOSE)
        return Outcome("MediaStreamingStopped", media_update("MediaStreamingStopped", "subscriptionStopped"))

    async def end(self) -> Outcome | None:
        """The call is over: as `stop`, and a dial on its way is given up."""
        self._over = True
        if self._again is not None:
            self._again.cancel()
        return await self.stop()

    def abort(self) -> None:
        """Break the connection as a network fault would."""
        if self._socket is not None:
            self._socket.abort()

    def send(self, frame: Frame) -> None:
        """20 ms of the mix of all others, to the app."""
        socket = self._socket
        if socket is not None and socket.is_open:
            if self._faults.media_trouble:
                socket.send(self._media_faults.message(self._writer, frame, socket))
                self._strike(socket)
            else:
                socket.send(self._writer.frame(frame))
            self.frames_sent += 1

    def send_each(self, spoken: Spoken, rate: int, now: float) -> None:
        """20 ms of each of the others, at most four of them, at `rate` Hz."""
        socket = self._socket
        if socket is not None and socket.is_open:
            for message in self._speakers.frames(spoken, rate, now):
                socket.send(message)
                self.frames_sent += 1
            if self._faults.media_trouble:
                self._strike(socket)

    def _strike(self, socket: MediaSocket) -> None:
        """Let the connection fail when that is due."""
        connected_ms = (asyncio.get_running_loop().time() - self._connected_at) * 1000
        if self._media_faults.strike(socket, connected_ms):
            self._again = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """The service dials the same address again by itself; what it reports about the gap is guessed: nothing (acs.md 3.5)."""
        await asyncio.sleep(RECONNECT_AFTER_S)
        outcome = await self.start()
        self._again = None
        self._report(outcome.kind, outcome.data)

    def forget_speakers(self) -> None:
        """The call goes on in another conversation."""
        self._speakers = Speakers(self.options)

    def press(self, key: str) -> None:
        """One key, when the app asked for keys."""
        if self._socket is not None and self.options.dtmf:
            self._socket.send(dtmf_data(key))

    def _message(self, message: bytes) -> None:
        self.messages_received += 1
        kind, pcm = read_message(message)
        if kind == "audio":
            self.audio_received += 1
            if self.options.bidirectional:
                self.playout.push(pcm)
        elif kind == "stop":
            self.playout.stop()
            self._line.flushed_media(asyncio.get_running_loop().time())
        else:
            self.ignored += 1

    def _closed(self, code: int) -> None:
        """The connection ended. When we closed it ourselves, `_socket` is None by now."""
        if self._socket is None:
            return
        self.playout.clear()
        if code == NORMAL_CLOSE:
            self._report(
                "MediaStreamingStopped", media_update("MediaStreamingStopped", "subscriptionStopped")
            )
            return
        self._broke = True
        if self._again is not None:
            return
        self._line.lost_media(f"closed with {code}")
        message = "Action failed, the media streaming connection was interrupted."
        details = "streamConnectionInterrupted"
        self._report(
            "MediaStreamingFailed", media_update("MediaStreamingFailed", details, 500, 8603, message)
        )
