"""How many calls this host has, and whether it takes more.

It tells the platform by its readiness, and the function app by a heartbeat (design.md, decision 5).
"""

import asyncio
import logging
from collections.abc import Callable

from shared.calls.admission import MAX_AGE_S, Heartbeat, remove_heartbeat, write_heartbeat
from shared.errors import PatchcordError
from shared.store.entities import EntityStore

log = logging.getLogger(__name__)

BEAT_S = 1.0


class Capacity:
    """One per process.

    Args:
        store: where the heartbeat is written.
        host_id: this process's name.
        capacity: calls at once.
        active: counts the calls of now.
        now: Unix seconds.
    """

    def __init__(
        self,
        store: EntityStore,
        host_id: str,
        capacity: int,
        *,
        active: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        self.draining = False
        self._store = store
        self._host_id = host_id
        self._capacity = capacity
        self._active = active
        self._now = now
        self._written_at = float("-inf")
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> int:
        """Calls now."""
        return self._active()

    @property
    def places(self) -> int:
        """Calls at most; 0 while it drains."""
        return 0 if self.draining else self._capacity

    @property
    def refusal(self) -> str:
        """Why a new call is refused: `draining` or `full`; "" when there is room."""
        return self.refusal_beside(0)

    def refusal_beside(self, coming: int) -> str:
        """The same, while so many calls are being let in that are not counted yet."""
        if self.draining:
            return "draining"
        return "full" if self._active() + coming >= self._capacity else ""

    @property
    def ready(self) -> bool:
        """Room for one more, and the function app knows of us."""
        return not self.refusal and self._now() - self._written_at <= MAX_AGE_S

    async def beat(self) -> bool:
        """Write one heartbeat; False when the store does not take it."""
        now = self._now()
        try:
            await write_heartbeat(
                self._store, Heartbeat(self._host_id, self._active(), self._capacity, self.draining, now)
            )
        except PatchcordError as error:
            log.warning("heartbeat not written: %s", error)
            return False
        self._written_at = now
        return True

    def start(self) -> None:
        """Beat every second until `close`."""
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    def drain(self) -> None:
        """Take no more calls; said in a heartbeat at once."""
        self.draining = True
        self._wake.set()

    async def close(self) -> None:
        """Stop, and take the heartbeat back."""
        self.draining = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await remove_heartbeat(self._store, self._host_id)
        except PatchcordError as error:
            log.warning("heartbeat not removed: %s", error)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._wake.clear()
            await self.beat()
            due = max(due + BEAT_S, loop.time())
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                continue
