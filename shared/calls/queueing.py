"""The waiting line: callers whom no media host has room for, where their route says `queue`.

ACS answers the call and plays the route's message, again and again, without a media host. After each time it is looked whether
there is room; also when another call ends, and in the sweep. Then ACS connects the audio (`start_media_streaming`), and the
agent begins as in any other call. The oldest caller is first, and a new call waits behind all of them (admission counts
older calls). Whoever has waited too long is transferred, or hears goodbye. Every step is one callback, so nobody sleeps.

Table `waiting`, partition tenant, row call id.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.calls.admission import admit_call
from shared.calls.controls import CallControls
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.config.document import Config
from shared.config.routes import Overflow
from shared.errors import CallGone, EntityChanged, PatchcordError
from shared.settings import E164
from shared.store.entities import Entity, EntityStore

logger = logging.getLogger(__name__)

TABLE = "waiting"

MESSAGE, GOODBYE, AWAY = "queue-message", "queue-goodbye", "queue-away"
"""Operation contexts: of the message, of the last words, of the transfer after too long a wait."""

PLAYED = ("PlayCompleted", "PlayFailed")
"""Callbacks that end a `play`."""

STUCK_S = 60.0
"""When nothing was heard of a message for so long (s), its callback is lost and the sweep goes on."""

BEAT_S = 1.2
"""A call that ends makes room in its host's next heartbeat (s)."""

