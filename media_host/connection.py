"""The life of a WebSocket connection: TCP, handshake, keepalive, closing; the protocol itself is the `websockets` library's."""

import asyncio
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SEND_EOF
from websockets.server import ServerProtocol

from media_host.framing import Limits

log = logging.getLogger(__name__)

_REFUSALS = (ProtocolError, PayloadTooBig, UnicodeDecodeError)

MAX_HEAD = 16_384
"""Bytes of an HTTP request or response head: a token is under 1 kB, ACS's own JWT about 1.5 kB."""

type OnText = Callable[[bytes], None]
type OnBinary = Callable[[bytes], None]
type OnClose = Callable[[int, str], None]


def _ignore_text(data: bytes) -> None:
    """Until a session takes the connection over."""


def _ignore_close(code: int, reason: str) -> None:
    """Until a session takes the connection over."""


class Connection(asyncio.Protocol):
    """The life of one connection, either role; `websocket.WebSocketConnection` adds what is said in between.

    Args:
        protocol: the library's state machine: it decides the role.
        limits: what the peer may do.
        on_request: server only: called once with the request; answers by `accept` or `refuse`, now or later.

    Attributes:
        on_text: called with every text message (valid UTF-8 as bytes).
        on_binary: called with every binary message; None refuses them (1003).
        on_close: called exactly once after the handshake, with the close code (1006: the line was cut) and reason.
        on_lost: called when the TCP connection is gone, whatever came before.
        closed: set when the TCP connection is gone.
    """

    def __init__(
        self,
        protocol: ServerProtocol | ClientProtocol,
        *,
        limits: Limits,
        on_request: Callable[..., None] | None = None,
    ) -> None:
        self.on_text: OnText = _ignore_text
        self.on_binary: OnBinary | None = None
        self.on_close: OnClose = _ignore_close
        self.on_lost: Callable[[], None] | None = None
        self.closed = asyncio.Event()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._server = isinstance(protocol, ServerProtocol)
        self._limits = limits
        self._on_request = on_request
        self._transport: asyncio.Transport
        self._write: Callable[[bytes], None]
        self._open = False  # messages may flow
        self._made = False  # there is a transport
        self._muted = False  # we have closed: nothing more is delivered
        self._was_open = False  # the handshake was completed
        self._told = False  # on_close has been called
        self._verdict: tuple[int, str] | None = None  # why we closed because of the peer
        self._slow_peer = False
        self._tail = bytearray()  # the beginning of a frame (or of the HTTP head) whose rest has not come yet
        self._budget_since = 0.0
        self._messages = 0
        self._seen = 0
        self._quiet_since = 0.0
        self._pinged_at = 0.0
        self._awaiting_pong = False
        self._timer: asyncio.TimerHandle | None = None

    # --- connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake (asyncio)."""
        transport = cast(asyncio.Transport, transport)  # TCP and TLS transports are; uvloop's do not say so
        self._transport = transport
        self._write = transport.write
        self._made = True
        if self._muted:
            transport.abort()
            return
        bound = self._limits.write_bound
        transport.set_write_buffer_limits(high=bound, low=max(0, bound - 16_384))
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timer = self._loop.call_later(self._limits.handshake_s, transport.abort)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone (asyncio)."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        if not self.opened.done():
            cause = self._protocol.handshake_exc or ConnectionError("connection lost during the handshake")
            self.opened.set_exception(cause)
            self.opened.exception()  # retrieved: on the server's side nobody awaits it
        elif self._was_open:
            self._tell()
        self.closed.set()
        if self.on_lost is not None:
            self.on_lost()

    def eof_received(self) -> bool:
        """The peer has sent its last byte (asyncio); we have nothing to add then."""
        self._protocol.receive_eof()
        self._flush()
        return False

    def pause_writing(self) -> None:
        """More than `write_bound` bytes wait (asyncio)."""
        self._slow_peer = True

    def resume_writing(self) -> None:
        """The peer has caught up (asyncio)."""
        self._slow_peer = False

    # --- handshake -------------------------------------------------------------------------------------------

    def accept(self, request: Request, on_text: OnText, on_close: OnClose) -> bool:
        """Answer 101 (server). Returns False when the request is no valid upgrade: it has been refused then."""
        if self._transport.is_closing():
            return False
        assert isinstance(self._protocol, ServerProtocol)  # noqa: S101  # clients are not asked
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._transport.resume_reading()
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._flush()
            return False
        self.on_text, self.on_close = on_text, on_close
        self._flush()
        self._start()
        return True

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer with an HTTP status and a line of text instead of an upgrade (server), and close."""
        if self._transport.is_closing():
            return
        assert isinstance(self._protocol, ServerProtocol)  # noqa: S101  # clients are not asked
        self._protocol.send_response(self._protocol.reject(status, text + "\n"))
        self._transport.resume_reading()
        self._flush()

    def _handshake(self, data: bytes) -> None:
        """Collect the head, and only the head: the library would read on into the frames behind it."""
        start = max(0, len(self._tail) - 3)
        self._tail += data
        end = self._tail.find(b"\r\n\r\n", start) + 4
        if not self._server and end > 3 and not self._tail.startswith(b"HTTP/1.1 101"):
            end = len(self._tail)  # a refusal may have a body; the library knows how to read it
        if end == 3 and len(self._tail) <= MAX_HEAD:
            return
        if end == 3 or end > MAX_HEAD:
            if self._server:
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head too large")
            else:
                self._transport.abort()
            return
        head = bytes(self._tail[:end])
        del self._tail[:end]
        self._protocol.receive_data(head)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Request) and self._on_request is not None:
                self._transport.pause_reading()  # nothing more is read from a peer that we do not know yet
                self._on_request(self, event)
            elif isinstance(event, Response) and self._protocol.handshake_exc is None:
                self._start()
        if self._protocol.handshake_exc is not None and not self.opened.done():
            self.opened.set_exception(self._protocol.handshake_exc)
            self.opened.exception()  # retrieved: on the server's side nobody awaits it

    def _start(self) -> None:
        self._open = self._was_open = True
        if not self.opened.done():
            self.opened.set_result(None)
        now = self._loop.time()
        self._quiet_since = self._pinged_at = self._budget_since = now
        if self._timer is not None:
            self._timer.cancel()
        self._watch()
        if self._tail:  # frames that came with the head
            rest = bytes(self._tail)
            self._tail.clear()
            self.data_received(rest)

    # --- what the library wants ------------------------------------------------------------------------------

    def _waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        self._send_out()
        self._settle()

    def _send_out(self) -> None:
        """Send what the library wants sent; with a close frame among it, the connection is open no more."""
        transport, ended = self._transport, False
        for data in self._protocol.data_to_send():
            if data is SEND_EOF:
                ended = True
                if transport.can_write_eof() and not transport.is_closing():
                    transport.write_eof()
                else:
                    transport.close()
            elif not transport.is_closing():
                self._write(data)
        if ended or (self._open and self._protocol.state is not OPEN):
            self._open = False
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(self._limits.close_s, transport.abort)

    def _settle(self) -> None:
        """Tell of the end as soon as it is certain."""
        ended = self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None
        if self._was_open and ended:
            self._tell()

    # --- closing ---------------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; `on_close` follows, after `close_s` seconds at most. Idempotent."""
        self._muted = True
        if self._open:
            self._protocol.send_close(code, reason)
            self._flush()
        elif not self.opened.done():
            self._transport.abort()

    def fail(self, code: CloseCode, reason: str) -> None:
        """Close because of what the peer did: nothing more is read, and `on_close` is called at once with `code`."""
        self._muted = True
        if self._open:
            self._verdict = (int(code), reason)
            self._protocol.fail(code, reason)
            self._flush()
            self._tell()
        elif not self._was_open:
            self._transport.abort()

    def abort(self) -> None:
        """Cut the TCP connection without a farewell; `on_close` follows with 1006."""
        self._open = False
        self._muted = True
        if self._made:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Return when the TCP connection is gone."""
        await self.closed.wait()

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        protocol = self._protocol
        code, reason = int(CloseCode.ABNORMAL_CLOSURE), ""
        if self._verdict is not None:
            code, reason = self._verdict
        elif protocol.close_sent is not None and isinstance(protocol.parser_exc, _REFUSALS):
            code, reason = (
                int(protocol.close_sent.code),
                protocol.close_sent.reason,
            )  # the library refused a frame
        elif protocol.close_rcvd is not None:
            code, reason = int(protocol.close_rcvd.code), protocol.close_rcvd.reason
        on_close, self.on_close, self.on_text = self.on_close, _ignore_close, _ignore_text
        self.on_binary = None
        on_close(code, reason)

    # --- clock -----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the clock every `tick_s`: messages are not stamped one by one."""
        limits, now = self._limits, self._loop.time()
        if self._messages != self._seen:
            self._seen = self._messages
            self._quiet_since = now
        quiet = now - self._quiet_since
        if limits.first_message_s and not self._messages and quiet >= limits.first_message_s:
            self.fail(CloseCode.POLICY_VIOLATION, "no message")
        elif limits.idle_s and quiet >= limits.idle_s:
            self.fail(CloseCode.GOING_AWAY, "idle")
        elif self._awaiting_pong:
            if now - self._pinged_at >= limits.ping_timeout_s:
                self.abort()
        elif limits.ping_interval_s and now - self._pinged_at >= limits.ping_interval_s:
            self._awaiting_pong = True
            self._pinged_at = now
            self._protocol.send_ping(b"")
            self._flush()
        if self._open:
            self._timer = self._loop.call_later(limits.tick_s, self._watch)
