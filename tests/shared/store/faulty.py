"""A table service that does not behave: it follows a plan, one word a request, and then passes everything on.

Words: a status ("503") to answer with it; "drop" to hang up before the request is passed on; "lose" to pass it on and hang up
instead of answering, so that the client cannot know; "mute" to keep the client waiting; "pass" to behave.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from aiohttp import ClientSession, web
from yarl import URL

from tests.support.azurite import connection_string


class FaultyTables:
    """In front of the table service at `upstream` (`http://127.0.0.1:PORT`), or of none.

    Attributes:
        plan: what to do with the next requests.
        seen: method of each request that arrived.
    """

    HIDDEN: ClassVar[set[str]] = {"transfer-encoding", "content-length", "connection", "date", "keep-alive"}

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.plan: list[str] = []
        self.seen: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.method)
        word = self.plan.pop(0) if self.plan else "pass"
        if word.isdecimal():
            return web.Response(status=int(word))
        if word == "mute":
            await asyncio.Event().wait()
        answer = None if word == "drop" else await self.forward(request)
        if answer is None or word == "lose":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer

    async def forward(self, request: web.Request) -> web.Response:
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                URL(self.upstream + request.raw_path, encoded=True),
                headers=request.headers,
                data=await request.read() or None,  # no content type is added: it would be signed
            ) as answer,
        ):
            headers = {key: value for key, value in answer.headers.items() if key.lower() not in self.HIDDEN}
            return web.Response(status=answer.status, headers=headers, body=await answer.read())


@asynccontextmanager
async def serve(faulty: FaultyTables) -> AsyncIterator[str]:
    """Run it; yields the connection string for it."""
    server = web.Server(faulty.handle)
    runner = web.ServerRunner(server, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield connection_string(f"http://127.0.0.1:{port}")
    finally:
        await runner.cleanup()
