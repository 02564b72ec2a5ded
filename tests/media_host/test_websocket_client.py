"""Our connection as client, against the `websockets` library's own server and against raw bytes."""

import asyncio
import contextlib

import pytest
import websockets
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from media_host.framing import Limits
from media_host.websocket import connect
from tests.support.peers import Listener, close_frame, frame
from tests.support.timing import patience


@pytest.fixture(params=[True, False], ids=["fast", "library"])
def fast(request):
    return request.param


async def dial(server, listener, fast, **more):
    port = server.sockets[0].getsockname()[1]
    listener.connection = await connect(
        f"ws://127.0.0.1:{port}/v1?model=x",
        on_text=listener.on_text,
        on_close=listener.on_close,
        fast=fast,
        **more,
    )
    return listener.connection


async def test_round_trip_with_the_librarys_server(fast):
    async def echo(ws):
        assert (ws.request.path, ws.request.headers["Authorization"]) == ("/v1?model=x", "Bearer k")
        async for message in ws:
            await ws.send(message)
        assert ws.close_code == 1000

    texts = [b"", b"a" * 125, b"a" * 126, "häßlich".encode(), b"x" * 60_000] + [b"%d" % n for n in range(600)]
    listener = Listener()
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        connection = await dial(server, listener, fast, headers={"Authorization": "Bearer k"})
        for text in texts:
            assert connection.send_text(text)
        assert await listener.got(len(texts)) == texts
        connection.close()
        assert await listener.close_told() == (1000, "")
        await connection.wait_closed()


async def test_both_kinds_of_messages_with_the_librarys_server_and_a_subprotocol(fast):
    async def echo(ws):
        assert ws.subprotocol == "voice-agent.v1"
        async for message in ws:
            await ws.send(message)

    listener = Listener()
    messages = [bytes(range(256)), "häßlich", b"", "", b"\xff" * 60_000] + [b"%d" % n for n in range(300)]
    async with serve(
        echo, "127.0.0.1", 0, compression=None, subprotocols=["other", "voice-agent.v1"]
    ) as server:
        connection = await dial(
            server, listener, fast, subprotocol="voice-agent.v1", on_binary=listener.on_binary
        )
        for message in messages:
            if isinstance(message, bytes):
                assert connection.send_binary(message)
            else:
                assert connection.send_text(message.encode())
        async with asyncio.timeout(patience(5)):
            while len(listener.messages) < len(messages):
                await asyncio.sleep(0)
        assert listener.messages == messages
        connection.close()
        await connection.wait_closed()


def choosing(*chosen):
    """A server that upgrades and answers with these subprotocols, whatever was offered, and then sends a message."""

    async def talk(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        lines = [f"Sec-WebSocket-Protocol: {name}\r\n" for name in chosen]
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + websockets.utils.accept_key(key).encode() + b"\r\n"
            + "".join(lines).encode() + b"\r\n" + frame(b"too early", mask=None)
        )  # fmt: skip
        await reader.read()

    return talk


@pytest.mark.parametrize("chosen", [(), ("other",), ("voice-agent.v1", "other")])
async def test_a_server_that_does_not_agree_to_our_subprotocol_is_refused(fast, chosen):
    listener = Listener()
    async with raw_server(choosing(*chosen)) as server:
        with pytest.raises(InvalidHandshake):
            await dial(server, listener, fast, subprotocol="voice-agent.v1")
    assert listener.texts == listener.closes == []


async def test_a_subprotocol_that_we_have_not_offered_is_refused(fast):
    listener = Listener()
    async with raw_server(choosing("voice-agent.v1")) as server:
        with pytest.raises(InvalidHandshake):
            await dial(server, listener, fast)


async def test_a_redirect_is_not_followed(fast):
    asked = []

    def redirect(connection, request):
        asked.append(request.path)
        response = connection.respond(302, "over there")
        response.headers["Location"] = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/elsewhere"
        return response

    async with serve(lambda ws: None, "127.0.0.1", 0, process_request=redirect) as server:
        with pytest.raises(InvalidStatus) as caught:
            await dial(server, Listener(), fast, headers={"Authorization": "Bearer k"})
    assert caught.value.response.status_code == 302
    assert asked == ["/v1?model=x"]


async def test_what_comes_with_the_answer_is_delivered_and_the_servers_farewell_told(fast):
    async def talk(ws):
        for n in range(50):
            await ws.send(str(n))
        await ws.close(4001, "enough")

    listener = Listener()
    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        await dial(server, listener, fast)
        assert await listener.close_told() == (4001, "enough")
        assert listener.texts == [b"%d" % n for n in range(50)]
        async with asyncio.timeout(patience(5)):
            await listener.connection.wait_closed()


