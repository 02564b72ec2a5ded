"""The control API: dial scripted calls, follow their story, let things go wrong, from another process (see `openapi.py`)."""

import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import ClientError, web

from emulator.event_grid.config import parse_subscription
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.validation import SubscriptionRefused
from emulator.faults import parse_faults
from emulator.openapi import document
from emulator.twilio.control import TwilioControl
from shared.errors import InvalidInput, NotFound, PatchcordError, Unauthenticated

if TYPE_CHECKING:
    from emulator.phone.scripted import ScriptedCall
    from emulator.service import Emulator

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLS = "/emulator/calls"
ONE = CALLS + "/{id}"
FAULTS = "/emulator/faults"
SUBSCRIPTIONS = "/emulator/subscriptions"
VALIDATIONS = "/emulator/validations"
PHONES = "/emulator/phones"
DOCUMENT = "/emulator/openapi.json"
SAMPLE_RATE = "X-Sample-Rate"


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
        router.add_post(f"{ONE}/voice", self._guarded(self._voice))
        router.add_get(f"{ONE}/hearing", self._guarded(self._hearing))
        router.add_post(f"{ONE}/keys", self._guarded(self._keys))
        router.add_post(f"{ONE}/hang-up", self._guarded(self._hang_up))
        router.add_post(f"{ONE}/deliver-again", self._guarded(self._deliver_again))
        router.add_post(f"{ONE}/abort-media", self._guarded(self._abort_media))
        router.add_get(f"{ONE}/faults", self._guarded(self._call_faults))
        router.add_post(f"{ONE}/faults", self._guarded(self._fault))
        router.add_get(FAULTS, self._guarded(self._faults))
        router.add_put(FAULTS, self._guarded(self._set_faults))
        router.add_get(SUBSCRIPTIONS, self._guarded(self._subscriptions))
        router.add_post(SUBSCRIPTIONS, self._guarded(self._subscribe))
        router.add_delete(f"{SUBSCRIPTIONS}/{{name}}", self._guarded(self._unsubscribe))
        router.add_post(PHONES, self._guarded(self._add_phone))
        router.add_get(PHONES, self._guarded(self._phones))
        router.add_delete(f"{PHONES}/{{at}}", self._guarded(self._remove_phone))
        for method, path, handler in TwilioControl(self._emulator).routes():
            router.add_route(method, path, self._guarded(handler))
        router.add_get(DOCUMENT, self._document)
        # Whoever was sent the one-time key may come; CloudEvents endpoints may POST (acs.md 5.4).
        router.add_get(f"{VALIDATIONS}/{{key}}", self._confirm)
        router.add_post(f"{VALIDATIONS}/{{key}}", self._confirm)

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

    def _call(self, request: web.Request) -> "ScriptedCall":
        call = self._emulator.calls.get(request.match_info["id"])
        if call is None:
            raise NotFound("no such call")
        return call

    @staticmethod
    async def _json(request: web.Request, what: str) -> Any:
        try:
            return json.loads(await request.read())
        except (ValueError, RecursionError):
            raise InvalidInput("body", f"{what} as JSON") from None

    async def _dial(self, request: web.Request) -> web.Response:
        call = await self._emulator.dial(await self._json(request, "a script"))
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
            raise NotFound("nobody answered this call, or its audio is no longer kept")
        return web.Response(body=wav, content_type="audio/wav")

    async def _voice(self, request: web.Request) -> web.Response:
        call = self._call(request)
        live = await call.live()
        # Whoever hangs up breaks the connection off in the middle: that is how a microphone ends.
        with contextlib.suppress(OSError, ClientError, web.RequestPayloadError):
            async for pcm in request.content.iter_any():
                if call.is_over:
                    break
                live.say(pcm)
        live.pause()
        return web.Response(status=204)

    async def _hearing(self, request: web.Request) -> web.StreamResponse:
        live = await self._call(request).live()
        response = web.StreamResponse(
            headers={"Content-Type": "application/octet-stream", SAMPLE_RATE: str(live.sample_rate)}
        )
        listener = live.listen()
        try:
            await response.prepare(request)
            async for pcm in listener.read():
                await response.write(pcm)
            await response.write_eof()
        except ConnectionError:
            pass  # the listener has left
        finally:
            live.leave(listener)
        return response

    async def _keys(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await self._json(request, "keys")
        keys = body.get("keys") if isinstance(body, dict) else None
        await call.press_keys(keys if isinstance(keys, str) else "")
        return web.Response(status=204)

    async def _hang_up(self, request: web.Request) -> web.Response:
        self._call(request).hang_up()
        return web.Response(status=204)

    async def _deliver_again(self, request: web.Request) -> web.Response:
        self._call(request).deliver_again()
        return web.Response(status=204)

    async def _abort_media(self, request: web.Request) -> web.Response:
        self._call(request).abort_media()
        return web.Response(status=204)

    async def _add_phone(self, request: web.Request) -> web.Response:
        phone = await self._emulator.add_phone(await self._json(request, "a telephone"))
        return web.json_response(
            {"at": phone.at, "onRing": phone.on_ring, "afterMs": phone.after_ms}, status=201
        )

    async def _phones(self, _: web.Request) -> web.Response:
        return web.json_response({"phones": self._emulator.phones.addresses()})

    async def _remove_phone(self, request: web.Request) -> web.Response:
        if not self._emulator.phones.remove(request.match_info["at"]):
            raise NotFound("no such telephone")
        return web.Response(status=204)

    # --- faults ---

    async def _call_faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._call(request).faults.to_json())

    async def _fault(self, request: web.Request) -> web.Response:
        call = self._call(request)
        knobs = await self._json(request, "faults")
        if not isinstance(knobs, dict):
            raise InvalidInput("body", "a mapping of knobs to values")
        call.fault(knobs)
        return web.json_response(call.faults.to_json())

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._emulator.faults.to_json())

    async def _set_faults(self, request: web.Request) -> web.Response:
        given = parse_faults(await self._json(request, "faults"))
        self._emulator.faults.set(given.to_json())
        return web.json_response(self._emulator.faults.to_json())

    # --- Event Grid ---

    async def _subscriptions(self, _: web.Request) -> web.Response:
        shown = [shown_subscription(item) for item in self._emulator.grid.subscriptions]
        return web.json_response({"subscriptions": shown})

    async def _subscribe(self, request: web.Request) -> web.Response:
        subscription = parse_subscription(await self._json(request, "a subscription"))
        try:
            await self._emulator.subscribe(subscription)
        except SubscriptionRefused as refused:
            raise InvalidInput("endpoint", f"one that passes the handshake; {refused}") from None
        return web.json_response(shown_subscription(subscription), status=201)

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        if not self._emulator.grid.unsubscribe(request.match_info["name"]):
            raise NotFound("no such subscription")
        return web.Response(status=204)

    async def _confirm(self, request: web.Request) -> web.Response:
        if not self._emulator.grid.validator.confirm(request.match_info["key"]):
            return web.json_response(
                {"error": {"code": "404-01", "message": "no such validation"}}, status=404
            )
        return web.Response(text="Event Grid takes the subscription.")

    async def _document(self, _: web.Request) -> web.Response:
        return web.json_response(document(self._emulator.endpoint))


def shown_subscription(subscription: Subscription) -> dict[str, Any]:
    """What may be shown of a subscription: its address and its headers' values may be secret."""
    shown: dict[str, Any] = msgspec.to_builtins(subscription)
    del shown["endpoint"]
    return {**shown, "headers": sorted(subscription.headers)}
