"""The same connection on the loop that runs in production: its transports differ from asyncio's."""

import asyncio
import contextlib
import sys
from http import HTTPStatus

import pytest
import uvloop

from media_host.framing import Limits
from media_host.websocket import connect
from tests.support.peers import Listener, close_frame, frame, upgrade_request
from tests.support.timing import patience

if sys.platform == "win32":
    pytest.skip("no uvloop on Windows", allow_module_level=True)

LIMITS = Limits(max_message=2000, close_s=0.3)


@contextlib.asynccontextmanager
async def opened(limits=LIMITS, *, upgrade=True, **more):
    listener = await Listener().as_server(fast=True, limits=limits, **more)
    if upgrade:
        await listener.peer.upgrade()
    yield listener
    await listener.finish()


async def texts_and_farewell():
    async with opened() as line:
        for byte in frame(b"one") + frame(b"tw", fin=False) + frame(b"", opcode=9) + frame(b"o", opcode=0):
            line.peer.writer.write(bytes([byte]))
            await line.peer.writer.drain()
        assert await line.got(2) == [b"one", b"two"]
        assert await line.peer.frame() == (10, b"")
        assert line.connection.send_text(b"x" * 1400)
        assert await line.peer.frame() == (1, b"x" * 1400)
        line.peer.writer.write(close_frame(1000, "bye"))
        assert await line.peer.close_code() == 1000
        assert await line.close_told() == (1000, "bye")


async def a_refusal_reaches_a_peer_that_keeps_talking():
    async with opened(upgrade=False, status=HTTPStatus.UNAUTHORIZED) as line:
        assert await line.peer.http(upgrade_request() + b"x" * 100_000) == (401, b"no\n")


async def a_broken_rule():
    async with opened() as line:
        line.peer.writer.write(frame(b"x" * 2001) + frame(b"more") * 1000)
        assert await line.peer.close_code() == 1009


async def a_slow_peer():
    async with opened(Limits(write_bound=50_000)) as line:
        line.peer.writer.transport.pause_reading()
        for _ in range(200):
            for _ in range(50):
                line.connection.send_text(b"x" * 1400)
            await asyncio.sleep(0)
        assert line.connection.dropped > 0
        assert line.connection._waiting() < 200_000
        line.peer.writer.transport.resume_reading()


async def a_half_open_line():
    async with opened(Limits(ping_interval_s=0.05, ping_timeout_s=0.05)) as line:
        assert await line.close_told() == (1006, "")


async def client_and_server():
    async with opened(upgrade=False) as line:
        port = line._server.sockets[0].getsockname()[1]
        client = Listener()
        connection = await connect(
            f"ws://127.0.0.1:{port}/x", on_text=client.on_text, on_close=client.on_close
        )
        server = line.connection
        for n in range(50):
            assert connection.send_text(b"up %d" % n)
            assert server.send_text(b"down %d" % n)
        assert (await line.got(50))[-1] == b"up 49"
        assert (await client.got(50))[-1] == b"down 49"
        connection.close(1000)
        assert await client.close_told() == (1000, "")
        await connection.wait_closed()
        async with asyncio.timeout(patience(5)):
            await server.wait_closed()
        line.connection = server


@pytest.mark.parametrize(
    "story",
    [
        texts_and_farewell,
        a_refusal_reaches_a_peer_that_keeps_talking,
        a_broken_rule,
        a_slow_peer,
        a_half_open_line,
        client_and_server,
    ],
)
def test_on_uvloop(story):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
