"""Call Automation's REST interface: what stands before every operation, and the routes of all of them (acs.md 1)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable

from aiohttp import web

from emulator.acs.door import Authenticator
from emulator.acs.errors import RestError
from emulator.acs.exchange import Exchange
from emulator.acs.repeatability import Repeatability
from emulator.acs.rest_body import Handler, Json, Route, error_reply, read_body, reply
from emulator.acs.rest_calls import CallRoutes
from emulator.acs.rest_participants import ParticipantRoutes
from emulator.acs.signing import Signer
from emulator.faults import Faults, hinder

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024


class RestApi:
    """The routes of the REST interface.

    Args:
        exchange: the calls.
        door: authentication.
        signer: for the JWKS.
        base: returns the emulator's own address.
        routes: those of other parts.

    Attributes:
        operations: how often each operation was carried out or refused, by name and status; repeated requests that were
            answered from memory are not counted.
    """

    def __init__(
        self,
        exchange: Exchange,
        door: Authenticator,
        signer: Signer,
        base: Callable[[], str],
        routes: Iterable[Route] = (),
    ) -> None:
        self._exchange = exchange
        self._door = door
        self._signer = signer
        self._base = base
        self._repeatability = Repeatability()
        self._routes = [*CallRoutes(exchange).routes(), *ParticipantRoutes(exchange, base).routes(), *routes]
        self.operations: Counter[tuple[str, int]] = Counter()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/calling/keys", self._jwks)
        router.add_get("/calling/.well-known/acsopenidconfiguration", self._oidc)
        for route in self._routes:
            router.add_route(route.method, route.path, self._guarded(route.operation, route.handler))

    # --- what stands before every operation ---

    def _guarded(self, operation: str, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            faults: Faults | None = None
            try:
                await self._door.check(request)
                faults = await self._faults(request)
                answer = await self._repeatability.once(
                    request, lambda: self._run(operation, handler, request, faults)
                )
            except RestError as error:
                log.info("%s: %s", operation, error)
                return error_reply(error, 1 if faults is None else faults.rest_retry_after_s)
            if faults is not None and (delay_s := faults.take_delay_s(operation)):
                await asyncio.sleep(delay_s)
            return answer

        return guarded

    async def _run(
        self, operation: str, handler: Handler, request: web.Request, faults: Faults | None
    ) -> web.StreamResponse:
        try:
            if faults is not None:
                await hinder(faults, operation, request)
            answer = await handler(request)
        except RestError as error:
            self.operations[operation, error.status] += 1
            raise
        self.operations[operation, answer.status] += 1
        return answer

    async def _faults(self, request: web.Request) -> Faults | None:
        """The faults of the call that a request is about."""
        connection_id = request.match_info.get("id")
        context = None
        if connection_id is None and request.method == "POST" and request.content_type == "application/json":
            context = _context(await read_body(request))
        return self._exchange.faults_for(connection_id, context)

    # --- signing keys ---

    async def _jwks(self, _: web.Request) -> web.Response:
        return reply(200, self._signer.jwks())

    async def _oidc(self, _: web.Request) -> web.Response:
        return reply(200, self._signer.oidc_document(self._base()))


def _context(body: Json) -> object:
    return body.get("incomingCallContext")
