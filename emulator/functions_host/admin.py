"""The host's own API: fire a function by hand, and ask how the host is. Both want the master key."""

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from emulator.functions_host.engine import Engine, Function, FunctionFailed, log_failure
from emulator.functions_host.keys import HostKeys, presented_key
from emulator.functions_host.timers import Timers
from emulator.functions_host.webhook import event_data

FUNCTIONS = "/admin/functions/"
STATUS = "/admin/host/status"


class Admin:
    """`POST /admin/functions/{name}` and `GET /admin/host/status` (FunctionsController.cs, HostController.cs)."""

    def __init__(self, engine: Engine, timers: Timers, keys: HostKeys) -> None:
        self._engine = engine
        self._timers = timers
        self._keys = keys
        self._started = time.monotonic()
        self._running: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> tuple[web.Response, str]:
        """Answer a request to `/admin/…`; the second value is what the log shows."""
        if not self._keys.allows_admin(presented_key(request.headers, request.query)):
            return web.Response(status=401), "/admin/…"
        if request.method == "GET" and request.path == STATUS:
            return web.json_response(self.status()), STATUS
        if request.method == "POST" and request.path.startswith(FUNCTIONS):
            name = request.path.removeprefix(FUNCTIONS)
            function = next((f for n, f in self._engine.functions.items() if n.lower() == name.lower()), None)
            if function is not None:
                return self._fire(function, await request.read()), FUNCTIONS + function.name
        return web.Response(status=404), "/admin/…"

    def status(self) -> dict[str, Any]:
        """What `GET /admin/host/status` answers; `processUptime` in ms."""
        return {
            "id": "patchcord-functions-host",
            "state": "Running",
            "version": "patchcord",
            "processUptime": int((time.monotonic() - self._started) * 1000),
        }

    def _fire(self, function: Function, body: bytes) -> web.Response:
        """Start a function in the background and answer 202; the body is `{"input": TEXT}`."""
        try:
            given = json.loads(body or b"{}").get("input", "")
            event = json.loads(given) if function.kind == "eventgridtrigger" else None
        except (ValueError, AttributeError, TypeError):
            expected = (
                'expected {"input": "…"}; for an Event Grid trigger the input is one event as JSON text'
            )
            return web.Response(status=400, text=expected)
        if function.kind == "timertrigger":
            work = self._timers.fire(function.name)
        elif function.kind == "eventgridtrigger":
            work = self._send(function, event)
        else:
            return web.Response(
                status=400, text="only timer and Event Grid functions are fired here; call the route"
            )
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.Response(status=202)

    async def _send(self, function: Function, event: Any) -> None:
        data, metadata = event_data(event)
        try:
            await self._engine.invoke(function, data, metadata=metadata)
        except FunctionFailed as failure:
            log_failure(failure)

    async def finish(self, within_s: float) -> int:
        """Let what was fired end; returns how many had to be cancelled after `within_s` seconds."""
        if not self._running:
            return 0
        _, late = await asyncio.wait(self._running, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)
