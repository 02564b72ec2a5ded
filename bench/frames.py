"""The few lines of RFC 6455 that the relay and the load generator need: handshakes, headers, splitting.

No limits, no fragments, no checks: both ends are ours and on loopback. The media host has none of this code.
"""

import asyncio
import base64
import hashlib
import os
import socket
from typing import cast

from websockets.speedups import apply_mask

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
CLOSE_NORMAL = b"\x03\xe8"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def header(opcode: int, size: int, *, masked: bool) -> bytes:
    """The header of a final frame with `size` bytes of payload, up to the masking key."""
    mask = 0x80 if masked else 0
    if size < 126:
        return bytes((opcode, mask | size))
    if size < 65_536:
        return bytes((opcode, mask | 126)) + size.to_bytes(2)
    return bytes((opcode, mask | 127)) + size.to_bytes(8)


class Masks:
    """Random masking keys, 256 for each system call."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def next(self) -> bytes:
        """Four random bytes."""
        if self._at == len(self._pool):
            self._pool, self._at = os.urandom(1024), 0
        self._at += 4
        return self._pool[self._at - 4 : self._at]


class Peer(asyncio.Protocol):
    """One end of a WebSocket: `opened()` after the handshake, `message(text)` for each text frame, `lost()` at the end.

    Args:
        path: what to ask for, as a client; None: be the server.
        headers: of the client's request.

    Attributes:
        is_open: the handshake is done, and the connection stands.
        status: of the server's answer, as a client.
        asked: the path that the client asked for, as a server.
    """

    def __init__(self, path: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.is_open = False
        self.status = 0
        self.asked = ""
        self._client = path is not None
        self._path = path or "/"
        self._headers = headers or {}
        self._masks = Masks()
        self._tail = b""
        self._closing = False

    def opened(self) -> None:
        """The handshake is done."""

    def message(self, text: bytes) -> None:
        """A text frame came."""

    def lost(self) -> None:
        """The connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up, and ask for the upgrade as a client (asyncio)."""
        self.transport = cast(asyncio.Transport, transport)
        self.write = self.transport.write
        self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._client:
            key = base64.b64encode(os.urandom(16)).decode()
            head = {
                "Host": "127.0.0.1",
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": key,
                "Sec-WebSocket-Version": "13",
                **self._headers,
            }
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            self.write(f"GET {self._path} HTTP/1.1\r\n{lines}\r\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """The end (asyncio)."""
        self.is_open = False
        self.lost()

    def _handshake(self, data: bytes) -> bytes | None:
        """Take the other side's head; returns what follows it, or None while it is incomplete."""
        data = self._tail + data
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._tail = data
            return None
        self._tail = b""
        if self._client:
            self.status = int(head.split(b" ", 2)[1])
            if self.status != 101:
                self.transport.abort()
                return None
        else:
            names = {}
            self.asked = head.split(b" ", 2)[1].decode()
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                names[name.strip().lower()] = value.strip()
            digest = hashlib.sha1(names[b"sec-websocket-key"] + _GUID, usedforsecurity=False).digest()
            self.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
        self.is_open = True
        self.opened()
        return rest

    def data_received(self, data: bytes) -> None:
        """Split into frames (asyncio)."""
        if not self.is_open:
            rest = self._handshake(data)
            if rest is None:
                return
            data = rest
        if self._tail:
            data = self._tail + data
        at, end = 0, len(data)
        while end - at >= 2:
            size = data[at + 1] & 0x7F
            body = at + 2
            if size == 126:
                size = int.from_bytes(data[body : body + 2])
                body += 2
            elif size == 127:
                size = int.from_bytes(data[body : body + 8])
                body += 8
            masked = data[at + 1] & 0x80
            if masked:
                body += 4
            if body + size > end:
                break
            payload = data[body : body + size]
            if masked:
                payload = apply_mask(payload, data[body - 4 : body])
            if data[at] == TEXT:
                self.message(payload)
            else:
                self._control(data[at], payload)
            at = body + size
        self._tail = data[at:]

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.send(payload, PONG)
        elif opcode == CLOSE:
            if not self._closing:
                self.close(payload[:2])
            self.transport.close()

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one frame."""
        head = header(opcode, len(payload), masked=self._client)
        if self._client:
            mask = self._masks.next()
            self.write(head + mask + apply_mask(payload, mask))
        else:
            self.write(head + payload)

    def close(self, code: bytes = CLOSE_NORMAL) -> None:
        """Say goodbye, once."""
        if self.is_open and not self._closing:
            self._closing = True
            self.send(code, CLOSE)
