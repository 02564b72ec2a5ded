"""Delivery of call-state callbacks: signed, in batches of one, retried a few times, in any order (acs.md 4.1, 4.4)."""

import asyncio
import json
import logging
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp

from emulator.acs.events import PREFIX
from emulator.acs.signing import Signer
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]

CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"
TIMEOUT_S = 10.0
RETRY_AFTER_S = (0.2, 0.5, 1.0, 2.0)
LAST_WAITS_S = 2.0
"""`CallDisconnected` waits at most so long (s) for callbacks that are still on their way."""


def kind_of(event: Json) -> str:
    """The type without its prefix."""
    return str(event["type"]).removeprefix(PREFIX)


class Outbox:
    """The callbacks of one call. `post` starts a delivery and returns its task; after `post_last` nothing more goes out.

    Attributes:
        sent: types in the order in which the app took them.
        failed: types that were given up.
    """

    def __init__(self, session: aiohttp.ClientSession, signer: Signer, faults: Faults) -> None:
        self.sent: list[str] = []
        self.failed: list[str] = []
        self._session = session
        self._signer = signer
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        order = faults.callback_order
        self._order: Sequence[str] = () if isinstance(order, str) else tuple(order)
        self._done: dict[str, asyncio.Event] = {kind: asyncio.Event() for kind in self._order}
        self._posted: set[str] = set()

    def post(self, event: Json, uri: str) -> asyncio.Task[None] | None:
        """Deliver `event` to `uri`; None when the call's callbacks are over, or a fault drops it."""
        kind = kind_of(event)
        if self._closed or kind in self._faults.drop_callbacks:
            return None
        self._posted.add(kind)
        task = self._spawn(self._post(event, uri, kind))
        if self._faults.take("unknown_callbacks"):
            self._spawn(self._post(_of_unknown_kind(event), uri, "Unknown"))
        return task

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def post_last(self, event: Json, uri: str) -> None:
        """Deliver the call's last callback: after all others, and nothing follows it."""
        if self._order:
            self.post(event, uri)
            self._closed = True
            for never_came in set(self._done) - self._posted:
                self._done[never_came].set()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            return
        try:
            async with asyncio.timeout(LAST_WAITS_S):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.info("callbacks were still on their way when the call ended")
        self.cancel()
        if kind_of(event) not in self._faults.drop_callbacks:
            await self._post(event, uri, kind_of(event))

    def cancel(self) -> None:
        """Give up all deliveries and take no more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()

    async def _post(self, event: Json, uri: str, kind: str) -> None:
        if kind in self._done:
            for before in self._order[: self._order.index(kind)]:
                await self._done[before].wait()
        try:
            if late_s := self._faults.late_s(kind):
                await asyncio.sleep(late_s)
            copies = 1 + self._faults.duplicate_callbacks
            taken = await asyncio.gather(*(self._deliver(event, uri) for _ in range(copies)))
            (self.sent if any(taken) else self.failed).append(kind)
        finally:
            if kind in self._done:
                self._done[kind].set()

    async def _deliver(self, event: Json, uri: str) -> bool:
        body = json.dumps([event])
        for attempt in range(self._faults.callback_retries + 1):
            if attempt:
                await asyncio.sleep(RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S)) - 1])
            headers = {
                "Content-Type": CONTENT_TYPE,
                "Authorization": self._signer.callback_header(self._faults.clock_skew_s),
            }
            try:
                async with (
                    asyncio.timeout(TIMEOUT_S),
                    self._session.post(uri, data=body, headers=headers, allow_redirects=False) as response,
                ):
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.info("callback %s: %s", kind_of(event), type(error).__name__)
                continue
            if status < 300:
                return True
            log.info("callback %s: status %d", kind_of(event), status)
            if status < 500:
                return False
        return False


def _of_unknown_kind(event: Json) -> Json:
    """A callback of a type that nobody has heard of, as a newer version of the service may send it."""
    kind = PREFIX + "SomethingNew"
    data = {**event["data"], "publicEventType": kind, "somethingNew": {"kind": "novel"}}
    return {**event, "id": str(uuid.uuid4()), "type": kind, "data": data}
