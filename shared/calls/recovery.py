"""Lost media: the caller must not be left in silence.

The audio WebSocket broke while ACS still holds the call. Once per loss: if another media host is ready, ACS is asked to
dial the media address again (it cannot be given another one), and if no audio is back within two seconds, or there is
no other host, the call is hung up for everyone. The record says `media_lost` and what was tried. A caller who already
talks to a person needs no audio of ours: then only our part of the call ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.calls.admission import heartbeats
from shared.calls.controls import CallControls
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.errors import CallControlUnavailable, CallGone, PatchcordError
from shared.store.entities import EntityStore

logger = logging.getLogger(__name__)

WAIT_S = 2.0
"""How long audio may take to come back (s)."""

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Recovery:
    """Decides about lost media.

    Args:
        store: for heartbeats.
        calls: the same store's calls.
        control: ACS.
        now: the clock, Unix seconds.
        pause: waits so many seconds.
    """

    store: EntityStore
    calls: Calls
    control: CallControls
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def reported(self, tenant: str, call_id: str, *, reason: str, at: float, failed: bool) -> None:
        """ACS reports that streaming stopped or failed (`failed`) at `at` (Unix seconds, its clock)."""
        record = await self.calls.get(tenant, call_id)
        if record is None or not record.live:
            return
        if record.settled:
            if failed:  # a host that says goodbye only closes the connection
                await self._finish(record)
            return  # the end is already decided; the audio stops because of it
        if record.recovering_at is not None:
            if failed and at >= record.recovering_at:
                await self.give_up(record)
            return
        connected_at = record.media.connected_at
        if connected_at is not None and at < connected_at:
            return  # an old report: there has been audio since
        if await self._may_be_alive(record):
            await self.lost(record, reason)

    async def _finish(self, record: CallRecord) -> None:
        """The connection broke after the outcome: end the call, if its host did not live to do it."""
        await self.pause(WAIT_S)
        found = await self.calls.get(record.tenant, record.call_id)
        if (
            found is not None
            and found.live
            and not found.leaving
            and found.media.connections == record.media.connections
            and await self._may_be_alive(found)
        ):
            await self.give_up(found)

    async def _may_be_alive(self, record: CallRecord) -> bool:
        """`is_alive`; while ACS cannot say, the caller may be there and in silence."""
        try:
            return await self.is_alive(record)
        except CallControlUnavailable as error:
            logger.warning("call %s: %s", record.call_id, error.message)
            return bool(record.call_connection_id)

    async def is_alive(self, record: CallRecord) -> bool:
        """Whether ACS still holds the call. The end of streaming is mostly the end of the call, reported first."""
        if not record.call_connection_id:
            return False
        try:
            return (await self.control.of(record.tenant).properties(record.call_connection_id)).alive
        except CallGone:
            return False

    async def lost(self, record: CallRecord, reason: str) -> bool:
        """The media of a live call is lost: recover or hang up. Only the first to notice this loss acts (else False)."""
        loss = record.media.connections
        if not await self.calls.once(record.call_id, f"media-lost-{loss}"):
            return False
        host = record.media.host_id
        logger.warning("call %s: media lost (%s) on host %s", record.call_id, reason, host or "-")
        await self.calls.note(
            record.tenant,
            record.call_id,
            f"media_lost-{loss}",
            EventKind.MEDIA_LOST,
            hostId=host,
            reason=reason,
        )
        if not await self._another_host(host) or not await self._restarted(record, loss):
            await self.give_up(record)
        return True

    async def give_up(self, record: CallRecord, reason: str = "media_lost") -> None:
        """Hang up: for everyone, unless the caller talks to a person.

        Recorded first, so that the callback of its end finds the reason. Repeating is harmless.
        """
        call_id = record.call_id
        logger.warning("call %s: hung up: %s", call_id, reason)
        await self.calls.note(
            record.tenant, call_id, "recovery-hang-up", EventKind.RECOVERY, action="hang_up", reason=reason
        )
        await self.calls.note(
            record.tenant, call_id, "hang_up", EventKind.HANG_UP, by="system", reason=reason
        )
        try:
            await self.control.of(record.tenant).hang_up(
                record.call_connection_id, everyone=not record.handed_over
            )
        except CallGone:
            logger.info("call %s: was gone already", call_id)

    async def _another_host(self, host: str) -> bool:
        """A ready host other than the one that carried the call: a killed host's heartbeat looks fresh for a while."""
        now = self.now()
        return any(beat.ready(now) and beat.host_id != host for beat in await heartbeats(self.store))

    async def _restarted(self, record: CallRecord, loss: int) -> bool:
        await self.calls.note(
            record.tenant, record.call_id, f"recovery-{loss}", EventKind.RECOVERY, action="restart"
        )
        try:
            await self.control.of(record.tenant).start_media_streaming(record.call_connection_id)
        except PatchcordError as error:
            logger.warning("call %s: streaming cannot be started again: %s", record.call_id, error.message)
            return False
        waited_s = 0.0
        while waited_s < WAIT_S:
            await self.pause(POLL_S)
            waited_s += POLL_S
            found = await self.calls.get(record.tenant, record.call_id)
            if found is None or found.settled or not found.live or found.media.connections > loss:
                return True
        return False
