"""Where the trace listens to HTTP: a middleware for the requests of apps, another for what the emulator sends."""

import time

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, web
from aiohttp.typedefs import Handler, Middleware

from emulator.trace.record import Trace
from emulator.trace.redaction import redact_path, redact_url

TRACED = ("/calling/", "/calling", "/identities", "/v1/objects/")
NOT_TRACED = ("/calling/keys", "/calling/.well-known/")


def rest_middleware(trace: Trace) -> Middleware:
    """Traces Call Automation's requests; the control API, tokens and keys are none."""

    @web.middleware
    async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path
        if not path.startswith(TRACED) or path.startswith(NOT_TRACED):
            return await handler(request)
        started = time.perf_counter()
        outcome: dict[str, object] = {"error": "dropped"}
        sent, body = b"", None
        try:
            sent = await request.read()
            answer = await handler(request)
            outcome = {"status": answer.status}
            if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                body = answer.body
            return answer
        except web.HTTPException as error:
            outcome = {"status": error.status}
            raise
        finally:
            trace.exchange(
                "rest",
                request.method,
                redact_path(request.path_qs),
                request.headers,
                sent,
                body,
                (time.perf_counter() - started) * 1000,
                outcome,
                named=_named(request),
            )

    return traced


def _named(request: web.Request) -> dict[str, str]:
    """The ids in the path."""
    info = request.match_info
    names = {"id": "callConnectionId", "recording": "recordingId"}
    return {names[name]: value for name, value in info.items() if name in names}


def client_middleware(trace: Trace) -> ClientMiddlewareType:
    """Traces callbacks, events and downloads of a `ClientSession`."""

    async def traced(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        sent = await request.body.as_bytes() if isinstance(request.body, aiohttp.BytesPayload) else b""
        started = time.perf_counter()
        outcome: dict[str, object] = {"error": "no answer in time"}
        try:
            answer = await handler(request)
            outcome = {"status": answer.status}
            return answer
        except (aiohttp.ClientError, OSError) as error:
            outcome = {"error": type(error).__name__}
            raise
        finally:
            trace.exchange(
                _purpose(request),
                request.method,
                redact_url(str(request.url)),
                request.headers,
                sent,
                None,
                (time.perf_counter() - started) * 1000,
                outcome,
            )

    return traced


def _purpose(request: aiohttp.ClientRequest) -> str:
    if "aeg-event-type" in request.headers or "WebHook-Request-Origin" in request.headers:
        return "event"
    return "callback" if request.method == "POST" else "fetch"
