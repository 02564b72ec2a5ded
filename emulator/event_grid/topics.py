"""Custom topics: `POST /TOPIC/api/events` takes CloudEvents, with the topic's key or a signature made with it.

The real endpoint is `https://TOPIC.REGION-1.eventgrid.azure.net/api/events`; here the name is the first part of the path. Shapes
are those that azure-eventgrid's `EventGridPublisherClient` sends: a batch, `aeg-sas-key` or `aeg-sas-token`.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from emulator.event_grid.delivery import EventGrid
from shared.errors import InvalidInput, PatchcordError, Unauthenticated

MAX_BYTES = 1024 * 1024
"""Of a request (bytes), as on Event Grid."""

BATCH, SINGLE = "application/cloudevents-batch+json", "application/cloudevents+json"

type Json = dict[str, Any]


def is_topic_key(key: str) -> bool:
    """Whether `key` could be a topic's: base64 of at least 16 bytes."""
    try:
        return len(base64.b64decode(key, validate=True)) >= 16
    except binascii.Error:
        return False


class Topics:
    """The topics of one emulator.

    Args:
        grid: delivers.
        keys: each topic's access key (base64) by its name.
        base: the emulator's address.
    """

    def __init__(self, grid: EventGrid, keys: Mapping[str, str], base: Callable[[], str]) -> None:
        self._grid = grid
        self._keys = keys
        self._base = base

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the route."""
        router.add_post("/{topic}/api/events", self._publish)

    async def _publish(self, request: web.Request) -> web.Response:
        name = request.match_info["topic"]
        key = self._keys.get(name)
        if key is None:
            return _problem(404, "NotFound", "there is no such topic")
        try:
            _authorise(request, key, f"{self._base()}/{name}/api/events")
            body = await request.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await request.content.read(MAX_BYTES)):
                body += more
            if len(body) > MAX_BYTES:
                return _problem(413, "RequestEntityTooLarge", f"at most {MAX_BYTES} bytes")
            events = _parse(request.content_type, body)
        except Unauthenticated as error:
            return _problem(401, "Unauthorized", error.reason)
        except PatchcordError as error:
            return _problem(400, "BadRequest", error.message)
        for event in events:
            self._grid.publish(event, topic=name)
        return web.Response(status=200)


def _authorise(request: web.Request, key: str, endpoint: str) -> None:
    given = request.headers.get("aeg-sas-key")
    if given is not None:
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise Unauthenticated("wrong aeg-sas-key")
        return
    token = request.headers.get("aeg-sas-token", "")
    unsigned, _, _ = token.partition("&s=")
    parts = {name: values[0] for name, values in parse_qs(token).items()}
    signed = base64.b64encode(hmac.digest(base64.b64decode(key), unsigned.encode(), hashlib.sha256)).decode()
    if not hmac.compare_digest(parts.get("s", "").replace(" ", "+"), signed):
        raise Unauthenticated("no aeg-sas-key, and no valid aeg-sas-token")
    resource = urlsplit(parts.get("r", ""))
    if f"{resource.scheme}://{resource.netloc}{resource.path}" != endpoint:
        raise Unauthenticated("an aeg-sas-token for another topic")
    if not _in_future(parts.get("e", "")):
        raise Unauthenticated("an aeg-sas-token that has expired")


def _in_future(stamp: str) -> bool:
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) > datetime.now(UTC)


def _parse(kind: str, body: bytes) -> list[Json]:
    """CloudEvents as events of the Event Grid schema, each with the original in `cloudEvent`."""
    if kind not in (BATCH, SINGLE):
        raise InvalidInput("Content-Type", f"{BATCH} or {SINGLE}: the topics here take CloudEvents 1.0")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("body", "JSON") from None
    events = found if kind == BATCH else [found]
    if not isinstance(events, list) or not events:
        raise InvalidInput("body", "an array of events")
    return [_event(event, index) for index, event in enumerate(events)]


def _event(event: object, index: int) -> Json:
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        raise InvalidInput(f"[{index}].specversion", "1.0")
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidInput(f"[{index}].{name}", "text")
    return {
        "id": event["id"],
        "topic": event["source"],
        "subject": str(event.get("subject") or ""),
        "eventType": event["type"],
        "eventTime": str(event.get("time") or datetime.now(UTC).isoformat()),
        "data": event.get("data"),
        "dataVersion": "",
        "metadataVersion": "1",
        "cloudEvent": event,
    }


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
