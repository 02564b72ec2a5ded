"""Where an incoming call meets its transfer: by the temporary number it dialled, or by the transfer's id that it brings."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.config.call_transfers import CallTransferConfig
from shared.config.routes import Route
from shared.transfers.numbers import NumberPool
from shared.transfers.record import CallTransfer, Refusal
from shared.transfers.transfers import Transfers
from shared.wire.acs_events import IncomingCall
from shared.wire.custom_context import TRANSFER_ID


@dataclass(frozen=True, slots=True)
class Lent:
    """A call that comes for a transfer: whose, which ("" when nobody waits there), and who is to answer it."""

    tenant: str
    transfer_id: str
    route: Route


class TransferDesk:
    """Matches calls and transfers.

    Args:
        entries: `call_transfers` of patchcord.yaml, by tenant.
        pool: the temporary numbers.
        transfers: the tenants' transfers, by tenant.
    """

    def __init__(
        self, entries: Mapping[str, CallTransferConfig], pool: NumberPool, transfers: Mapping[str, Transfers]
    ) -> None:
        self._entries = entries
        self._pool = pool
        self._transfers = transfers
        self._users = {entry.acs_user: tenant for tenant, entry in entries.items() if entry.acs_user}

    async def match(self, call: IncomingCall, tenant: str | None) -> Lent | None:
        """The transfer that the call may be for; None when its address has nothing to do with transfers.

        Args:
            call: the event.
            tenant: whose credentials came with it; another tenant's transfers do not exist for it.

        Raises:
            StoreUnavailable: nobody can say.
        """
        if not self._entries:
            return None
        owner = self._users.get(call.callee.raw_id)
        if owner is not None:
            # An ordinary call to the agent's identity brings no transfer's id: a route may have it.
            transfer_id = call.voip_headers.get(TRANSFER_ID, "")
            return self._lent(owner, transfer_id, tenant) if transfer_id else None
        number = await self._pool.get(call.callee.value)
        if number is None:
            return None
        return self._lent(number.tenant or next(iter(self._entries)), number.transfer_id, tenant)

    def _lent(self, owner: str, transfer_id: str, tenant: str | None) -> Lent | None:
        entry = self._entries.get(owner)
        if entry is None or tenant not in (None, owner):
            return None
        return Lent(
            owner, transfer_id, Route(name="call-transfer", to=["*"], agent=entry.agent, tenant=owner)
        )

    async def claim(
        self, lent: Lent, *, call_key: str, call_id: str, event_at: float
    ) -> CallTransfer | Refusal:
        """Give the transfer to the call; the same call gets it again."""
        if not lent.transfer_id:
            return Refusal.UNKNOWN
        return await self._transfers[lent.tenant].claim(
            lent.tenant, lent.transfer_id, call_key=call_key, call_id=call_id, event_at=event_at
        )
