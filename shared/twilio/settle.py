"""A stream is over: what has the call come to? Its media host mostly said so before; otherwise it is decided here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared.calls.admission import MAX_AGE_S, SILENT_S, heartbeats
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.errors import NotFound
from shared.store.entities import EntityStore
from shared.transfers.record import CallTransfer, Status, TransferKind
from shared.transfers.transfers import Transfers
from shared.twilio.ends import Why, close_record
from shared.twilio.engagements import Engagements

WAIT_S, POLL_S = 1.0, 0.1
"""How long a media host's last events are waited for, and how often they are looked for (s)."""

STOPPED = frozenset({"stream-stopped", "stream-error"})
"""What Twilio's status callback says of a stream that is over (twilio-and-transfers.md 2C)."""


@dataclass(frozen=True, slots=True)
class Settling:
    """Looks up transfers of Twilio calls.

    Args:
        store: for heartbeats.
        calls: the same store's calls.
        transfers: by tenant.
        engagements: which transfer a call has.
        now: Unix seconds.
        pause: waits so many seconds.
    """

    store: EntityStore
    calls: Calls
    transfers: Mapping[str, Transfers]
    engagements: Engagements
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def settle(
        self, tenant: str, ident: str, *, caller_gone: bool = False, over: bool = True
    ) -> CallTransfer | None:
        """The transfer of a call, with its outcome if its stream is over; None when there is none.

        Args:
            tenant: whose.
            ident: Twilio's CallSid, or the transfer's id.
            caller_gone: Twilio says that the call itself has ended.
            over: Twilio says that the stream has ended. False: nobody says so; then an outcome is only put down if there is
                other evidence, for the call may well be going on.

        Raises:
            StoreUnavailable: nobody can say now.
        """
        engaged = await self.engagements.get(tenant, ident)
        transfer_id = ident if engaged is None else engaged.transfer_id
        if not transfer_id:
            return None  # engaged, and no audio came
        transfers = self.transfers[tenant]
        try:
            found = await transfers.get(tenant, transfer_id)
        except NotFound:
            return None
        waited_s = 0.0
        while is_ongoing(found, self.now()):
            if waited_s >= WAIT_S:
                return await self._close(found, caller_gone=caller_gone, over=over)
            await self.pause(POLL_S)
            waited_s += POLL_S
            found = await transfers.get(tenant, transfer_id)
        return found

    async def _close(self, found: CallTransfer, *, caller_gone: bool, over: bool) -> CallTransfer:
        record = await self.calls.get(found.tenant, found.call_id)
        # Without a record the call has only just begun, or whoever began it has died: then time ends its transfer.
        if record is None or not (over or await self._is_over(record)):
            return found
        why: Why = "caller" if caller_gone else "media_closed" if record.media.closed else "stream_over"
        await close_record(self.calls, record, why, self.now())
        return await self.transfers[found.tenant].get(found.tenant, found.id)

    async def _is_over(self, record: CallRecord) -> bool:
        if record.media.closed:
            return True
        for event in await self.calls.events(record.call_id):
            if event.kind is EventKind.CALLBACK and event.data.get("name") in STOPPED:
                return True
        ages = {beat.host_id: self.now() - beat.at for beat in await heartbeats(self.store)}
        # Where all hosts are silent it is perhaps the store that was away; where others are not, this one is dead.
        patience_s = MAX_AGE_S if any(age <= MAX_AGE_S for age in ages.values()) else SILENT_S
        is_silent = ages.get(record.media.host_id, SILENT_S + 1) > patience_s
        return record.media.connections > 0 and is_silent


def is_ongoing(found: CallTransfer, now: float) -> bool:
    """Whether this is a Twilio call's, whose outcome is not known yet."""
    return found.kind is TransferKind.TWILIO and found.status(now) is Status.ONGOING
