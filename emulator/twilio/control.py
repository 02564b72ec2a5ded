"""The control API's part for the emulated Twilio account."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from emulator.twilio.config import StudioFlow, TwilioNumber
from shared.errors import ConfigurationError, InvalidInput, NotFound

if TYPE_CHECKING:
    from emulator.service import Emulator
    from emulator.twilio.service import Twilio

ACCOUNT = "/emulator/twilio"
NUMBER = ACCOUNT + "/numbers/{at}"
FLOW = ACCOUNT + "/flows/{name}"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TwilioControl:
    """Handlers; whoever adds the routes sees to it that only the holder of the control key gets in.

    Args:
        emulator: whose account is controlled.
    """

    def __init__(self, emulator: "Emulator") -> None:
        self._emulator = emulator

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of each route."""
        return [
            ("GET", ACCOUNT, self._show),
            ("PUT", NUMBER, self._set_number),
            ("DELETE", NUMBER, self._remove_number),
            ("PUT", FLOW, self._set_flow),
        ]

    @property
    def _account(self) -> "Twilio":
        if self._emulator.twilio is None:
            raise NotFound("this emulator has no Twilio account")
        return self._emulator.twilio

    async def _show(self, _: web.Request) -> web.Response:
        account = self._account
        body = {
            "accountSid": account.config.account_sid,
            "numbers": msgspec.to_builtins(account.numbers),
            "flows": {name: account.flow_address(name) for name in account.flows},
            "notices": account.notices,
        }
        return web.json_response(body)

    async def _set_number(self, request: web.Request) -> web.Response:
        account = self._account
        number = await _read(request, TwilioNumber)
        try:
            account.set_number(request.match_info["at"], number)
        except ConfigurationError as error:
            raise InvalidInput("number", error.message) from None
        return web.Response(status=204)

    async def _remove_number(self, request: web.Request) -> web.Response:
        if self._account.numbers.pop(request.match_info["at"], None) is None:
            raise NotFound("no such number")
        return web.Response(status=204)

    async def _set_flow(self, request: web.Request) -> web.Response:
        account = self._account
        name = request.match_info["name"]
        flow = await _read(request, StudioFlow)
        try:
            account.set_flow(name, flow)
        except ConfigurationError as error:
            raise InvalidInput("flow", error.message) from None
        address = account.flow_address(name)
        return web.json_response({"address": address, "returns": f"{address}?FlowEvent=return"})


async def _read(request: web.Request, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(json.loads(await request.read()), kind)
    except (ValueError, RecursionError) as error:  # msgspec's ValidationError is a ValueError
        raise InvalidInput("body", f"a {kind.__name__} as JSON ({error})") from None
