"""A WebSocket peer that can say anything: raw bytes over a real socket, and frames built by hand."""

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from http import HTTPStatus

from websockets.http11 import Request

from media_host.framing import Limits
from media_host.websocket import WebSocketConnection, serve_protocol
from tests.support.timing import patience


def frame(
    payload: bytes = b"",
    *,
    opcode: int = 1,
    fin: bool = True,
    mask: bytes | None = b"\x01\x02\x03\x04",
    rsv: int = 0,
    length: int | None = None,
) -> bytes:
    """One frame (RFC 6455 5.2), written without any library; `length` may lie."""
    size = len(payload) if length is None else length
    bit = 0x80 if mask is not None else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if mask is not None:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        head += mask
    return head + payload


def close_frame(code: int, reason: str = "", *, mask: bytes | None = b"\x01\x02\x03\x04") -> bytes:
    return frame(struct.pack("!H", code) + reason.encode(), opcode=8, mask=mask)


def upgrade_request(path: str = "/x", **headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class RawPeer:
    """The other end of one TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def dial(cls, port: int) -> "RawPeer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def upgrade(self, path: str = "/x", **headers: str) -> bytes:
        self.writer.write(upgrade_request(path, **headers))
        return await self.head()

    async def head(self) -> bytes:
        async with asyncio.timeout(patience(5)):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def http(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of one plain request."""
        self.writer.write(request)
        async with asyncio.timeout(patience(5)):
            answer = await self.reader.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame, unmasked."""
        async with asyncio.timeout(patience(5)):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            mask = await self.reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
            payload = await self.reader.readexactly(size)
        if not any(mask):
            return first & 0x0F, payload
        return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    async def close_code(self) -> int:
        """The code of the close frame; frames before it are skipped; 1006 if there is none."""
        while True:
            try:
                opcode, payload = await self.frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return 1006
            if opcode == 8:
                return struct.unpack("!H", payload[:2])[0] if payload else 1005

    async def end(self) -> bytes:
        """Read until the other side closes."""
        async with asyncio.timeout(patience(5)):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


class Listener:
    """Our connection in one role, against a `RawPeer`; collects what it reports."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []
        self.messages: list[str | bytes] = []  # both kinds, texts as str
        self.closes: list[tuple[int, str]] = []
        self.arrived = asyncio.Event()
        self.ended = asyncio.Event()
        self.connection: WebSocketConnection
        self.peer: RawPeer
        self.hook: Callable[[bytes], None] | None = None
        self._server: asyncio.Server | None = None

    def on_text(self, data: bytes) -> None:
        self.texts.append(data)
        self.messages.append(data.decode())
        self.arrived.set()
        if self.hook:
            self.hook(data)

    def on_binary(self, data: bytes) -> None:
        self.binaries.append(data)
        self.messages.append(data)
        self.arrived.set()
        if self.hook:
            self.hook(data)

    def on_close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self.ended.set()

    async def as_server(
        self, *, fast: bool, limits: Limits, status: HTTPStatus | None = None, binary: bool = False
    ) -> "Listener":
        def decide(connection: WebSocketConnection, request: Request) -> None:
            if status is None:
                connection.on_binary = self.on_binary if binary else None
                connection.accept(request, self.on_text, self.on_close)
            else:
                connection.refuse(status, "no")

        def make() -> WebSocketConnection:
            self.connection = serve_protocol(decide, limits=limits, fast=fast)
            return self.connection

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(make, "127.0.0.1", 0)
        self.peer = await RawPeer.dial(self._server.sockets[0].getsockname()[1])
        return self

    async def got(self, count: int) -> list[bytes]:
        """Wait until `count` texts have come."""
        async with asyncio.timeout(patience(5)):
            while len(self.texts) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.texts

    async def close_told(self) -> tuple[int, str]:
        async with asyncio.timeout(patience(5)):
            await self.ended.wait()
        return self.closes[0]

    async def finish(self) -> None:
        await self.peer.close()
        async with asyncio.timeout(patience(5)):
            await self.connection.wait_closed()
        if self._server:
            self._server.close()
            await self._server.wait_closed()
