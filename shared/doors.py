"""The function app's HTTP doors: who is let in, how long a body may be, and whose part answers.

`Application` is built on it; `function_app.py` calls one method per function.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.calls.callbacks import Callbacks
from shared.calls.grid_door import COMPATIBLE_HEADERS, GridDoor, authenticate
from shared.calls.outbound_door import OutboundApi
from shared.calls.records_door import RecordsApi
from shared.errors import NotFound
from shared.http import Reply, Request, answer
from shared.openapi.described import Described
from shared.security.tenants import Scope, TenantDoor
from shared.settings import FunctionAppSettings
from shared.transfers.api import BODY_LIMIT
from shared.transfers.door import TransferApi
from shared.twilio.door import TwilioDoor
from shared.wire.acs_events import CALLBACK_LIMIT, GRID_LIMIT
from shared.wire.twilio_params import FORM_LIMIT

NO_BODY = 0


@dataclass(slots=True)
class HttpDoors:
    """What comes over HTTP, but for the health of the whole."""

    settings: FunctionAppSettings
    door: TenantDoor
    transfers: TransferApi
    outbound: OutboundApi
    twilio: TwilioDoor
    grid: GridDoor
    callbacks: Callbacks
    records: RecordsApi
    described: Described

    async def acs_events(self, asked: Request, *, options: bool, compatible: bool = False) -> Reply:
        """A tenant's own Event Grid subscription posts here; `options` is CloudEvents' handshake."""
        handle = self.grid.handshake if options else self.grid.events
        return await self._answer(
            asked, GRID_LIMIT, lambda asked: handle(asked, compatible=compatible), compatible=compatible
        )

    async def call_events(self, token: str, asked: Request) -> Reply:
        """ACS's callbacks."""
        return await answer(asked, CALLBACK_LIMIT, lambda asked: self.callbacks.receive(token, asked))

    async def list_calls(self, asked: Request) -> Reply:
        """The newest calls of the tenant whose credentials come with the request."""

        async def handle(asked: Request) -> Reply:
            return await self.records.list(await self._authenticate(asked, Scope.CALLS_READ), asked)

        return await answer(asked, NO_BODY, handle)

    async def get_call(self, call_id: str, asked: Request) -> Reply:
        """One call of the tenant; another tenant's is answered like one that does not exist."""

        async def handle(asked: Request) -> Reply:
            return await self.records.get(await self._authenticate(asked, Scope.CALLS_READ), call_id)

        return await answer(asked, NO_BODY, handle)

    async def create_call(self, asked: Request) -> Reply:
        """A tenant has us call somebody."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALLS_CREATE)
            return await self.outbound.create(tenant, asked)

        return await answer(asked, BODY_LIMIT, handle)

    async def create_call_transfer(self, asked: Request, *, compatible: bool = False) -> Reply:
        """A tenant lends us a caller."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALL_TRANSFERS, compatible=compatible)
            return await self.transfers.create(tenant, asked, compatible=compatible)

        return await self._answer(asked, BODY_LIMIT, handle, compatible=compatible)

    async def get_call_transfer(self, transfer_id: str, asked: Request, *, compatible: bool = False) -> Reply:
        """A tenant's transfer; another tenant's is answered like one that does not exist."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALL_TRANSFERS, compatible=compatible)
            return await self.transfers.get(tenant, transfer_id)

        return await self._answer(asked, NO_BODY, handle, compatible=compatible)

    async def twilio_media_stream_url(self, asked: Request, *, compatible: bool = False) -> Reply:
        """A tenant asks for the address of a Twilio stream."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.TWILIO, compatible=compatible)
            return await self.twilio.stream_url(tenant, asked)

        return await self._answer(asked, NO_BODY, handle, compatible=compatible)

    async def twilio_engage(self, asked: Request) -> Reply:
        """A call has come at Twilio."""
        return await answer(asked, FORM_LIMIT, self.twilio.engage)

    async def twilio_call_complete(self, asked: Request) -> Reply:
        """Twilio asks how a call goes on after its stream."""
        return await answer(asked, FORM_LIMIT, self.twilio.call_complete)

    async def twilio_transfer_state(self, asked: Request) -> Reply:
        """A Studio flow, or a customer's own function, asks what a call has come to."""

        async def handle(asked: Request) -> Reply:
            return await self.twilio.transfer_state(asked, lambda: self._authenticate(asked, Scope.TWILIO))

        return await answer(asked, FORM_LIMIT, handle)

    async def twilio_stream_status(self, asked: Request) -> Reply:
        """Twilio reports on a stream."""
        return await answer(asked, FORM_LIMIT, self.twilio.stream_status)

    async def _answer(
        self, asked: Request, limit: int, handle: Callable[[Request], Awaitable[Reply]], *, compatible: bool
    ) -> Reply:
        """`answer`, unless the path is an existing client's and this system serves none of those."""
        if compatible and not self.settings.compatible_api:
            handle = _nothing
        return await answer(asked, limit, handle)

    async def _authenticate(self, asked: Request, scope: Scope, *, compatible: bool = False) -> str:
        names = (self.settings.api_id_header, self.settings.api_secret_header)
        if compatible and asked.header(names[0]) is None:
            names = COMPATIBLE_HEADERS
        return await authenticate(self.door, asked, names, scope)

    async def openapi(self) -> Reply:
        """The OpenAPI document, for everybody; made once."""
        return self.described.document()

    async def elsewhere(self, path: str, asked: Request) -> Reply:
        """No door: another method of one that there is (405), or none at all (404), in our envelope."""

        async def handle(_asked: Request) -> Reply:
            self.described.refuse(path)

        return await answer(asked, GRID_LIMIT, handle)


async def _nothing(_asked: Request) -> Reply:
    raise NotFound("no such path")
