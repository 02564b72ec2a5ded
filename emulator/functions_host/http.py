"""HTTP functions: a request becomes the worker's `http` value, and what comes back becomes the answer."""

import logging
from collections.abc import Mapping
from datetime import datetime
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from multidict import CIMultiDict, MultiMapping

from emulator.functions_host.engine import (
    Engine,
    Function,
    FunctionFailed,
    LoadFailed,
    TypedData,
    log_failure,
)
from emulator.functions_host.keys import HostKeys, presented_key
from emulator.functions_host.routes import RouteTable

logger = logging.getLogger(__name__)

_LEVELS = ("ANONYMOUS", "FUNCTION", "ADMIN")
_OURS = ("content-length", "transfer-encoding", "connection")  # the HTTP layer writes these itself


def joined(values: MultiMapping[str], *, lower: bool) -> dict[str, str]:
    """Each name once; repeated values joined with "," as the real host does (RpcMessageConversionExtensions.ToRpcHttp)."""
    result: dict[str, list[str]] = {}
    for name, value in values.items():
        result.setdefault(name.lower() if lower else name, []).append(value)
    return {name: ",".join(items) for name, items in result.items()}


def request_data(request: web.BaseRequest, body: bytes, parameters: Mapping[str, str]) -> TypedData:
    """The trigger's data: header names in lower case, empty query parameters left out, the body as bytes."""
    http = SimpleNamespace(
        method=request.method,
        url=str(request.url),
        headers=joined(request.headers, lower=True),
        params=dict(parameters),
        query={name: value for name, value in joined(request.query, lower=False).items() if value},
        body=TypedData(bytes=body),
    )
    return TypedData(http=http)


def cookie_header(cookie: Any) -> str:
    """The value of `Set-Cookie` for one of the worker's cookies: the host writes these back (functions.md 1.3)."""
    jar: SimpleCookie = SimpleCookie()
    jar[cookie.name] = cookie.value
    morsel = jar[cookie.name]
    if cookie.domain and cookie.domain.value:
        morsel["domain"] = cookie.domain.value
    if cookie.path and cookie.path.value:
        morsel["path"] = cookie.path.value
    if cookie.expires:
        # The worker reads the GMT text as local time (in Azure both are UTC); undo just that.
        moment = datetime.fromtimestamp(cookie.expires.value.seconds)
        morsel["expires"] = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
    if cookie.max_age is not None:
        morsel["max-age"] = str(int(cookie.max_age.value))
    if cookie.secure and cookie.secure.value:
        morsel["secure"] = True
    if cookie.http_only and cookie.http_only.value:
        morsel["httponly"] = True
    if cookie.same_site:
        morsel["samesite"] = cookie.same_site
    return morsel.OutputString()


def response_of(result: Any) -> web.Response:
    """The HTTP answer for what an HTTP function returned."""
    if result is None:
        return web.Response(status=204)
    if result.kind != "http":
        text = getattr(result, str(result.kind))
        return web.Response(text=text if isinstance(text, str) else str(text))
    answer = result.http
    headers = CIMultiDict(
        {name: value for name, value in answer.headers.items() if name.lower() not in _OURS}
    )
    for cookie in answer.cookies or []:
        headers.add("Set-Cookie", cookie_header(cookie))
    return web.Response(status=int(answer.status_code), body=answer.body.bytes, headers=headers)


class HttpFunctions:
    """All HTTP functions of an app behind one handler.

    Args:
        engine: runs them.
        keys: who may pass.
        prefix: host.json's route prefix.

    Raises:
        LoadFailed: a route or an auth level cannot be served.
    """

    def __init__(self, engine: Engine, keys: HostKeys, prefix: str) -> None:
        self._engine = engine
        self._keys = keys
        self.routes = RouteTable(prefix)
        for function in engine.functions.values():
            if function.kind == "httptrigger":
                self._add(function)

    def _add(self, function: Function) -> None:
        trigger = function.trigger
        if str(trigger.get("authLevel", "FUNCTION")).upper() not in _LEVELS:
            raise LoadFailed(
                f"The '{function.name}' function is in error: auth level '{trigger['authLevel']}' is not one of {_LEVELS}."
            )
        self.routes.add(function.name, trigger.get("route"), trigger.get("methods") or ())

    async def handle(self, request: web.Request) -> tuple[web.Response, str]:
        """Answer a request; the second value is the route's template for the log ("" if none fits)."""
        found = self.routes.find(request.method, request.rel_url.raw_path)
        if found is None:
            return web.Response(status=404), ""
        route, parameters = found
        function = self._engine.functions[route.function]
        level = str(function.trigger.get("authLevel", "FUNCTION"))
        if not self._keys.allows(level, function.name, presented_key(request.headers, request.query)):
            return web.Response(status=401), route.template
        data = request_data(request, await request.read(), parameters)
        try:
            result = await self._engine.invoke(function, data, trace=request.headers.get("traceparent", ""))
            return response_of(result), route.template
        except FunctionFailed as failure:
            log_failure(failure)
            return web.Response(status=500), route.template
