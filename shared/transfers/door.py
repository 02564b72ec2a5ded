"""The HTTP side of call transfers: `POST /api/v1/call-transfers` and `GET /api/v1/call-transfers/{id}`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.config.call_transfers import CallTransferConfig
from shared.errors import Forbidden, InvalidInput, NotFound
from shared.http import Reply, Request, UnsupportedMediaType, json_reply, require_json
from shared.transfers.api import NoSuchCountry, NotEnabled, parse_new, to_json
from shared.transfers.record import CallTransfer, TransferKind
from shared.transfers.transfers import Transfers


@dataclass(frozen=True, slots=True)
class TransferApi:
    """Answers authenticated requests.

    Args:
        entries: `call_transfers` of patchcord.yaml, by tenant.
        transfers: by tenant; also of tenants that have calls on the Twilio line only.
        now: Unix seconds.
    """

    entries: Mapping[str, CallTransferConfig]
    transfers: Mapping[str, Transfers]
    now: Callable[[], float]

    async def create(self, tenant: str, asked: Request, *, compatible: bool = False) -> Reply:
        """Create a transfer; 200, also for the same request again.

        Raises:
            Forbidden: the tenant has no call transfers.
            UnsupportedMediaType: the body is no JSON by its own account.
            InvalidInput, NotEnabled, NoSuchCountry: the request names something that is not there.
            Conflict: the id belongs to another request.
            PoolExhausted: no number is free now.
        """
        entry = self.entries.get(tenant)
        if entry is None:
            raise Forbidden("call transfers are not set up for this tenant")
        try:
            require_json(asked)
        except UnsupportedMediaType as error:
            if compatible:  # existing clients know one code for every wrong request (requirement 114)
                raise InvalidInput(error.field, error.expected) from None
            raise
        new = parse_new(asked.body)
        if new.kind is TransferKind.ACS_USER and not entry.acs_user:
            raise NotEnabled("type", "PHONE_NUMBER: no ACS identity is set up for this tenant")
        try:
            made = await self.transfers[tenant].create(tenant, new)
        except NotFound:
            raise NoSuchCountry(new.country) from None
        return self._reply(tenant, made)

    async def get(self, tenant: str, transfer_id: str) -> Reply:
        """The transfer as it stands.

        Raises:
            NotFound: this tenant has no such transfer.
        """
        if tenant not in self.transfers:
            raise NotFound("no such call transfer")
        return self._reply(tenant, await self.transfers[tenant].get(tenant, transfer_id))

    def _reply(self, tenant: str, transfer: CallTransfer) -> Reply:
        entry = self.entries.get(tenant)
        return json_reply(to_json(transfer, self.now(), acs_user=entry.acs_user if entry else ""))
