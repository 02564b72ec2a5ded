"""Call Automation's REST interface: routes, exact success codes, error bodies, authentication (acs.md 1)."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from emulator.acs.auth import HmacVerifier
from emulator.acs.calls import AnswerRequest, Call, Operation
from emulator.acs.errors import RestError, invalid, not_found
from emulator.acs.exchange import Exchange, Ringing
from emulator.acs.identifiers import read_identifier
from emulator.acs.media import read_media_options
from emulator.acs.repeatability import Repeatability
from emulator.acs.signing import Signer
from shared.settings import is_loopback

log = logging.getLogger(__name__)

type Json = dict[str, Any]
type Handler = Callable[[web.Request], Awaitable[web.Response]]

CALLS = "/calling/callConnections"
ONE = CALLS + "/{id:[^:/]+}"
MAX_BODY = 1024 * 1024
REJECT_REASONS = ("none", "busy", "forbidden")


async def read_body(request: web.Request) -> Json:
    """The JSON object in a request; an empty body is an empty object.

    Raises:
        RestError: 400/8523.
    """
    data = await request.read()
    if not data:
        return {}
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise invalid("body") from None
    if not isinstance(body, dict):
        raise invalid("body")
    return body


def read_callback_uri(value: object, field: str) -> str:
    """An address for callbacks: https, or http on loopback.

    Raises:
        RestError: 400/8523.
    """
    if isinstance(value, str):
        parts = urlsplit(value)
        if parts.hostname and (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        ):
            return value
    raise invalid(field)


def read_operation(body: Json) -> Operation:
    """`operationContext` and `operationCallbackUri`.

    Raises:
        RestError: 400/8523.
    """
    context = body.get("operationContext")
    if context is not None and not isinstance(context, str):
        raise invalid("OperationContext")
    uri = body.get("operationCallbackUri")
    return Operation(context, None if uri is None else read_callback_uri(uri, "OperationCallbackUri"))


def reply(status: int, body: Json | None = None) -> web.Response:
    """A JSON answer, or an empty one."""
    return web.Response(status=status) if body is None else web.json_response(body, status=status)


class RestApi:
    """The routes of the REST interface.

    Args:
        exchange: the calls.
        access_key: the resource's key, base64.
        signer: for the JWKS.
        base: returns the emulator's own address.

    Attributes:
        operations: how often each operation was carried out or refused, by name and status; repeated requests that were
            answered from memory are not counted.
    """

    def __init__(self, exchange: Exchange, access_key: str, signer: Signer, base: Callable[[], str]) -> None:
        self._exchange = exchange
        self._verifier = HmacVerifier(access_key)
        self._signer = signer
        self._base = base
        self._repeatability = Repeatability()
        self.operations: Counter[tuple[str, int]] = Counter()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/calling/keys", self._jwks)
        router.add_get("/calling/.well-known/acsopenidconfiguration", self._oidc)
        post: dict[str, Handler] = {
            f"{CALLS}:answer": self._answer,
            f"{CALLS}:reject": self._reject,
            f"{CALLS}:redirect": self._redirect,
            f"{ONE}:terminate": self._hang_up,
            f"{ONE}:transferToParticipant": self._transfer,
            f"{ONE}/participants:add": self._add_participant,
            f"{ONE}:startMediaStreaming": self._start_media,
            f"{ONE}:stopMediaStreaming": self._stop_media,
        }
        for path, handler in post.items():
            router.add_post(path, self._guarded(path.rpartition(":")[2], handler))
        router.add_delete(ONE, self._guarded("hangUp", self._hang_up))
        router.add_get(ONE, self._guarded("get", self._get))
        router.add_get(f"{ONE}/participants", self._guarded("listParticipants", self._participants))
        router.add_get(f"{ONE}/participants/{{who}}", self._guarded("getParticipant", self._participant))

    # --- what stands before every operation ---

    def _guarded(self, operation: str, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            try:
                await self._authenticate(request)
                about = await self._subject(request)
                answer = await self._repeatability.once(
                    request, lambda: self._run(operation, handler, request, about)
                )
            except RestError as error:
                log.info("%s: %s", operation, error)
                return _error_answer(error)
            if about is not None and (delay_s := about.delays.pop(operation, 0.0)):
                await asyncio.sleep(delay_s)
            return answer

        return guarded

    async def _authenticate(self, request: web.Request) -> None:
        body = await request.read()
        if not self._verifier.verify(request.method, request.raw_path, request.headers, body, time.time()):
            raise RestError(401, "7509", "HMAC authentication failed.")

    async def _run(
        self, operation: str, handler: Handler, request: web.Request, about: Ringing | None
    ) -> web.Response:
        try:
            self._exchange.fault(operation, about)
            answer = await handler(request)
        except RestError as error:
            self.operations[operation, error.status] += 1
            raise
        self.operations[operation, answer.status] += 1
        return answer

    async def _subject(self, request: web.Request) -> Ringing | None:
        """The call that a request is about, if there is one."""
        connection_id = request.match_info.get("id")
        if connection_id is not None:
            return self._exchange.find(connection_id)
        context = (await read_body(request)).get("incomingCallContext")
        return self._exchange.peek(context) if isinstance(context, str) else None

    # --- signing keys ---

    async def _jwks(self, _: web.Request) -> web.Response:
        return reply(200, self._signer.jwks())

    async def _oidc(self, _: web.Request) -> web.Response:
        return reply(200, self._signer.oidc_document(self._base()))

    # --- ringing calls ---

    @staticmethod
    def _context(body: Json) -> str:
        context = body.get("incomingCallContext")
        if not isinstance(context, str) or not context:
            raise invalid("IncomingCallContext")
        return context

    async def _answer(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        context = self._context(body)
        checked = AnswerRequest(
            callback_uri=read_callback_uri(body.get("callbackUri"), "CallbackUri"),
            api_version=request.query.get("api-version", "2026-03-12"),
            operation=Operation(read_operation(body).context),
            media=read_media_options(body.get("mediaStreamingOptions")),
        )
        call = self._exchange.answer(context, checked)
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

    # --- answered calls ---

    def _call(self, request: web.Request) -> Call:
        return self._exchange.call(request.match_info["id"])

    async def _get(self, request: web.Request) -> web.Response:
        return reply(200, self._call(request).properties())

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._call(request).hang_up("agent", "agent_hung_up")
        return reply(204)

    async def _transfer(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        target = read_identifier(body.get("targetParticipant"), "TargetParticipant")
        who = body.get("transferee")
        transferee = None if who is None else read_identifier(who, "Transferee")
        operation = read_operation(body)
        call.transfer(target, transferee, operation)
        return reply(202, {"operationContext": operation.context})

    async def _add_participant(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        target = read_identifier(body.get("participantToAdd"), "ParticipantToAdd")
        operation = read_operation(body)
        answer = {
            "participant": {"identifier": target, "isMuted": False, "isOnHold": False},
            "operationContext": operation.context,
            "invitationId": call.add_participant(target, operation),
        }
        return reply(202, answer)

    async def _participants(self, request: web.Request) -> web.Response:
        return reply(200, {"value": self._call(request).roster()})

    async def _participant(self, request: web.Request) -> web.Response:
        who = request.match_info["who"]
        for entry in self._call(request).roster():
            if entry["identifier"]["rawId"] == who:
                return reply(200, entry)
        raise not_found("Participant")

    async def _start_media(self, request: web.Request) -> web.Response:
        call = self._call(request)
        call.start_media(read_operation(await read_body(request)))
        return reply(202)

    async def _stop_media(self, request: web.Request) -> web.Response:
        call = self._call(request)
        call.stop_media(read_operation(await read_body(request)))
        return reply(202)


def _error_answer(error: RestError) -> web.Response:
    answer = web.json_response(error.body(), status=error.status)
    if error.status == 429:
        answer.headers["Retry-After"] = "1"
    return answer
