"""A collector on loopback that shows what it gets as one page: `patchcord up --metrics`."""

import asyncio
from collections.abc import Sequence
from typing import Self

from aiohttp import web

from cli.metrics.kept import Kept
from cli.metrics.otlp import SpanData, read_metrics, read_traces
from cli.metrics.page import page
from shared.errors import InvalidInput
from shared.settings import is_loopback

QUIET_S = 1.2
"""Exporters send at least twice in this time (s): see `Collector.env`."""

BODY_LIMIT = 16 * 1024 * 1024
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Collector:
    """Takes OTLP over HTTP, and serves the page at `/`; an async context manager.

    Args:
        port: to listen on; 0 takes a free one.

    Attributes:
        kept: what has come.
        endpoint: base address, once it listens.
    """

    def __init__(self, port: int = 0) -> None:
        self.kept = Kept()
        self.endpoint = ""
        self._port = port
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/v1/traces", self._traces)
        app.router.add_post("/v1/metrics", self._metrics)
        app.router.add_get("/", self._page)
        self._runner = web.AppRunner(app, access_log=None)

    @property
    def env(self) -> dict[str, str]:
        """Variables that make a process export to here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        }

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def whole_trace(self, call_id: str, within_s: float = 15.0) -> Sequence[SpanData]:
        """The spans of a call that is over, once both processes have sent theirs; none when its first one has not come."""
        try:
            async with asyncio.timeout(within_s):
                while not await self._quiet() or not self.kept.has_ended(call_id):
                    pass
        except TimeoutError:
            return ()
        return self.kept.trace_of(call_id)

    async def _quiet(self) -> bool:
        """Whether no more spans came for a while."""
        before = self.kept.spans
        await asyncio.sleep(QUIET_S)
        return self.kept.spans == before

    async def _traces(self, request: web.Request) -> web.Response:
        try:
            self.kept.add_spans(read_traces(await request.read()))
        except InvalidInput as error:
            return web.Response(status=400, text=error.message)
        return web.Response(content_type="application/x-protobuf")

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            self.kept.add_points(read_metrics(await request.read()))
        except InvalidInput as error:
            return web.Response(status=400, text=error.message)
        return web.Response(content_type="application/x-protobuf")

    async def _page(self, request: web.Request) -> web.Response:
        if not is_loopback(request.url.host or ""):  # a page from elsewhere that has its name point to us
            return web.Response(status=403, text="only on this machine")
        return web.Response(text=page(self.kept), content_type="text/html", headers=_HEADERS)
