"""WebSocket connections of the media host: RFC 6455 by the `websockets` library, audio by a path of our own.

The library's sans-I/O protocol does handshakes, control frames, fragmentation, limits and the closing handshake. What
makes up nearly all of the traffic, one complete, final, unfragmented text frame of ASCII (an audio frame in base64), is
unmasked here and handed on at once: no task, no queue, no event object. `reference/media-performance.md` has the measure
of the difference. `fast=False` sends every frame through the library; both ways pass the same tests.
"""

import asyncio
import logging
import socket
import ssl as tls
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SEND_EOF
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask
from websockets.uri import parse_uri

from media_host.framing import SERVER_LIMITS, Limits, Masks, is_utf8, text_head

log = logging.getLogger(__name__)

_REFUSALS = (ProtocolError, PayloadTooBig, UnicodeDecodeError)

MAX_HEAD = 16_384
"""Bytes of an HTTP request or response head: a token is under 1 kB, ACS's own JWT about 1.5 kB."""

type OnText = Callable[[bytes], None]
type OnClose = Callable[[int, str], None]
type OnRequest = Callable[["WebSocketConnection", Request], None]


def _ignore_text(data: bytes) -> None:
    """Until a session takes the connection over."""


def _ignore_close(code: int, reason: str) -> None:
    """Until a session takes the connection over."""


class WebSocketConnection(asyncio.Protocol):
    """One connection, either role, from the TCP connection to its end.

    Args:
        protocol: the library's state machine: it decides the role.
        limits: what the peer may do.
        on_request: server only: called once with the request; answers by `accept` or `refuse`, now or later.
        fast: whether plain text frames take the short way.

    Attributes:
        on_text: called with every text message (valid UTF-8 as bytes).
        on_close: called exactly once after the handshake, with the close code (1006: the line was cut) and reason.
        on_lost: called when the TCP connection is gone, whatever came before.
        dropped: messages not sent because the peer was too slow.
        closed: set when the TCP connection is gone.
    """

    def __init__(
        self,
        protocol: ServerProtocol | ClientProtocol,
        *,
        limits: Limits,
        on_request: OnRequest | None = None,
        fast: bool = True,
    ) -> None:
        self.on_text: OnText = _ignore_text
        self.on_close: OnClose = _ignore_close
        self.on_lost: Callable[[], None] | None = None
        self.dropped = 0
        self.closed = asyncio.Event()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._server = isinstance(protocol, ServerProtocol)
        self._limits = limits
        self._on_request = on_request
        self._fast = fast
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
        self._need = 0  # bytes that `_tail` must hold before looking again is of use
        self._parts: list[bytes] | None = None
        self._budget = limits.rate
        self._budget_since = 0.0
        self._messages = 0
        self._seen = 0
        self._quiet_since = 0.0
        self._pinged_at = 0.0
        self._awaiting_pong = False
        self._timer: asyncio.TimerHandle | None = None
        self._masks = Masks()
        self._head_length = -1
        self._head = b""

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

    # --- receiving -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer (asyncio)."""
        try:
            if not self._open:
                if self.opened.done():
                    self._feed(data)
                else:
                    self._handshake(data)
            elif self._fast:
                self._receive(data)
            else:
                self._feed(data)
        except Exception:  # a fault in one call's callback must end this call only, and with a proper close
            log.exception("connection ended by a fault of our own")
            self.fail(CloseCode.INTERNAL_ERROR, "")

    def _receive(self, data: bytes) -> None:
        """Deliver the plain text frames in `data`, feed any other frame to the library, keep what is incomplete."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        at, end = 0, len(data)
        masking = 4 if self._server else 0
        max_message = self._limits.max_message
        while end - at >= 2:
            size = data[at + 1]
            body = at + 2 + masking
            if self._server:
                size -= 128  # negative: not masked, as it must be
            elif size >= 128:
                size = -1  # masked, as it must not be
            if size == 126:
                body += 2
                if end - at < 4:
                    break
                size = data[at + 2] << 8 | data[at + 3]
            elif size == 127:
                body += 8
                if end - at < 10:
                    break
                size = int.from_bytes(data[at + 2 : at + 10])
            if size < 0 or size > max_message:
                self._feed(data[at:])  # wrong mask or too big: the library refuses it by its header
                return
            stop = body + size
            if stop > end:
                self._need = stop - at
                self._tail += data[at:]
                return
            if data[at] == 0x81 and self._parts is None:
                payload = data[body:stop]
                if masking:
                    payload = apply_mask(payload, data[body - 4 : body])
                if payload.isascii():
                    at = stop
                    self._messages += 1
                    if self._budget:
                        self._budget -= 1
                        if not self._budget and self._too_fast():
                            return
                    self.on_text(payload)
                    if not self._open:
                        self._feed(data[at:])
                        return
                    continue
            self._feed(data[at:stop])
            at = stop
            if not self._open:
                self._feed(data[at:])
                return
        if at < end:
            self._need = 0
            self._tail += data[at:]

    def _feed(self, data: bytes) -> None:
        """Let the library read `data`, send what it wants sent, and act on its events."""
        if not data or self._protocol.reader.eof:
            return
        heed = self._open
        self._protocol.receive_data(data)
        self._send_out()
        if self._slow_peer and self._waiting() > 2 * self._limits.write_bound:
            self.abort()  # it keeps asking (pings) and does not read the answers
        for event in self._protocol.events_received():
            if heed and not self._muted and isinstance(event, Frame):
                self._take(event)
        self._settle()

    def _take(self, frame: Frame) -> None:
        if self._budget:
            self._budget -= 1
            if not self._budget and self._too_fast():
                return
        if frame.opcode is Opcode.PONG:
            self._awaiting_pong = False
        elif frame.opcode is Opcode.BINARY:
            self.fail(CloseCode.UNSUPPORTED_DATA, "text frames only")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            data = bytes(frame.data)
            if self._parts is not None or not frame.fin:
                parts = self._parts or []
                parts.append(data)
                self._parts = None if frame.fin else parts
                if not frame.fin:
                    return
                data = b"".join(parts)
            if not (data.isascii() or is_utf8(data)):
                self.fail(CloseCode.INVALID_DATA, "not UTF-8")
                return
            self._messages += 1
            self.on_text(data)

    def _too_fast(self) -> bool:
        """A budget of `rate` frames is used up: refill it if it lasted a second, otherwise close."""
        now = self._loop.time()
        if now - self._budget_since < 1.0:
            self.fail(CloseCode.POLICY_VIOLATION, "too many messages")
            return True
        self._budget = self._limits.rate
        self._budget_since = now
        return False

    # --- sending ---------------------------------------------------------------------------------------------

    def send_text(self, data: bytes, *, must: bool = False) -> bool:
        """Send one text message (UTF-8) with one write; nothing waits.

        Returns:
            False when it was not sent: the connection is closing, or the peer is too slow (counted in `dropped`).
            With `must` a slow peer is given up to twice the bound.
        """
        if not self._open:
            return False
        if self._slow_peer and not (must and self._waiting() < 2 * self._limits.write_bound):
            self.dropped += 1
            return False
        if not self._fast:
            self._protocol.send_text(data)
            self._flush()
            return True
        size = len(data)
        if size != self._head_length:
            self._head_length = size
            self._head = text_head(size, masked=not self._server)
        if self._server:
            self._write(self._head + data)
        else:
            mask = self._masks.next()
            self._write(self._head + mask + apply_mask(data, mask))
        return True

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


def serve_protocol(
    on_request: OnRequest, *, limits: Limits = SERVER_LIMITS, fast: bool = True
) -> WebSocketConnection:
    """A connection in the server's role, for `loop.create_server`; needs a running loop."""
    protocol = ServerProtocol(max_size=limits.max_message)
    return WebSocketConnection(protocol, limits=limits, on_request=on_request, fast=fast)


