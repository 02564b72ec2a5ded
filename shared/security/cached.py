"""A value from afar, kept for a while: key documents, ACS's public keys.

Reads are shared (one at a time, whoever waits gets its result), what was read survives an outage of its source, and
asking again out of turn is limited, so that a flood of forged key ids costs one read every few seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shared.errors import Unavailable
from shared.telemetry import metrics

logger = logging.getLogger(__name__)


class Cached[T]:
    """Keeps the result of `load`.

    Args:
        load: reads the value; raises `Unavailable` when the source does not answer.
        now: the time in seconds.
        name: what this is, for the log.
        ttl_s: seconds after which the value is read again.
        kind: what it is, for metrics.
        retry_s: seconds between reads that are out of turn: after a failure, or because something is missing.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[T]],
        now: Callable[[], float],
        *,
        name: str,
        ttl_s: float,
        retry_s: float,
        kind: str = "secret",
    ) -> None:
        self._load = load
        self._now = now
        self._name = name
        self._kind = kind
        self._ttl_s = ttl_s
        self._retry_s = retry_s
        self._value: tuple[T, float] | None = None  # with the time of reading
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[Unavailable | None] | None = None
        metrics.CACHE_AGE.watch(self, Cached.age_s, cache=kind)

    def age_s(self) -> float | None:
        """How old the value is (s), None when there is none."""
        return None if self._value is None else max(0.0, self._now() - self._value[1])

    async def get(self) -> T:
        """The value, at most `ttl_s` old unless its source is out of order.

        Raises:
            Unavailable: the source does not answer, and nothing was ever read.
        """
        if self._value is None:
            return await self._read()
        value, read_at = self._value
        if self._passed(read_at, self._ttl_s) and self._passed(self._tried_at, self._retry_s):
            return await self._read()
        return value

    async def get_newer(self) -> T:
        """The value, read again unless that was done within the last `retry_s` seconds.

        Raises:
            Unavailable: as `get`.
        """
        return await (self._read() if self._passed(self._tried_at, self._retry_s) else self.get())

    def _passed(self, since: float, seconds: float) -> bool:
        """Whether `seconds` have passed; also true after the clock was set back, when nothing can be said."""
        return not 0 <= self._now() - since < seconds

    async def _read(self) -> T:
        if self._reading is None:
            self._tried_at = self._now()
            self._reading = asyncio.create_task(self._read_once())
        # A waiter that is cancelled leaves the others their result.
        failure = await asyncio.shield(self._reading)
        if self._value is not None:
            return self._value[0]
        raise failure or Unavailable(f"{self._name} could not be read")

    async def _read_once(self) -> Unavailable | None:
        try:
            self._value = (await self._load(), self._now())
        except Unavailable as failure:
            kept = "nothing is known yet" if self._value is None else "the last known state stays in use"
            metrics.CACHE_ERRORS.add(cache=self._kind)
            logger.warning("%s could not be read, %s: %s", self._name, kept, failure)
            return failure
        finally:
            self._reading = None
        return None