TOKEN_S = 60
"""How much longer than the wait the media token lives (s)."""


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """All callers who wait.

    Args:
        config: of patchcord.yaml.
        store: where they stand.
        calls: the same store's calls.
        control: ACS.
        limit: of concurrent calls, for tenants without one of their own.
        now: Unix seconds.
        pause: waits so many seconds.
    """

    config: Config
    store: EntityStore
    calls: Calls
    control: CallControls
    limit: int
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def join(self, tenant: str, call_id: str, overflow: Overflow) -> bool:
        """Take a place before the call is answered; False when too many wait. The same call may ask again."""
        waiting = await self.store.query(TABLE, tenant, limit=overflow.max_waiting + 1)
        if all(row.row != call_id for row in waiting):
            if len(waiting) >= overflow.max_waiting:
                return False
            until = self.now() + overflow.max_wait_s
            place = Entity(tenant, call_id, {"until": until, "at": self.now()})
            await self.store.insert(TABLE, place)
        await self.calls.note(tenant, call_id, "queued", EventKind.QUEUED, action="waiting")
        return True

    async def callback(self, record: CallRecord, event: CallEvent, context: str) -> None:
        """ACS reports about a call that may be waiting: it is connected, a message was heard, a transfer failed.

        Raises:
            StoreUnavailable: the delivery may be repeated.
        """
        played = event.data.get("type") in PLAYED
        if event.kind is EventKind.DISCONNECTED:
            await self._room(record)
        elif (context == GOODBYE and played) or (context == AWAY and event.kind is EventKind.TRANSFER_FAILED):
            await self._end(record, said=context == GOODBYE)
        elif record.waiting and (event.kind is EventKind.CONNECTED or (context == MESSAGE and played)):
            mute = event.data.get("type") == PLAYED[1]
            await self._turn(record.tenant, record.call_id, speak=True, mute=mute)

    async def look(self, record: CallRecord) -> None:
        """The sweep: take the call if there is room, and go on where a callback was lost."""
        row = await self.store.get(TABLE, record.tenant, record.call_id)
        stuck = row is None or self.now() - float(row.values["at"]) > STUCK_S
        await self._turn(record.tenant, record.call_id, speak=stuck)

    async def _room(self, ended: CallRecord) -> None:
        """A call has ended: perhaps the one who waits longest can be taken now."""
        if ended.queued:
            await self.store.delete(TABLE, ended.tenant, ended.call_id)
        queues = {route.tenant for route in self.config.routes if route.overflow.action == "queue"}
        tenants = sorted(queues, key=lambda name: (name != ended.tenant, name))
        if await self._offered(tenants) or not await self._anybody(tenants):
            return
        await self.pause(BEAT_S)
        await self._offered(tenants)

    async def _offered(self, tenants: Sequence[str]) -> bool:
        """Whether one of those who wait longest, each in its tenant, could be taken."""
        for tenant in tenants:
            waiting = await self.store.query(TABLE, tenant)
            if waiting and await self._turn(tenant, waiting[-1].row, speak=False):
                return True
        return False

    async def _anybody(self, tenants: Sequence[str]) -> bool:
        found = [await self.store.query(TABLE, tenant, limit=1) for tenant in tenants]
        return any(found)

    async def _turn(self, tenant: str, call_id: str, *, speak: bool, mute: bool = False) -> bool:
        """The next step of one caller; whether the agent takes the call now.

        `speak`: else nothing is played again. `mute`: nothing can be played, and nobody has to wait in silence.
        """
        record = await self.calls.get(tenant, call_id)
        if record is None or not record.waiting:
            return False
        if not record.live or record.settled:
            await self.store.delete(TABLE, tenant, call_id)
            return False
        if await self._admitted(record):
            return await self._taken(record)
        row = await self.store.get(TABLE, tenant, call_id)
        overflow = self._overflow(record)
        over = row is None or overflow is None or self.now() >= float(row.values["until"])
        if row is not None and overflow is not None and speak and not over and not mute:
            try:
                await self.store.replace(
                    TABLE, Entity(tenant, call_id, {**row.values, "at": self.now()}, row.etag)
                )
            except EntityChanged:
                return False  # somebody else is on it
            mute = not await self._play(record, overflow, MESSAGE)
        if (over or mute) and await self.calls.once(call_id, "queue-over"):
            await self._waited_too_long(record, overflow)
        return False

    async def _admitted(self, record: CallRecord) -> bool:
        admission = await admit_call(
            self.store,
            self.calls,
            tenant=record.tenant,
            call_id=record.call_id,
            limit=self.config.concurrent_calls(record.tenant, self.limit),
            tenants=self.config.tenant_names,
            now=self.now(),
        )
        return bool(admission)

    async def _taken(self, record: CallRecord) -> bool:
        """Let ACS connect the audio; the agent greets."""
        where = record.tenant, record.call_id
        if not await self.calls.once(record.call_id, "queue-taken"):
            return False
        await self.calls.note(*where, "queue-taken", EventKind.QUEUED, action="taken")
        await self.store.delete(TABLE, *where)
        control = self.control.of(record.tenant)
        try:
            await control.start_media_streaming(record.call_connection_id)
        except CallGone:
            logger.info("call %s: hung up while waiting", record.call_id)
            return True
        try:
            await control.cancel_media(record.call_connection_id)
        except PatchcordError as error:  # it ends by itself, and the agent is heard beside it
            logger.warning("call %s: the message goes on: %s", record.call_id, error.message)
        return True

    async def _waited_too_long(self, record: CallRecord, overflow: Overflow | None) -> None:
        where = record.tenant, record.call_id
        await self.calls.note(*where, "queue-over", EventKind.QUEUED, action="over")
        await self.store.delete(TABLE, *where)
        if overflow is None or not overflow.to:
            await self._goodbye(record, overflow)
            return
        outcome: dict[str, Json] = {"transferType": "AGENT", "reason": "queue_timeout", "task": record.task}
        begun: dict[str, Json] = {"mode": "blind", "attempt": AWAY, "outcome": outcome, "target": "overflow"}
        await self.calls.append(*where, CallEvent("queue-away", EventKind.TRANSFER, self.now(), begun))
        shown = record.our_number if E164.fullmatch(record.our_number) else ""
        try:
            await self.control.of(record.tenant).transfer(
                record.call_connection_id,
                overflow.to,
                caller_id="" if overflow.to.startswith("8:") else shown,
                context=AWAY,
            )
        except PatchcordError as error:
            logger.warning("call %s: cannot be transferred: %s", record.call_id, error.message)
            await self.calls.note(*where, "queue-refused", EventKind.HANDOVER, attempt=AWAY, phase="refused")
            await self._goodbye(record, overflow)

    async def _goodbye(self, record: CallRecord, overflow: Overflow | None) -> None:
        if overflow is None or not overflow.goodbye or not await self._play(record, overflow, GOODBYE):
            await self._hang_up(record)

    async def _end(self, record: CallRecord, *, said: bool) -> None:
        """The last words were heard, or nobody took the call where it was transferred to."""
        found = await self.calls.get(record.tenant, record.call_id)
        if found is None or not found.live:
            return
        if said:
            await self._hang_up(found)
        else:
            await self._goodbye(found, self._overflow(found))

    async def _play(self, record: CallRecord, overflow: Overflow, context: str) -> bool:
        prompt = overflow.message if context == MESSAGE else overflow.goodbye
        try:
            await self.control.of(record.tenant).play(
                record.call_connection_id, [prompt], overflow.voice, context=context
            )
        except PatchcordError as error:
            logger.warning("call %s: nothing can be played: %s", record.call_id, error.message)
            return False
        return True

    async def _hang_up(self, record: CallRecord) -> None:
        await self.calls.note(
            record.tenant, record.call_id, "hang_up", EventKind.HANG_UP, by="system", reason="queue_timeout"
        )
        try:
            await self.control.of(record.tenant).hang_up(record.call_connection_id)
        except CallGone:
            logger.info("call %s: was gone already", record.call_id)

    def _overflow(self, record: CallRecord) -> Overflow | None:
        """Of the route that the call came by; None when it is not in patchcord.yaml any more."""
        for route in self.config.routes:
            if route.name == record.route and route.overflow.action == "queue":
                return route.overflow
        return None