async def connect(
    uri: str,
    *,
    headers: Mapping[str, str] | None = None,
    on_text: OnText,
    on_close: OnClose,
    ssl: tls.SSLContext | None = None,
    open_timeout_s: float = 5.0,
    fast: bool = True,
    max_message: int = 65_536,
    limits: Limits | None = None,
) -> WebSocketConnection:
    """Open a connection as client; `wss` uses `ssl` or the system's certificates.

    Raises:
        OSError: nobody listens there, or the connection broke off (ConnectionError).
        TimeoutError: no answer within `open_timeout_s` seconds.
        websockets.exceptions.InvalidHandshake: it answered, but not with 101 (InvalidStatus) or not properly.
        websockets.exceptions.InvalidURI: `uri` is no WebSocket address.
    """
    address = parse_uri(uri)
    limits = limits or Limits(max_message=max_message)
    protocol = ClientProtocol(address, max_size=limits.max_message)
    request = protocol.connect()
    for name, value in (headers or {}).items():
        request.headers[name] = value
    protocol.send_request(request)
    connection = WebSocketConnection(protocol, limits=limits, fast=fast)
    connection.on_text, connection.on_close = on_text, on_close
    async with asyncio.timeout(open_timeout_s):
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            address.host,
            address.port,
            ssl=(ssl or tls.create_default_context()) if address.secure else None,
        )
        try:
            await connection.opened
        except BaseException:  # a cancelled wait too must not leave a socket behind; raised on
            connection.abort()
            raise
    return connection
