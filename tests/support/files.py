"""A web server with a few files."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web


@contextlib.asynccontextmanager
async def files(**contents: tuple[int, bytes]) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Serve `contents` (status and body by name); yields the address and how often each was fetched."""
    fetched: dict[str, int] = {}

    async def serve(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        fetched[name] = fetched.get(name, 0) + 1
        status, body = contents.get(name, (404, b""))
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", fetched
    finally:
        await runner.cleanup()
