"""Event Grid's door, `/runtime/webhooks/eventgrid?functionName=NAME&code=KEY`, as the extension of Azure's host has it.

Source: EventGridExtensionConfigProvider.cs and HttpRequestProcessor.cs of azure-sdk-for-net (functions.md 2.2 and 7.4). The order
matters: key, function, kind of event, body. Every event of a batch is its own invocation, all in parallel; one failure makes
the whole batch a 500, and Event Grid sends all of it again.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from emulator.functions_host.engine import Engine, Function, FunctionFailed, TypedData, log_failure
from emulator.functions_host.keys import HostKeys, presented_key

logger = logging.getLogger(__name__)

PREFIX = "/runtime/webhooks/"
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS")


def events_of(body: bytes) -> list[Any]:
    """The events of a delivery: an array, or a single object (CloudEvents).

    Raises:
        ValueError: it is neither.
    """
    document = json.loads(body)
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        return [document]
    raise ValueError("expected an array of events or one event")


def validation_code_of(body: bytes) -> str:
    """The code of a SubscriptionValidation event; its data may be a JSON text within the JSON.

    Raises:
        ValueError: there is none.
    """
    events = events_of(body)
    data = events[0].get("data") if events and isinstance(events[0], dict) else None
    if isinstance(data, str):
        data = json.loads(data)
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not isinstance(code, str):
        raise ValueError("no data.validationCode")
    return code


def event_data(event: Any) -> tuple[TypedData, Mapping[str, TypedData]]:
    """The trigger's data and metadata (`data` is the event's own) for one event."""
    data = event.get("data") if isinstance(event, dict) else None
    return TypedData(json=json.dumps(event)), {"data": TypedData(json=json.dumps(data))}


class EventGridWebhook:
    """All functions with an Event Grid trigger behind the extension's webhook."""

    def __init__(self, engine: Engine, keys: HostKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._functions = {
            name: function
            for name, function in engine.functions.items()
            if function.kind == "eventgridtrigger"
        }

    async def handle(self, request: web.Request) -> tuple[web.Response, str]:
        """Answer a request to `/runtime/webhooks/…`; the second value is what the log shows."""
        extension = request.path.removeprefix(PREFIX).strip("/").lower()
        if not self._keys.allows_webhook(extension, presented_key(request.headers, request.query)):
            return web.Response(status=401), PREFIX + "…"
        if extension != "eventgrid" or request.method not in METHODS:
            return web.Response(status=404), PREFIX + "…"
        shown = PREFIX + extension
        name = request.query.get("functionName", "")
        function = self._functions.get(name)
        if function is None:
            return web.Response(status=404, text=f"cannot find function: '{name}'"), shown
        kind = request.headers.get("aeg-event-type", "").lower()
        return await self._switch(function, kind, await request.read()), f"{shown} {name} {kind[:32]}"

    async def _switch(self, function: Function, kind: str, body: bytes) -> web.Response:
        try:
            if kind == "subscriptionvalidation":
                return web.json_response({"validationResponse": validation_code_of(body)})
            if kind == "notification":
                return await self._notify(function, events_of(body))
        except (ValueError, RecursionError) as error:
            # The extension does not catch its JSON parser's exception, so the real host answers 500 as well.
            logger.warning("event for %s cannot be read: %s", function.name, type(error).__name__)
            return web.Response(status=500)
        return web.Response(status=202 if kind == "unsubscribe" else 400)

    async def _notify(self, function: Function, events: list[Any]) -> web.Response:
        results = await asyncio.gather(*(self._invoke(function, event) for event in events))
        failures = [failure for failure in results if failure is not None]
        for failure in failures:
            log_failure(failure)
        return web.Response(status=500, text=failures[0].message) if failures else web.Response(status=202)

    async def _invoke(self, function: Function, event: Any) -> FunctionFailed | None:
        data, metadata = event_data(event)
        try:
            await self._engine.invoke(function, data, metadata=metadata)
        except FunctionFailed as failure:
            return failure
        return None
