"""The media WebSocket client against raw bytes: fragments, pings, refusals, slow and vanishing peers."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from emulator.acs import socket as media_socket
from emulator.acs.socket import MediaSocket
from tests.support.timing import patience

type Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Answer the upgrade; returns the request's head."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(
        line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
    )
    accept = base64.b64encode(
        hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
    ).decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    return head


def frame(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


class Client:
    """A socket that remembers what it was told."""

    def __init__(self, port: int) -> None:
        self.messages: list[bytes] = []
        self.codes: list[int] = []
        self.changed = asyncio.Event()
        self.socket = MediaSocket(
            f"ws://127.0.0.1:{port}/media/secret", {"Authorization": "Bearer t"}, self._message, self._close
        )

    def _message(self, message: bytes) -> None:
        self.messages.append(message)
        self.changed.set()

    def _close(self, code: int) -> None:
        self.codes.append(code)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(patience(5)):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def talking_to(peer: Peer, upgraded: bool = True):
    """A client connected to `peer`, which has the connection after the upgrade."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await upgrade(reader, writer) if upgraded else ""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await peer(reader, writer, head)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(server.sockets[0].getsockname()[1])
    try:
        yield client
    finally:
        client.socket.abort()
        server.close()
        server.close_clients()
        await server.wait_closed()


async def test_the_upgrade_and_a_message_in_fragments() -> None:
    heads = []

    async def peer(reader, writer, head: str) -> None:
        heads.append(head)
        writer.write(frame(Opcode.TEXT, b"whole"))
        for byte in (
            frame(Opcode.TEXT, b"in ", False) + frame(Opcode.PING, b"p") + frame(Opcode.CONT, b"parts")
        ):
            writer.write(bytes([byte]))
            await writer.drain()
        pong = await reader.readexactly(7)
        assert pong[0] == 0x8A
        heads.append("pong")
        await reader.read()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        assert client.socket.is_open
        await client.until(lambda: len(client.messages) == 2)
        assert client.messages == [b"whole", b"in parts"]
        async with asyncio.timeout(patience(5)):
            while "pong" not in heads:
                await asyncio.sleep(0.002)
    assert heads[0].startswith("GET /media/secret HTTP/1.1")
    assert "Authorization: Bearer t" in heads[0]
    assert "permessage-deflate" not in heads[0]


async def test_sent_messages_are_masked_text() -> None:
    got = asyncio.get_running_loop().create_future()

    async def peer(reader, writer, head: str) -> None:
        got.set_result(await reader.readexactly(2 + 4 + 5))
        await reader.read()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        client.socket.send(b"hello")
        data = await got
    assert data[:2] == bytes([0x81, 0x85])
    assert bytes(a ^ b for a, b in zip(data[6:], (data[2:6] * 2), strict=False)) == b"hello"


async def test_a_refused_upgrade() -> None:
    async def peer(reader, writer, head: str) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with talking_to(peer, upgraded=False) as client:
        with pytest.raises(InvalidStatus):
            await client.socket.open(patience(5))
    assert client.codes == []


async def test_a_peer_that_never_answers_the_upgrade() -> None:
    async def peer(reader, writer, head: str) -> None:
        await reader.read()

    async with talking_to(peer, upgraded=False) as client:
        with pytest.raises(TimeoutError):
            await client.socket.open(0.05)
    assert client.codes == []


async def test_a_peer_that_hangs_up_during_the_upgrade() -> None:
    async def peer(reader, writer, head: str) -> None:
        writer.close()

    async with talking_to(peer, upgraded=False) as client:
        with pytest.raises((OSError, Exception)):
            await client.socket.open(patience(5))
    assert client.codes == []


async def test_nobody_listens() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError):
        await Client(port).socket.open(patience(5))


@pytest.mark.parametrize(("code", "data"), [(1000, b"\x03\xe8"), (1001, b"\x03\xe9bye"), (1011, b"\x03\xf3")])
async def test_the_peer_closes(code: int, data: bytes) -> None:
    async def peer(reader, writer, head: str) -> None:
        writer.write(frame(Opcode.CLOSE, data))
        await reader.read()
        writer.close()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        await client.until(lambda: bool(client.codes))
    assert client.codes == [code]
    assert not client.socket.is_open


async def test_the_peer_vanishes() -> None:
    async def peer(reader, writer, head: str) -> None:
        writer.transport.abort()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        await client.until(lambda: bool(client.codes))
    assert client.codes == [1006]


async def test_closing_a_peer_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "GOODBYE_S", 0.05)

    async def peer(reader, writer, head: str) -> None:
        await reader.read()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        await client.socket.close()
        await client.until(lambda: bool(client.codes))
        assert len(client.codes) == 1
        client.socket.send(b"too late")


async def test_a_peer_that_does_not_read_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "MAX_UNSENT", 64 * 1024)
    over = asyncio.Event()

    async def peer(reader, writer, head: str) -> None:
        reader._transport.pause_reading()
        await over.wait()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        for _ in range(2000):
            client.socket.send(b"x" * 10_000)
        assert client.socket.dropped > 500
        over.set()


async def test_a_message_that_is_too_big_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "MAX_MESSAGE", 1000)
    monkeypatch.setattr(media_socket, "GOODBYE_S", 0.05)

    async def peer(reader, writer, head: str) -> None:
        writer.write(frame(Opcode.TEXT, b"x" * 1001))
        await reader.read()
        writer.close()

    async with talking_to(peer) as client:
        await client.socket.open(patience(5))
        await client.until(lambda: bool(client.codes))
    assert client.messages == []
    assert client.codes != [1000]
