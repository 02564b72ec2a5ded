"""The other programs of a run, as children on stdin and stdout: the load generator, the bare relay, a model."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from bench.load import Order


class Program:
    """`python -m MODULE ARGUMENTS`, pinned to `core` if given; it says its port first and ends with its stdin."""

    def __init__(self, module: str, *arguments: str, core: int | None) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own modules, by our own interpreter
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        if core is not None:
            os.sched_setaffinity(self.pid, {core})
        self.port = int(self._read()["port"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        """Say a line, and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    async def run(self, order: Order) -> dict[str, Any]:
        """Give the load generator an order, and wait for its result."""
        return await asyncio.to_thread(self.ask, order.text())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