async def test_refusal_keeps_status_and_body(fast):
    def refuse(connection, request):
        return connection.respond(401, "no such key")

    async with serve(lambda ws: None, "127.0.0.1", 0, process_request=refuse) as server:
        listener = Listener()
        with pytest.raises(InvalidStatus) as caught:
            await dial(server, listener, fast)
    assert caught.value.response.status_code == 401
    assert caught.value.response.body == b"no such key"
    assert listener.closes == []


@contextlib.asynccontextmanager
async def raw_server(talk):
    tasks = []

    async def run(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    yield server
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


def answering(payload, then=None):
    """A server that upgrades by hand and sends `payload` in the same piece."""

    async def talk(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        accept = websockets.utils.accept_key(key)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n" + payload
        )
        await writer.drain()
        if then:
            await then(reader, writer)
        await reader.read()

    return talk


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (frame(b"masked"), 1002),
        (frame(b"x" * 2001, mask=None), 1009),
        (frame(b"\xff", mask=None), 1007),
        (frame(b"x", opcode=2, mask=None), 1003),
        (frame(b"x", rsv=4, mask=None), 1002),
        (close_frame(1001, "bye", mask=None), 1001),
    ],
    ids=["masked", "big", "utf8", "binary", "reserved", "farewell"],
)
async def test_rules_hold_for_servers_too(fast, payload, code):
    listener = Listener()
    async with raw_server(answering(frame(b"first", mask=None) + payload)) as server:
        await dial(server, listener, fast, limits=Limits(max_message=2000, close_s=0.2))
        assert (await listener.close_told())[0] == code
        assert listener.texts == [b"first"]
        async with asyncio.timeout(patience(5)):
            await listener.connection.wait_closed()


async def test_fragments_in_single_bytes_from_a_server(fast):
    stream = frame(b"hel", fin=False, mask=None) + frame(b"", opcode=9, mask=None)
    stream += frame(b"lo", opcode=0, mask=None) + frame(b"next", mask=None)

    async def slowly(reader, writer):
        for byte in stream:
            writer.write(bytes([byte]))
            await writer.drain()

    listener = Listener()
    async with raw_server(answering(b"", slowly)) as server:
        await dial(server, listener, fast)
        assert await listener.got(2) == [b"hello", b"next"]
        listener.connection.abort()
        assert await listener.close_told() == (1006, "")


async def test_our_masks_differ_from_frame_to_frame(fast):
    seen = []

    async def read(reader, writer):
        for _ in range(600):
            seen.append(await reader.readexactly(2 + 4 + 4))

    listener = Listener()
    async with raw_server(answering(b"", read)) as server:
        connection = await dial(server, listener, fast)
        for _ in range(600):
            connection.send_text(b"same")
        async with asyncio.timeout(patience(5)):
            while len(seen) < 600:
                await asyncio.sleep(0)
        connection.abort()
        await connection.wait_closed()
    assert {piece[:2] for piece in seen} == {b"\x81\x84"}
    assert len({piece[2:6] for piece in seen}) == 600


async def never(reader, writer):
    await reader.read()


async def hang_up(reader, writer):
    await reader.readuntil(b"\r\n\r\n")


async def gibberish(reader, writer):
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await reader.read()


async def endless(reader, writer):
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"x" * 10_000)
            await writer.drain()


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (never, TimeoutError),
        (hang_up, (InvalidHandshake, ConnectionError)),
        (gibberish, InvalidHandshake),
        (endless, (InvalidHandshake, ConnectionError)),
    ],
)
async def test_no_proper_answer(talk, error):
    listener = Listener()
    async with raw_server(talk) as server:
        with pytest.raises(error):
            await dial(server, listener, True, open_timeout_s=0.1 if talk is never else patience(5))
    assert listener.closes == []
    await asyncio.sleep(0)


async def test_nobody_there_and_no_address():
    listener = Listener()
    with pytest.raises(OSError):
        await connect("ws://127.0.0.1:1", on_text=listener.on_text, on_close=listener.on_close)
    with pytest.raises(InvalidURI):
        await connect("https://127.0.0.1", on_text=listener.on_text, on_close=listener.on_close)


async def test_a_cancelled_dial_leaves_no_socket_behind():
    listener = Listener()
    gone = asyncio.Event()

    async def watch(reader, writer):
        await reader.read()
        gone.set()

    async with raw_server(watch) as server:
        task = asyncio.create_task(dial(server, listener, True))
        while not server.sockets or not asyncio.all_tasks() - {task, asyncio.current_task()}:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(patience(5)):
            await gone.wait()
