"""One media stream: Twilio dials the app's WebSocket and sends the caller's audio (reference/twilio-and-transfers.md 2C)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from websockets.exceptions import WebSocketException

from emulator.acs.dialler import Dialler
from emulator.faults import Faults
from emulator.twilio import ulaw
from emulator.twilio.messages import (
    FRAME_BYTES,
    PROTOCOL_ERROR,
    Audio,
    Clear,
    StreamWriter,
    read_message,
)
from emulator.twilio.notices import Trouble
from emulator.twilio.playout import Playout
from emulator.twilio.sids import new_sid
from emulator.twilio.sources import FRAME_SIZE

OPEN_TIMEOUT_S = 5.0
NORMAL_CLOSE, PROTOCOL_CLOSE, ABNORMAL = 1000, 1002, 1006
SILENCE = bytes([ulaw.SILENCE]) * FRAME_BYTES
ODD_SIZES = (FRAME_BYTES - 1, FRAME_BYTES + 1, 0, 1, 3 * FRAME_BYTES, FRAME_BYTES // 2)


class MediaStream:
    """A stream of one call; a `Source`.

    Args:
        dialler: makes the connection.
        url: where to dial.
        headers: of the upgrade, with its signature.
        account_sid: `AC…`.
        call_sid: `CA…`.
        parameters: of the TwiML.
        faults: of the call.
        on_clear: called with the time (s) when the app throws queued audio away.

    Attributes:
        sid: `MZ…`.
        url: where it was dialled.
        headers: of the upgrade.
        playout: what waits to be heard.
        frames_sent: `media` messages sent.
        messages_received: messages of any kind.
        audio_received: `media` messages among them.
    """

    def __init__(
        self,
        dialler: Dialler,
        url: str,
        headers: Mapping[str, str],
        account_sid: str,
        call_sid: str,
        parameters: Mapping[str, str],
        faults: Faults,
        on_clear: Callable[[float], None],
    ) -> None:
        self.sid = new_sid("MZ")
        self.url = url
        self.headers = headers
        self.playout = Playout()
        self.frames_sent = 0
        self.messages_received = 0
        self.audio_received = 0
        self._writer = StreamWriter(self.sid, account_sid, call_sid)
        self._parameters = parameters
        self._faults = faults
        self._on_clear = on_clear
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._ended: asyncio.Future[Trouble | None] = loop.create_future()
        self._opened_at = 0.0
        self._closing: asyncio.Task[None] | None = None
        self._socket = dialler.socket(url, headers, self._message, self._closed, call=call_sid)
        self._socket.on_binary = self._binary

    async def open(self) -> None:
        """Dial, and send the first two messages.

        Raises:
            Trouble: 31901 no answer, 31902 no connection, 31920 an answer that is not 101.
        """
        if self._faults.take("media_refused"):
            raise Trouble(31902, "refused on demand")
        try:
            await self._socket.open(OPEN_TIMEOUT_S)
        except TimeoutError:
            raise Trouble(31901, "no answer to the upgrade") from None
        except OSError as error:
            raise Trouble(31902, type(error).__name__) from None
        except (WebSocketException, ValueError) as error:
            raise Trouble(31920, str(error)[:100]) from None
        self._opened_at = self._loop.time()
        self._socket.send(self._writer.connected())
        self._socket.send(self._writer.start(self._parameters))

    async def ended(self) -> Trouble | None:
        """Wait for the end; returns what was wrong with it, or None when the app closed with 1000, or `stop` was sent."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """The caller has left: the last message, then the connection is closed."""
        if self._socket.is_open and not self._ended.done():
            self._ended.set_result(None)
            self._socket.send(self._writer.stop())
        await self._socket.close(NORMAL_CLOSE)

    def abort(self) -> None:
        """Break the connection as a network fault would."""
        self._socket.abort()

    def exchange(self, said: bytes | None, now: float) -> tuple[bytes | None, float]:
        """See `Source`: 20 ms to the app, and 20 ms of what it has sent."""
        if self._socket.is_open:
            audio = SILENCE if said is None else ulaw.encode(said)
            self._socket.send(
                self._writer.media(audio) if not self._faults.media_trouble else self._odd(audio)
            )
            self.frames_sent += 1
        heard, marks = self.playout.take()
        self._echo(marks)
        pcm = None if heard is None else ulaw.decode(heard).ljust(FRAME_SIZE, b"\0")
        return pcm, self.playout.queued_ms

    def _odd(self, audio: bytes) -> bytes:
        """The next message while faults are due; lets the connection fail when that is."""
        faults = self._faults
        if faults.media_fault and (self._loop.time() - self._opened_at) * 1000 >= faults.media_fault_after_ms:
            fault, faults.media_fault = faults.media_fault, ""
            if fault == "half_open":
                self._socket.half_open()
            elif fault == "slow":
                self._socket.slow_down(faults.slow_bytes_s)
            else:  # Twilio never dials again by itself: `reconnect` is a cut
                self._socket.abort()
        if faults.unknown_kinds:
            faults.unknown_kinds -= 1
            self._socket.send(self._writer.unknown(faults.unknown_kinds))
        if faults.odd_frames:
            faults.odd_frames -= 1
            size = ODD_SIZES[faults.odd_frames % len(ODD_SIZES)]
            audio = (audio * 3)[:size]
        return self._writer.media(audio)

    def press(self, key: str) -> None:
        """See `Source`."""
        self._socket.send(self._writer.dtmf(key))

    def _echo(self, marks: list[str]) -> None:
        for name in marks:
            self._socket.send(self._writer.mark(name))

    def _message(self, message: bytes) -> None:
        self.messages_received += 1
        if self._ended.done():
            return
        try:
            read = read_message(message, self.sid)
        except Trouble as trouble:
            self._broken(trouble)
            return
        if isinstance(read, Audio):
            self.audio_received += 1
            self.playout.push(read.data)
        elif isinstance(read, Clear):
            self._echo(self.playout.clear())
            self._on_clear(self._loop.time())
        else:
            self._echo(self.playout.mark(read.name))

    def _binary(self) -> None:
        self.messages_received += 1
        self._broken(Trouble(PROTOCOL_ERROR, "a binary message"))

    def _broken(self, trouble: Trouble) -> None:
        """The app broke the protocol: Twilio ends the stream."""
        if not self._ended.done():
            self._ended.set_result(trouble)
            self._closing = asyncio.create_task(self._socket.close(PROTOCOL_CLOSE))

    def _closed(self, code: int) -> None:
        if self._ended.done():
            return
        trouble = None
        if self._socket.protocol_broken:
            trouble = Trouble(PROTOCOL_ERROR, "no WebSocket frame")
        elif code == ABNORMAL:
            trouble = Trouble(31903, "no close frame came")
        elif code != NORMAL_CLOSE:
            trouble = Trouble(31921, f"closed with {code}")
        self._ended.set_result(trouble)

    def measured(self) -> dict[str, Any]:
        """For the summary of a call; the names are those of an ACS call's media where they mean the same."""
        playout = self.playout
        return {
            "streamSid": self.sid,
            "framesSent": self.frames_sent,
            "framesDropped": self._socket.dropped,
            "messagesReceived": self.messages_received,
            "audioReceived": self.audio_received,
            "receivedMs": round(playout.received_ms),
            "playedMs": round(playout.played_ms),
            "flushedMs": round(playout.flushed_ms),
            "overflowMs": round(playout.overflow_ms),
            "stops": playout.clears,
            "marks": playout.marks,
            "underruns": playout.underruns,
            "longestQueueMs": round(playout.longest_queue_ms),
        }
