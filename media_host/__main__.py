"""`python -m media_host`: run one media host until SIGTERM or SIGINT, then let its calls end.

Exit codes: 0 after a drain, 2 when a setting or patchcord.yaml is wrong, 3 when the address cannot be bound.
"""

import asyncio
import logging
import signal
import sys

from media_host.host import MediaHost
from shared.errors import ConfigurationError
from shared.settings import MediaHostSettings, media_host_settings
from shared.telemetry import configure_logging

log = logging.getLogger("media_host")


async def serve(settings: MediaHostSettings) -> None:
    """Serve until a signal, then drain. A second signal changes nothing: the platform's SIGKILL is the last word."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with MediaHost(settings) as host:
        print(
            f"media host {settings.host_id} listening on {settings.listen_host}:{host.server.port}",
            flush=True,
        )
        await stop.wait()
        await host.drain()
    log.info("drained")


def main() -> int:
    """Read the settings and run; returns the exit code."""
    try:
        settings = media_host_settings()
        configure_logging(settings.log_level, settings.telemetry.log_format)
        run(settings)
    except ConfigurationError as error:
        print(f"media host: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"media host: {error}", file=sys.stderr)
        return 3
    return 0


def run(settings: MediaHostSettings) -> None:
    """On uvloop where there is one (not on Windows), else on asyncio's own loop."""
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(serve(settings))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))


if __name__ == "__main__":
    sys.exit(main())
