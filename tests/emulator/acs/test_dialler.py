"""Outgoing WebSockets: wss with certificates of the emulator's authority and of no other; traced when there is a trace."""

import asyncio
import contextlib
import json
import ssl

import pytest
from aiohttp import web

from emulator.acs.dialler import Dialler
from emulator.acs.socket import MediaSocket
from emulator.tls import Authority
from emulator.trace import Trace
from tests.support.timing import patience


@contextlib.asynccontextmanager
async def app_at(context: ssl.SSLContext | None):
    """An app that greets and echoes; gives its address."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"kind":"Hello"}')
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/media", echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"{'wss' if context else 'ws'}://127.0.0.1:{runner.addresses[0][1]}/media"
    finally:
        await runner.cleanup()


class Line:
    """One connection and what came over it."""

    def __init__(self, dialler: Dialler, uri: str) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.codes: list[int] = []
        headers = {"x-ms-call-connection-id": "cc-1", "x-ms-call-correlation-id": "c-1"}
        self.socket = dialler.socket(uri, headers, self.received.put_nowait, self.codes.append)

    async def say(self, message: bytes) -> bytes:
        self.socket.send(message)
        async with asyncio.timeout(patience(5)):
            return await self.received.get()


async def test_wss_with_a_certificate_of_the_same_authority(tmp_path) -> None:
    authority = Authority(tmp_path)
    async with app_at(authority.server_context()) as uri:
        line = Line(Dialler(authority.client_context()), uri)
        await line.socket.open(patience(5))
        assert await line.say(b"{}") == b'{"kind":"Hello"}'
        await line.socket.close()
    assert line.codes == [1000]


@pytest.mark.parametrize("trust", ["another authority", "the system's authorities"])
async def test_wss_with_any_other_certificate_is_refused(tmp_path, trust) -> None:
    client = Authority(tmp_path / "b").client_context() if trust == "another authority" else None
    async with app_at(Authority(tmp_path / "a").server_context()) as uri:
        line = Line(Dialler(client), uri)
        with pytest.raises(ssl.SSLCertVerificationError):
            await line.socket.open(patience(5))
    assert line.codes == []


async def test_without_a_trace_nothing_stands_between(tmp_path) -> None:
    async with app_at(None) as uri:
        assert type(Line(Dialler(), uri).socket) is MediaSocket


async def test_a_traced_connection(tmp_path) -> None:
    trace = Trace(tmp_path)
    async with app_at(None) as uri:
        line = Line(Dialler(trace=trace), uri)
        line.socket.send(b'{"kind":"Early"}')  # not open: neither sent nor traced
        await line.socket.open(patience(5))
        await line.say(b'{"kind":"AudioData"}')
        assert await line.say(b"{}") == b'{"kind":"AudioData"}'
        async with asyncio.timeout(patience(5)):
            assert await line.received.get() == b"{}"
        await line.socket.close()
        refused = Line(Dialler(trace=trace), uri.replace("/media", "/nothing"))
        with pytest.raises(Exception, match="404"):
            await refused.socket.open(patience(5))
    trace.close()
    lines = [json.loads(text) for text in (tmp_path / "call-c-1.jsonl").read_text().splitlines()]
    seen = [(line["is"], line.get("kind")) for line in lines]
    messages = [("message", "Hello"), ("message", "?"), ("message", "?"), *[("frame", "AudioData")] * 2]
    assert sorted(seen[1:-2], key=str) == sorted(messages, key=str)
    assert (seen[0], seen[-2], seen[-1]) == (("opened", None), ("closed", None), ("refused", None))
    assert lines[-1]["error"] == "InvalidStatus"
