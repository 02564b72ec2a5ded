"""A connection that carries only so many bytes per second, both ways, for the fault `media_fault: slow`."""

import asyncio
from collections import deque


class SlowLine:
    """Paces one transport: what is written waits in order, and reading stops until what was read would have come.

    Args:
        transport: an open connection.
        bytes_s: bytes per second, each way.

    Attributes:
        unsent: bytes that wait to be written.
    """

    def __init__(self, transport: asyncio.Transport, bytes_s: int) -> None:
        self.unsent = 0
        self._transport = transport
        self._bytes_s = bytes_s
        self._queue: deque[bytes] = deque()
        self._writer: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Write after all that waits."""
        self._queue.append(data)
        self.unsent += len(data)
        if self._writer is None:
            self._next()

    def _next(self) -> None:
        self._writer = None
        if not self._queue or self._transport.is_closing():
            return
        data = self._queue.popleft()
        self.unsent -= len(data)
        self._transport.write(data)
        self._writer = asyncio.get_running_loop().call_later(len(data) / self._bytes_s, self._next)

    def has_read(self, size: int) -> None:
        """`size` bytes have come: read no more for as long as they take at this rate."""
        if self._reader is not None or self._transport.is_closing():
            return
        self._transport.pause_reading()
        self._reader = asyncio.get_running_loop().call_later(size / self._bytes_s, self._resume)

    def _resume(self) -> None:
        self._reader = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Stop pacing; what waits is not sent."""
        for timer in (self._writer, self._reader):
            if timer is not None:
                timer.cancel()
        self._queue.clear()
