"""The host as one HTTP server: start, one ready line, requests until a signal, a bounded clean end."""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from emulator.functions_host.admin import Admin
from emulator.functions_host.engine import Engine
from emulator.functions_host.http import HttpFunctions
from emulator.functions_host.keys import HostKeys
from emulator.functions_host.settings import HostFile
from emulator.functions_host.timers import Timers
from emulator.functions_host.webhook import PREFIX, EventGridWebhook
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

MAX_BODY = 100 * 1024 * 1024  # the real host's limit for a request's body (bytes)
SERVED = ("httptrigger", "eventgridtrigger", "timertrigger")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Attributes:
        app: the folder with function_app.py and host.json.
        host: address to bind.
        port: port to bind; 0 takes a free one.
        grace_s: how long requests may go on after a signal (s).
    """

    app: Path
    host: str
    port: int
    grace_s: float


class Host:
    """One app's functions behind the real host's doors."""

    def __init__(self, engine: Engine, keys: HostKeys, host_file: HostFile) -> None:
        functions = engine.functions.values()
        self._http = HttpFunctions(engine, keys, host_file.route_prefix)
        self._webhook = EventGridWebhook(engine, keys)
        self.timers = Timers(engine, [f for f in functions if f.kind == "timertrigger"])
        self.admin = Admin(engine, self.timers, keys)
        for function in functions:
            if function.kind not in SERVED:
                logger.warning(
                    "%s is never run: this host serves no %s", function.name, function.trigger["type"]
                )
            if function.outputs:
                logger.warning(
                    "%s: its output bindings are dropped: %s", function.name, ", ".join(function.outputs)
                )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request, and log it by its route: paths and queries may hold keys and tokens."""
        started = time.monotonic()
        path = request.rel_url.path
        if path.startswith(PREFIX):
            response, shown = await self._webhook.handle(request)
        elif path.startswith("/admin/"):
            response, shown = await self.admin.handle(request)
        else:
            response, shown = await self._http.handle(request)
        elapsed_ms = (time.monotonic() - started) * 1000
        logger.info("%s %s %d in %.0f ms", request.method, shown or "(no route)", response.status, elapsed_ms)
        return response


async def serve(options: Options, keys: HostKeys, host_file: HostFile) -> Engine:
    """Run the host until SIGTERM or SIGINT; the engine that is returned has to be stopped.

    Raises:
        LoadFailed: the app cannot be loaded.
        ConfigurationError: the address cannot be bound.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = await Engine.start(options.app, host_file.timeout_s)
    host = Host(engine, keys, host_file)
    application = web.Application(client_max_size=MAX_BODY)
    application.router.add_route("*", r"/{path:[\s\S]*}", host.handle)  # a path may hold %0A
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=options.grace_s)
    await runner.setup()
    timers = asyncio.create_task(host.timers.run())
    try:
        site = web.TCPSite(runner, options.host, options.port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(
                "--port", f"a free address ({error.strerror})", str(options.port)
            ) from None
        bound = runner.addresses[0]
        print(
            f"functions host ready http://{bound[0]}:{bound[1]} ({len(engine.functions)} functions)",
            flush=True,
        )
        await stop.wait()
        logger.info("stopping; requests may go on for %.0f s", options.grace_s)
    finally:
        timers.cancel()
        _, late = await asyncio.gather(runner.cleanup(), host.admin.finish(options.grace_s))
        if late:
            logger.warning("%d functions did not end within %.0f s", late, options.grace_s)
        with suppress(asyncio.CancelledError):
            await timers
    return engine
