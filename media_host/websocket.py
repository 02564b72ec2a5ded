"""WebSocket connections of the media host: RFC 6455 by the `websockets` library, audio by a path of our own.

The library's sans-I/O protocol does handshakes, control frames, fragmentation, limits and the closing handshake. What
makes up nearly all of the traffic, one complete, final, unfragmented frame of ASCII text (audio in base64) or of bytes (audio
as it is), is unmasked here and handed on at once: no task, no queue, no event object. `reference/media-performance.md`
has the measure of the difference. `fast=False` sends every frame through the library; both ways pass the same tests.
"""

import asyncio
import logging
import ssl as tls
from collections.abc import Callable, Mapping

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from media_host.connection import Connection, OnBinary, OnClose, OnText
from media_host.framing import SERVER_LIMITS, Limits, Masks, frame_head, is_utf8

log = logging.getLogger(__name__)

type OnRequest = Callable[["WebSocketConnection", Request], None]


class WebSocketConnection(Connection):
    """One connection, either role, from the TCP connection to its end.

    Args:
        protocol: the library's state machine: it decides the role.
        limits: what the peer may do.
        on_request: server only: called once with the request; answers by `accept` or `refuse`, now or later.
        fast: whether plain frames take the short way.

    Attributes:
        dropped: messages not sent because the peer was too slow; the others are `Connection`'s.
    """

    def __init__(
        self,
        protocol: ServerProtocol | ClientProtocol,
        *,
        limits: Limits,
        on_request: OnRequest | None = None,
        fast: bool = True,
    ) -> None:
        super().__init__(protocol, limits=limits, on_request=on_request)
        self.dropped = 0
        self._fast = fast
        self._need = 0  # bytes that `_tail` must hold before looking again is of use
        self._parts: list[bytes] | None = None  # of a fragmented message
        self._parts_binary = False
        self._budget = limits.rate
        self._masks = Masks()
        self._text_head = (-1, b"")  # of the last size: audio frames are all alike
        self._binary_head = (-1, b"")

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
        """Deliver the plain frames in `data`, feed any other frame to the library, keep what is incomplete."""
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
            first = data[at]
            if (first == 0x81 or first == 0x82) and self._parts is None:
                payload = data[body:stop]
                if masking:
                    payload = apply_mask(payload, data[body - 4 : body])
                take = self.on_text if first == 0x81 else self.on_binary
                if take is not None and (first == 0x82 or payload.isascii()):
                    at = stop
                    self._messages += 1
                    if self._budget:
                        self._budget -= 1
                        if not self._budget and self._too_fast():
                            return
                    take(payload)
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
        elif frame.opcode is Opcode.BINARY and self.on_binary is None:
            self.fail(CloseCode.UNSUPPORTED_DATA, "text frames only")
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            data, binary = bytes(frame.data), frame.opcode is Opcode.BINARY
            if self._parts is not None or not frame.fin:
                if self._parts is None:
                    self._parts, self._parts_binary = [], binary
                self._parts.append(data)
                if not frame.fin:
                    return
                data, binary = b"".join(self._parts), self._parts_binary
                self._parts = None
            if binary and self.on_binary is not None:
                self._messages += 1
                self.on_binary(data)
                return
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
        if not self._may_send(must):
            return False
        if not self._fast:
            self._protocol.send_text(data)
            self._flush()
            return True
        size = len(data)
        if size != self._text_head[0]:
            self._text_head = (size, frame_head(0x81, size, masked=not self._server))
        self._put(self._text_head[1], data)
        return True

    def send_binary(self, data: bytes, *, must: bool = False) -> bool:
        """Send one binary message as `send_text` does."""
        if not self._may_send(must):
            return False
        if not self._fast:
            self._protocol.send_binary(data)
            self._flush()
            return True
        size = len(data)
        if size != self._binary_head[0]:
            self._binary_head = (size, frame_head(0x82, size, masked=not self._server))
        self._put(self._binary_head[1], data)
        return True

    def _may_send(self, must: bool) -> bool:
        if not self._open:
            return False
        if self._slow_peer and not (must and self._waiting() < 2 * self._limits.write_bound):
            self.dropped += 1
            return False
        return True

    def _put(self, head: bytes, data: bytes) -> None:
        if self._server:
            self._write(head + data)
        else:
            mask = self._masks.next()
            self._write(head + mask + apply_mask(data, mask))


class _OneSubprotocol(ClientProtocol):
    """A client that goes on only if the server has chosen what it offers; the library is content with no choice."""

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """The server's choice; NegotiationError unless it is ours."""
        chosen = super().process_subprotocol(headers)
        if chosen is None and self.available_subprotocols is not None:
            raise NegotiationError("no subprotocol selected")
        return chosen


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
    on_binary: OnBinary | None = None,
    subprotocol: str = "",
    ssl: tls.SSLContext | None = None,
    open_timeout_s: float = 5.0,
    fast: bool = True,
    max_message: int = 65_536,
    limits: Limits | None = None,
) -> WebSocketConnection:
    """Open a connection as client; `wss` uses `ssl` or the system's certificates. A redirect is not followed.

    Args:
        uri: ws or wss.
        headers: of the request, beside the handshake's own.
        on_text: see `Connection`.
        on_close: see `Connection`.
        on_binary: see `Connection`; without it a binary message is refused with 1003.
        subprotocol: what the server must agree to speak; "" offers none.
        ssl: for `wss`.
        open_timeout_s: for TCP, TLS and the handshake together (s).
        fast: see `WebSocketConnection`.
        max_message: the limit, if `limits` is not given (bytes).
        limits: what the server may do.

    Raises:
        OSError: nobody listens there, or the connection broke off (ConnectionError).
        TimeoutError: no answer within `open_timeout_s` seconds.
        websockets.exceptions.InvalidHandshake: it answered, but not with 101 (InvalidStatus) or not properly, or
            without agreeing to `subprotocol`.
        websockets.exceptions.InvalidURI: `uri` is no WebSocket address.
    """
    address = parse_uri(uri)
    limits = limits or Limits(max_message=max_message)
    offered = [Subprotocol(subprotocol)] if subprotocol else None
    protocol = _OneSubprotocol(address, subprotocols=offered, max_size=limits.max_message)
    request = protocol.connect()
    for name, value in (headers or {}).items():
        request.headers[name] = value
    protocol.send_request(request)
    connection = WebSocketConnection(protocol, limits=limits, fast=fast)
    connection.on_text, connection.on_close, connection.on_binary = on_text, on_close, on_binary
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
