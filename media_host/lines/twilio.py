"""The Twilio line: one media stream's WebSocket that Twilio has opened to us (twilio-and-transfers.md 2C).

Where the session speaks mu-law too, the usual message takes one slice and one call, and the caller's base64 goes to the agent
as it came; otherwise it is converted here (`conversion`). A line hears the stream begin before there is a session: what comes
until then is kept, and given to the session in order (`deliver`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from media_host.agents.base import Codec
from media_host.caller_audio import EARLY_FRAMES
from media_host.lines.base import nobody
from media_host.lines.conversion import Conversion
from media_host.websocket import WebSocketConnection
from shared.errors import InvalidInput
from shared.wire.twilio_media import (
    ENCODING,
    Dtmf,
    Mark,
    Media,
    Outbound,
    Start,
    Stop,
    media_slice,
    parse_message,
)

log = logging.getLogger(__name__)

MAX_BAD_FRAMES = 50
"""A peer that sends more messages than this that cannot be read, or belong to no stream of ours, is closed."""

KEPT_OTHERS = 64
"""Keys and the like that are kept until there is a session."""

LAST_MARK = "end"


class TwilioLine:
    """The telephone side of one call (`lines.base.Line`).

    Args:
        name: for logs, until the call has an id.

    Attributes:
        started: the stream's description, once it has come; an exception when the stream broke a rule, or ended, before.
        codec: see `use`.
    """

    sends_keys = False
    ends_by_rest = False
    reports_end = False
    fault_code = 1011
    audio_format = ENCODING

    def __init__(self, name: str) -> None:
        self.codec = Codec.ULAW_8K
        self.bad_frames = 0
        self.ready = False
        self.stopped = False
        self.started: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        self.on_audio: Callable[[bytes], None] = nobody
        self.on_key: Callable[[str], None] = nobody
        self.on_fault: Callable[[str], None] = nobody
        self.on_mark: Callable[[str], None] = nobody
        self.on_stop: Callable[[], None] = nobody
        self.send_mark: Callable[[str], None] | None = self._send_mark
        self._name = name
        self._stream_sid = ""
        self._conversion: Conversion | None = None
        self._delivering = False  # there is a session
        self._kept_audio: deque[bytes] = deque()
        self._kept: deque[Dtmf | Stop | str] = deque()
        self._all_played = asyncio.Event()
        self._connection: WebSocketConnection
        self._outbound: Outbound
        self._send: Callable[[bytes], bool]

    def attach(self, connection: WebSocketConnection) -> None:
        """Use `connection`, before it delivers anything."""
        self._connection = connection
        self._send = connection.send_text

    def use(self, codec: Codec, name: str) -> None:
        """Speak `codec` to the session; `name`: the call's id."""
        self.codec, self._name = codec, name
        self._conversion = None if codec is Codec.ULAW_8K else Conversion(codec)

    def deliver(self) -> None:
        """The session is there: give it what has come so far, and then everything at once."""
        self._delivering = True
        while self._kept_audio:
            self._heard(self._kept_audio.popleft())
        while self._kept:
            match self._kept.popleft():
                case str(reason):
                    self.on_fault(reason)
                case message:
                    self._act(message)

    # --- from Twilio -----------------------------------------------------------------------------------------

    def on_text(self, frame: bytes) -> None:
        """A message from Twilio."""
        if self._delivering and (audio := media_slice(frame, self._stream_sid)) is not None:
            if self._conversion is not None:
                audio = self._conversion.heard(audio)
            self.on_audio(audio)
        else:
            self._other(frame)

    def _heard(self, audio: bytes) -> None:
        self.on_audio(audio if self._conversion is None else self._conversion.heard(audio))

    def _other(self, frame: bytes) -> None:
        if self.stopped:
            return
        try:
            message = parse_message(frame)
        except InvalidInput as error:
            self._bad(str(error))
            # At once: while we waited for another start message, the caller would hear nothing.
            if not self.ready and not self.started.done():
                self._refuse("unreadable_start")
            return
        match message:
            case Start():
                self._start(message)
            case Media() | Dtmf() | Mark() | Stop() if not self.ready:
                self._refuse("message_before_start")
            case Media() | Dtmf() | Mark() | Stop() if message.stream_sid != self._stream_sid:
                self._bad("streamSid: expected this stream's")
            case Media(track="inbound", base64=audio) if self._delivering:
                self._heard(audio)
            case Media(track="inbound", base64=audio):
                if len(self._kept_audio) < EARLY_FRAMES:
                    self._kept_audio.append(audio)
            case Dtmf() | Stop() if not self._delivering:
                if len(self._kept) < KEPT_OTHERS or isinstance(message, Stop):
                    self._kept.append(message)
            case Dtmf() | Stop():
                self._act(message)
            case Mark(name=name):
                self._marked(name)

    def _start(self, message: Start) -> None:
        if self.ready:
            self._refuse("second_start")
            return
        self.ready = True
        self._stream_sid = message.stream_sid
        self._outbound = Outbound(message.stream_sid)
        if not self.started.done():
            self.started.set_result(message)

    def _act(self, message: Dtmf | Stop) -> None:
        if isinstance(message, Dtmf):
            self.on_key(message.key)
        elif not self.stopped:
            self.stopped = True
            self.on_stop()

    def _marked(self, name: str) -> None:
        if name == LAST_MARK:
            self._all_played.set()
        else:
            self.on_mark(name)

    def _bad(self, why: str) -> None:
        self.bad_frames += 1
        if self.bad_frames == 1:
            log.warning("call %s: a message of the line cannot be taken: %s", self._name, why)
        if self.bad_frames == MAX_BAD_FRAMES + 1:
            self._refuse("bad_frames")

    def _refuse(self, reason: str) -> None:
        log.error("call %s: %s", self._name, reason)
        if self._delivering:
            self.on_fault(reason)
        elif self.ready:
            if reason not in self._kept:
                self._kept.append(reason)
        elif not self.started.done():
            self.started.set_exception(InvalidInput("stream", "a start message first"))

    # --- to Twilio -------------------------------------------------------------------------------------------

    def send_audio(self, data: bytes) -> None:
        """Base64 audio in `codec` to the caller."""
        if self._conversion is not None:
            data = self._conversion.said(data)
        if data:
            self._send(self._outbound.media(data))

    def stop_audio(self) -> None:
        """Let Twilio forget what it has not played; it sends the marks in it back."""
        self._connection.send_text(self._outbound.clear(), must=True)
        if self._conversion is not None:
            self._conversion.flushed()

    async def played_out(self, within_s: float) -> bool:
        """Wait for the echo of a last mark; False without one (`over` ends the wait, too: ask whether the caller is gone)."""
        self._all_played.clear()
        self._send_mark(LAST_MARK)
        try:
            async with asyncio.timeout(within_s):
                await self._all_played.wait()
        except TimeoutError:
            log.warning("call %s: the farewell's mark has not come back", self._name)
            return False
        return True

    def _send_mark(self, name: str) -> None:
        self._connection.send_text(self._outbound.mark(name), must=True)

    async def hang_up(self, *, everyone: bool) -> str:
        """Nothing: the call is Twilio's, which goes on with it when the WebSocket is closed."""
        return ""

    @property
    def dropped(self) -> int:
        """Messages that the line was too slow to take."""
        return self._connection.dropped

    def over(self) -> None:
        """No mark comes back any more."""
        self._all_played.set()

    def close(self, code: int = 1000) -> None:
        """Close the WebSocket: our part of the call is over."""
        self._connection.close(code)
