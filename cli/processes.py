"""Child processes of a stack: started with a log file, awaited until ready, stopped by pid."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from shared.errors import PatchcordError

ROOT = Path(__file__).resolve().parent.parent


class StartFailed(PatchcordError):
    """A process of the stack ended, or did not become ready in time; the message holds the end of its log."""


_PORTS = range(15_000, 32_000)
"""Below the ports that systems give to outgoing connections: one of those may be taken before its server has started."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses at this moment, and that no outgoing connection will be given.

    Raises:
        OSError: none of a hundred is free.
    """
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free TCP port on 127.0.0.1")


class Child:
    """One Python module as a process of its own.

    Args:
        name: for messages and the log's file name.
        module: what `python -m` runs.
        arguments: its arguments.
        env: variables on top of this process's environment.
        log: file that takes its standard output and error.
    """

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", module, *arguments]
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **env}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, ready: Callable[[], Awaitable[bool]], within_s: float) -> None:
        """Start and poll `ready` every 50 ms.

        Raises:
            StartFailed: it ended by itself, or was not ready `within_s` seconds later (it is stopped then).
        """
        with self.log.open("ab") as output:
            # A session of its own, so that Ctrl-C reaches only the parent, which stops its children in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(within_s):
                while not await ready():
                    if self._process.returncode is not None:
                        raise StartFailed(self._failure(f"ended with exit code {self._process.returncode}"))
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise StartFailed(self._failure(f"was not ready within {within_s:.0f} s")) from None

    def _failure(self, what: str) -> str:
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"{self.name} {what}; the end of {self.log}:", *(f"    {line}" for line in tail)])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it is still running."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def stop(self, within_s: float = 10.0) -> int:
        """SIGTERM, then SIGKILL after `within_s` seconds; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), within_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()
