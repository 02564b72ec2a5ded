"""A WebSocket client without a task per call: `websockets`' sans-I/O protocol on an asyncio transport.

ACS is the client of the media WebSocket (acs.md 3.1): text frames, no compression, no sub-protocol.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from emulator.acs.slow_line import SlowLine

# At DEBUG the library would print the request line, and with it the token in the path.
_WIRE_LOG = logging.getLogger(f"{__name__}.wire")
_WIRE_LOG.setLevel(logging.INFO)

MAX_MESSAGE = 4 * 1024 * 1024
MAX_UNSENT = 512 * 1024
"""Bytes that may wait for a slow peer; further frames are dropped and counted."""
GOODBYE_S = 1.0
"""How long a peer may take to answer a close frame (s)."""
ABNORMAL = 1006

type OnMessage = Callable[[bytes], None]
type OnClose = Callable[[int], None]


class MediaSocket(asyncio.Protocol):
    """One client connection. `on_message` gets text messages, `on_close` the close code, exactly once after `open`.

    Args:
        uri: `ws://` or `wss://`.
        headers: of the upgrade.
        on_message: gets each text message.
        on_close: gets the close code.
        tls: for `wss://`; the system's authorities when it is None.

    Attributes:
        dropped: frames that were not sent because the peer is too slow.
        on_binary: called for each binary message, if somebody wants to know; ACS ignores them.
    """

    def __init__(
        self,
        uri: str,
        headers: Mapping[str, str],
        on_message: OnMessage,
        on_close: OnClose,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.dropped = 0
        self.on_binary: Callable[[], None] | None = None
        self._uri = parse_uri(uri)
        self._protocol = ClientProtocol(self._uri, max_size=MAX_MESSAGE, logger=_WIRE_LOG)
        self._headers = headers
        self._tls = tls
        self._on_message = on_message
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._is_open = False
        self._lost = asyncio.Event()
        self._last_call: asyncio.TimerHandle | None = None
        self._slow: SlowLine | None = None
        self._dead = False

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self._is_open

    @property
    def protocol_broken(self) -> bool:
        """Whether the peer sent something that is no WebSocket frame, or one that must not be."""
        broken = self._protocol.parser_exc
        return broken is not None and not isinstance(broken, EOFError)

    async def open(self, timeout_s: float) -> None:
        """Connect and upgrade.

        Raises:
            OSError: no connection.
            TimeoutError: no answer in time.
            WebSocketException: the server refused the upgrade.
        """
        loop = asyncio.get_running_loop()
        context = (self._tls or ssl.create_default_context()) if self._uri.secure else None
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(lambda: self, self._uri.host, self._uri.port, ssl=context)
                await self._opened
        except BaseException:  # cancelled, or refused: no socket is left behind; raised on
            self._opened.cancel()
            self.abort()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are, and do not say so
        request = self._protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Feed the protocol and hand on what is complete."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._upgraded()
            elif isinstance(event, Frame):
                self._frame(event)
        if self._slow is not None:
            self._slow.has_read(len(data))
        self._flush()

    def eof_received(self) -> None:
        """The peer will send no more."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone: report the end once."""
        if self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        self._lost.set()
        if self._last_call is not None:
            self._last_call.cancel()
        if self._slow is not None:
            self._slow.close()
        if not self._opened.done():
            self._opened.set_exception(error or ConnectionResetError("closed during the handshake"))
        if self._is_open:
            self._is_open = False
            self._on_close(self._protocol.close_code or ABNORMAL)

    def _upgraded(self) -> None:
        if self._opened.done():
            return
        problem = self._protocol.handshake_exc
        if problem is not None:
            self._opened.set_exception(problem)
            return
        self._is_open = True
        self._opened.set_result(None)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY and self.on_binary is not None:
            self.on_binary()
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if frame.fin and not self._parts:
                self._on_message(bytes(frame.data))
                return
            self._parts.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._parts)
                self._parts = []
                self._on_message(message)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or self._dead:
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
        if self._protocol.close_sent is None:
            return
        if self._last_call is None:
            self._last_call = asyncio.get_running_loop().call_later(GOODBYE_S, transport.abort)
        if self._protocol.close_rcvd is not None:
            transport.close()  # both sides have said goodbye: there is nothing to wait for

    def send(self, message: bytes) -> None:
        """Send one text message; dropped and counted when too much is unsent, ignored when the connection is not open."""
        transport = self._transport
        if not self._is_open or transport is None or self._protocol.state is not State.OPEN:
            return
        slow = self._slow
        if self._dead or transport.get_write_buffer_size() + (slow.unsent if slow else 0) > MAX_UNSENT:
            self.dropped += 1
            return
        self._protocol.send_text(message)
        data = b"".join(self._protocol.data_to_send())
        if slow is None:
            transport.write(data)
        else:
            slow.write(data)

    def slow_down(self, bytes_s: int) -> None:
        """From now on only so many bytes per second go each way."""
        if self._transport is not None and self._slow is None:
            self._slow = SlowLine(self._transport, bytes_s)

    def half_open(self) -> None:
        """From now on nothing is sent or read, and nobody is told: this side of the connection is gone."""
        if self._transport is not None:
            self._dead = True
            self._transport.pause_reading()

    async def close(self, code: int = 1000) -> None:
        """Close with a close frame; a peer that does not answer it within 1 s is cut off."""
        if self._transport is None:
            return
        if self._dead:
            self.abort()
        elif self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._flush()
        await self._lost.wait()

    def abort(self) -> None:
        """Drop the TCP connection at once (the peer sees 1006)."""
        if self._transport is not None:
            self._transport.abort()
