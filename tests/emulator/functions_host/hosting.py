"""Sample apps, each in a real host process of its own (one app per process), reached over real HTTP."""

import asyncio
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.support.timing import patience

ROOT = Path(__file__).resolve().parents[3]
HEADER = "import azure.functions as func\n"


def write_app(folder: Path, source: str, host: dict | None = None, settings: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(HEADER + textwrap.dedent(source))
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **(host or {})}))
    if settings is not None:
        (folder / "local.settings.json").write_text(json.dumps(settings))
    return folder


class HostProcess:
    """`python -m emulator.functions_host` on a free port; `with` it to have it stopped."""

    def __init__(self, app: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.log = app / "host.log"
        self.keys_file = app / ".patchcord" / "functions-keys.json"
        command = [
            sys.executable,
            "-m",
            "emulator.functions_host",
            "--app",
            str(app),
            "--port",
            "0",
            *arguments,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.ready = self._first_line()
        self.base = self.ready and re.search(r"http://\S+", self.ready)[0]
        self.keys = json.loads(self.keys_file.read_text()) if self.keys_file.exists() else {}

    def _first_line(self) -> str:
        """The first line on standard output; "" when it ended without one."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(patience(20)):
                self.stop(signal.SIGKILL)
                raise AssertionError(self.logged)
        return self.process.stdout.readline().decode().strip()

    def __enter__(self) -> "HostProcess":
        assert self.ready, self.logged
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def logged(self) -> str:
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it unless it has ended, and wait for its end; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end (SIGKILL if that does not come); the exit code."""
        try:
            return self.process.wait(patience(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()

    async def call(
        self, method: str, path: str, **options: object
    ) -> tuple[int, str, aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=patience(20))
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.base + path, allow_redirects=False, **options) as response,
        ):
            return response.status, await response.text(), response

    async def grid(
        self, function: str, events: object, kind: str | None = "Notification", key: str | None = None
    ) -> tuple[int, str]:
        """Post to the webhook as Event Grid does; returns status and text."""
        key = self.keys["system"]["eventgrid_extension"] if key is None else key
        headers = {} if kind is None else {"aeg-event-type": kind}
        body = events if isinstance(events, bytes) else json.dumps(events).encode()
        path = f"/runtime/webhooks/eventgrid?functionName={function}&code={key}"
        status, text, _ = await self.call("POST", path, data=body, headers=headers)
        return status, text


async def eventually(check: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until `check()` is true."""
    end = time.monotonic() + patience(within_s)
    while not check():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)
