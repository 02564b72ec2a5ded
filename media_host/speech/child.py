"""A long-lived child process that answers framed requests: started, watched, restarted, bounded.

Speech engines run in children for two reasons: pocketsphinx holds Python's global lock while it decodes, which would stop the
20 ms pacing of every call, and espeak-ng is GPL code, which stays a separate program (`reference/embedded-agent.md`, 1 and 5).
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Self

from media_host.speech.pipe import (
    LENGTHS,
    BrokenPipeProtocol,
    Header,
    decode_header,
    decode_lengths,
    encode_frame,
)
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 5.0
HEALTHY_S = 30.0


class Child:
    """A child process `python -m MODULE`, shared by all calls of this process.

    Args:
        module: the module to run; it calls `pipe.serve`.
        work_s: one request may be worked on for this long (s); then the child counts as stuck and is replaced.
        wait_s: a request waits this long at most (s), with everything queued before it.
        start_s: from start to greeting (s).
        max_pending: requests at once; one more is refused.
    """

    def __init__(
        self,
        module: str,
        *,
        work_s: float = 5.0,
        wait_s: float = 10.0,
        start_s: float = 20.0,
        max_pending: int = 128,
    ) -> None:
        self.module = module
        self.restarts = 0
        self._work_s = work_s
        self._wait_s = wait_s
        self._start_s = start_s
        self._max_pending = max_pending
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._failure = ""  # why the first start failed, for start()
        self._first_attempt = asyncio.Event()
        self._pending: OrderedDict[int, asyncio.Future[tuple[Header, bytes]]] = OrderedDict()
        self._next_id = 0
        self._working_since = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the running child, or None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the child and wait for its greeting; does nothing when it was started already.

        Raises:
            AgentUnavailable: the engine cannot be started (a package is missing, say).
        """
        if self._closed:
            raise AgentUnavailable(f"{self.module} is closed")
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name=f"child {self.module}")
        await self._first_attempt.wait()
        if self._failure:
            failure = self._failure
            await self.close()
            raise AgentUnavailable(failure)

    async def request(self, header: Header, payload: bytes = b"") -> tuple[Header, bytes]:
        """Ask, and wait for the answer.

        Raises:
            AgentUnavailable: too many requests wait, the time is over, the child died over it, or it answered an error.
        """
        if self._closed or self._supervisor is None:
            raise AgentUnavailable(f"{self.module} is not running")
        if len(self._pending) >= self._max_pending:
            raise AgentUnavailable(f"{self.module}: {self._max_pending} requests are waiting")
        try:
            async with asyncio.timeout(self._wait_s):
                answer, data = await self._ask(header, payload)
        except TimeoutError:
            raise AgentUnavailable(f"{self.module}: no answer within {self._wait_s:g} s") from None
        if "error" in answer:
            raise AgentUnavailable(f"{self.module}: {answer['error']}")
        return answer, data

    async def close(self) -> None:
        """End the child and everything that waits for it; idempotent."""
        self._closed = True
        supervisor = self._supervisor
        if supervisor is not None and not supervisor.done():
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
        self._fail_pending("closed")

    async def _ask(self, header: Header, payload: bytes) -> tuple[Header, bytes]:
        await self._ready.wait()
        process = self._process
        if process is None or process.stdin is None:  # it died between the greeting and here
            raise AgentUnavailable(f"{self.module} is not running")
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[tuple[Header, bytes]] = asyncio.get_running_loop().create_future()
        if not self._pending:
            self._working_since = time.monotonic()
        self._pending[number] = future
        # No drain(): the number of waiting requests bounds the buffer, and one caller must not block another's cancellation.
        process.stdin.write(encode_frame({**header, "id": number}, payload))
        return await future

    async def _supervise(self) -> None:
        back_off = FIRST_BACK_OFF_S
        try:
            while True:
                started = time.monotonic()
                reason = await self._live_once()
                if self._failure:
                    self._first_attempt.set()
                    return
                self._fail_pending(reason)
                if time.monotonic() - started > HEALTHY_S:
                    back_off = FIRST_BACK_OFF_S
                log.warning("speech child %s ended (%s); again in %.1f s", self.module, reason, back_off)
                await asyncio.sleep(back_off)
                back_off = min(back_off * 2, LONGEST_BACK_OFF_S)
                self.restarts += 1
        finally:
            self._ready.clear()
            await self._end_process()

    async def _live_once(self) -> str:
        """One child from start to end; returns why it ended."""
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        watch: asyncio.Task[None] | None = None
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
            greeting, _ = await asyncio.wait_for(self._read(self._process), self._start_s)
            if "error" in greeting:
                return self._started(f"{self.module}: {greeting['error']}")
            self._started("")
            self._ready.set()
            watch = asyncio.create_task(self._watch(self._process))
            while True:
                answer, data = await self._read(self._process)
                self._working_since = time.monotonic()
                number = answer.get("id")
                future = self._pending.pop(number, None) if isinstance(number, int) else None
                if future is not None and not future.done():
                    future.set_result((answer, data))
        except TimeoutError:
            return self._started(f"{self.module}: no greeting within {self._start_s:g} s")
        except (OSError, asyncio.IncompleteReadError, BrokenPipeProtocol) as error:
            return self._started(f"{self.module} died: {type(error).__name__}")
        finally:
            self._ready.clear()
            if watch is not None:
                watch.cancel()
            await self._end_process()

    def _started(self, failure: str) -> str:
        """Note how the first start went; later failures are only reasons to try again."""
        if not self._first_attempt.is_set():
            self._failure = failure
            if not failure:
                self._first_attempt.set()
        return failure

    async def _read(self, process: asyncio.subprocess.Process) -> tuple[Header, bytes]:
        stream = process.stdout
        if stream is None:
            raise BrokenPipeProtocol("no pipe")
        header, payload = decode_lengths(await stream.readexactly(LENGTHS.size))
        body = await stream.readexactly(header + payload)
        return decode_header(body[:header]), body[header:]

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill a child that works on one request for too long; the supervisor starts another."""
        while True:
            late = self._work_s - (time.monotonic() - self._working_since) if self._pending else self._work_s
            if late <= 0:
                log.warning("speech child %s is stuck, replaced", self.module)
                process.kill()
                return
            await asyncio.sleep(late + 0.01)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # it holds nothing worth saving
        await process.wait()
        # Without this the pipe's transport is closed by the garbage collector, with a ResourceWarning.
        process._transport.close()  # type: ignore[attr-defined]  # asyncio has no public way

    def _fail_pending(self, reason: str) -> None:
        while self._pending:
            _, future = self._pending.popitem()
            if not future.done():
                future.set_exception(AgentUnavailable(reason))
