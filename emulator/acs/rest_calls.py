"""Routes that make calls, answer them, end them, and act on a connection as a whole (acs.md 1.3)."""

from aiohttp import web

from emulator.acs.calls import Call
from emulator.acs.errors import invalid
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import read_identifier
from emulator.acs.operations.connecting import connect, create
from emulator.acs.operations.hold import hold, unhold
from emulator.acs.operations.streaming import start_media, stop_media
from emulator.acs.operations.transfer import Transfer, transfer
from emulator.acs.rest_body import (
    CALLS,
    ONE,
    Json,
    Route,
    post,
    read_body,
    read_connection,
    read_custom_context,
    read_identifiers,
    read_number,
    read_operation,
    reply,
)

REJECT_REASONS = ("none", "busy", "forbidden")


class CallRoutes:
    """The handlers.

    Args:
        exchange: the calls.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """All routes of this file."""
        return [
            Route("POST", CALLS, "createCall", self._create),
            post(f"{CALLS}:answer", self._answer),
            post(f"{CALLS}:reject", self._reject),
            post(f"{CALLS}:redirect", self._redirect),
            post(f"{CALLS}:connect", self._connect),
            Route("GET", ONE, "get", self._get),
            Route("DELETE", ONE, "hangUp", self._hang_up),
            post(f"{ONE}:terminate", self._terminate),
            post(f"{ONE}:transferToParticipant", self._transfer),
            post(f"{ONE}:hold", self._hold),
            post(f"{ONE}:unhold", self._unhold),
            post(f"{ONE}:startMediaStreaming", self._start_media),
            post(f"{ONE}:stopMediaStreaming", self._stop_media),
        ]

    # --- making and taking calls ---

    @staticmethod
    def _context(body: Json) -> str:
        context = body.get("incomingCallContext")
        if not isinstance(context, str) or not context:
            raise invalid("IncomingCallContext")
        return context

    async def _answer(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        context = self._context(body)
        call = self._exchange.answer(context, read_connection(body, request.query.get("api-version")))
        answer = call.properties()
        await call.connect()
        return reply(200, answer)

    async def _reject(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        context = self._context(body)
        reason = str(body.get("callRejectReason") or "none").lower()
        if reason not in REJECT_REASONS:
            raise invalid("CallRejectReason")
        self._exchange.reject(context, reason)
        return reply(204)

    async def _redirect(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        context = self._context(body)
        self._exchange.redirect(context, read_identifier(body.get("target"), "Target"))
        return reply(204)

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        targets = read_identifiers(body.get("targets"), "Targets")
        custom = read_custom_context(body.get("customCallingContext"))
        checked = read_connection(body, request.query.get("api-version"), targets=targets, user="source")
        return reply(201, create(self._exchange, checked, custom).properties())

    async def _connect(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        locator = body.get("callLocator")
        if not isinstance(locator, dict):
            raise invalid("CallLocator")
        checked = read_connection(body, request.query.get("api-version"))
        call = connect(self._exchange, locator, checked)
        answer = call.properties()
        await call.connect()
        return reply(200, answer)

    # --- a connection ---

    def _call(self, request: web.Request) -> Call:
        return self._exchange.call(request.match_info["id"])

    async def _get(self, request: web.Request) -> web.Response:
        return reply(200, self._call(request).properties())

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._call(request).hang_up()
        return reply(204)

    async def _terminate(self, request: web.Request) -> web.Response:
        self._call(request).terminate()
        return reply(204)

    async def _transfer(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        who = body.get("transferee")
        wanted = Transfer(
            target=read_identifier(body.get("targetParticipant"), "TargetParticipant"),
            transferee=None if who is None else read_identifier(who, "Transferee"),
            operation=read_operation(body),
            custom_context=read_custom_context(body.get("customCallingContext")),
        )
        read_number(body.get("sourceCallerIdNumber"), "SourceCallerIdNumber")
        transfer(self._exchange, call, wanted)
        return reply(202, {"operationContext": wanted.operation.context})

    async def _hold(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        who = read_identifier(body.get("targetParticipant"), "TargetParticipant")
        music = body.get("playSourceInfo")
        if music is not None and not isinstance(music, dict):
            raise invalid("PlaySourceInfo")
        hold(call, who, music, read_operation(body))
        return reply(200)

    async def _unhold(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        unhold(call, read_identifier(body.get("targetParticipant"), "TargetParticipant"))
        return reply(200)

    async def _start_media(self, request: web.Request) -> web.Response:
        call = self._call(request)
        start_media(call, read_operation(await read_body(request)))
        return reply(202)

    async def _stop_media(self, request: web.Request) -> web.Response:
        call = self._call(request)
        stop_media(call, read_operation(await read_body(request)))
        return reply(202)
