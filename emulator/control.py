"""The control API: dial scripted calls, follow their story, meddle with them, from another process."""

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from shared.errors import InvalidInput, NotFound, PatchcordError, Unauthenticated

if TYPE_CHECKING:
    from emulator.phone.call import PhoneCall
    from emulator.service import Emulator

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLS = "/emulator/calls"
ONE = CALLS + "/{id}"


class ControlApi:
    """Routes under `/emulator`, for whoever holds the control key.

    Args:
        emulator: what is controlled.
        key: the bearer key.
    """

    def __init__(self, emulator: "Emulator", key: str) -> None:
        self._emulator = emulator
        self._expected = f"Bearer {key}".encode()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(CALLS, self._guarded(self._dial))
        router.add_get(CALLS, self._guarded(self._list))
        router.add_get(ONE, self._guarded(self._summary))
        router.add_get(f"{ONE}/story", self._guarded(self._story))
        router.add_get(f"{ONE}/{{side:heard|said}}.wav", self._guarded(self._wav))
        router.add_post(f"{ONE}/hang-up", self._guarded(self._hang_up))
        router.add_post(f"{ONE}/deliver-again", self._guarded(self._deliver_again))
        router.add_post(f"{ONE}/abort-media", self._guarded(self._abort_media))

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                given = request.headers.get("Authorization", "").encode()
                if not hmac.compare_digest(given, self._expected):
                    raise Unauthenticated
                return await handler(request)
            except PatchcordError as error:
                body = {"error": {"code": error.code, "message": error.message}}
                return web.json_response(body, status=error.status)

        return guarded

    def _call(self, request: web.Request) -> "PhoneCall":
        call = self._emulator.calls.get(request.match_info["id"])
        if call is None:
            raise NotFound("no such call")
        return call

    async def _dial(self, request: web.Request) -> web.Response:
        try:
            script = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise InvalidInput("body", "a script as JSON") from None
        call = await self._emulator.dial(script)
        return web.json_response({"id": call.id, "correlationId": call.correlation_id}, status=201)

    async def _list(self, _: web.Request) -> web.Response:
        calls = [call.summary() for call in reversed(self._emulator.calls.values())]
        return web.json_response({"calls": calls})

    async def _summary(self, request: web.Request) -> web.Response:
        return web.json_response(self._call(request).summary())

    async def _story(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for event in call.story():
            await response.write(json.dumps(event).encode() + b"\n")
        await response.write_eof()
        return response

    async def _wav(self, request: web.Request) -> web.Response:
        call = self._call(request)
        wav = call.heard_wav() if request.match_info["side"] == "heard" else call.said_wav()
        if wav is None:
            raise NotFound("nobody answered this call")
        return web.Response(body=wav, content_type="audio/wav")

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._call(request).hang_up()
        return web.Response(status=204)

    async def _deliver_again(self, request: web.Request) -> web.Response:
        self._call(request).deliver_again()
        return web.Response(status=204)

    async def _abort_media(self, request: web.Request) -> web.Response:
        self._call(request).abort_media()
        return web.Response(status=204)
