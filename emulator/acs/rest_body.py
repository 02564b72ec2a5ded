"""Reading requests and writing answers of the REST interface."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from emulator.acs.errors import RestError, invalid
from emulator.acs.identifiers import Identifier, read_identifier
from emulator.acs.media import read_media_options
from emulator.acs.operations.requests import read_transcription_options
from emulator.acs.services import ConnectionRequest, Operation
from shared.settings import is_loopback

type Json = dict[str, Any]
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLS = "/calling/callConnections"
ONE = CALLS + "/{id:[^:/]+}"
API_VERSION = "2026-03-12"
MAX_VOIP_HEADERS = 1000
MAX_VOIP_KEY, MAX_VOIP_VALUE = 64, 1024
MAX_SIP_HEADERS = 5
MAX_SIP_KEY, MAX_SIP_VALUE = 64, 256
USER_TO_USER = "User-To-User"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the REST interface.

    Attributes:
        method: the HTTP verb.
        path: with aiohttp's placeholders.
        operation: its name in faults and counts.
        handler: may raise RestError.
    """

    method: str
    path: str
    operation: str
    handler: Handler


def post(path: str, handler: Handler) -> Route:
    """A POST, named by what follows the last `:` of its path."""
    return Route("POST", path, path.rpartition(":")[2], handler)


def reply(status: int, body: Json | None = None) -> web.Response:
    """A JSON answer, or an empty one."""
    return web.Response(status=status) if body is None else web.json_response(body, status=status)


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


def read_identifiers(value: object, field: str) -> tuple[Identifier, ...]:
    """A list of at least one identifier.

    Raises:
        RestError: 400/8523.
    """
    if not isinstance(value, list) or not value:
        raise invalid(field)
    return tuple(read_identifier(who, field) for who in value)


def read_number(value: object, field: str) -> str | None:
    """`sourceCallerIdNumber`: `{"value": "+1…"}`, or None.

    Raises:
        RestError: 400/8523.
    """
    if value is None:
        return None
    number = value.get("value") if isinstance(value, dict) else None
    if not isinstance(number, str) or not number.startswith("+"):
        raise invalid(field)
    return number


def read_user(value: object, field: str) -> Identifier | None:
    """A CommunicationUserIdentifierModel (`{"id": "8:acs:…"}`), or None.

    Raises:
        RestError: 400/8523.
    """
    return None if value is None else read_identifier({"communicationUser": value}, field)


def read_connection(
    body: Json,
    api_version: str | None,
    *,
    targets: tuple[Identifier, ...] = (),
    user: str = "answeredBy",
) -> ConnectionRequest:
    """What answer, createCall and connect have in common; `user` is the field of the app's own ACS user.

    Raises:
        RestError: 400/8523 names the wrong field.
    """
    transcription: Json | None = body.get("transcriptionOptions")
    read_transcription_options(transcription)
    return ConnectionRequest(
        callback_uri=read_callback_uri(body.get("callbackUri"), "CallbackUri"),
        api_version=api_version or API_VERSION,
        operation=Operation(read_operation(body).context),
        media=read_media_options(body.get("mediaStreamingOptions")),
        transcription=transcription,
        answered_by=read_user(body.get(user), user[0].upper() + user[1:]),
        targets=targets,
        source_number=read_number(body.get("sourceCallerIdNumber"), "SourceCallerIdNumber"),
        source_name=str(body.get("sourceDisplayName") or ""),
    )


def read_custom_context(value: object) -> Json | None:
    """`customCallingContext`, as it arrives in the target's IncomingCall; None when there is none (acs.md 6).

    `User-To-User` arrives as `userToUser` (acs.md 5.1).

    Raises:
        RestError: 400/8523: too many headers, or too long ones (the limits are documented, the code is guessed).
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("CustomCallingContext")
    voip = _headers(value, "voipHeaders", MAX_VOIP_KEY, MAX_VOIP_VALUE)
    sip = _headers(value, "sipHeaders", MAX_SIP_KEY, MAX_SIP_VALUE)
    if len(voip) > MAX_VOIP_HEADERS:
        raise invalid("VoipHeaders")
    if len(sip) - (USER_TO_USER in sip) > MAX_SIP_HEADERS:
        raise invalid("SipHeaders")
    if USER_TO_USER in sip:
        sip = {("userToUser" if name == USER_TO_USER else name): text for name, text in sip.items()}
    context: Json = {}
    if voip:
        context["voipHeaders"] = voip
    if sip:
        context["sipHeaders"] = sip
    return context or None


def _headers(context: Json, name: str, max_key: int, max_value: int) -> dict[str, str]:
    headers = context.get(name) or {}
    if not isinstance(headers, dict) or not all(
        isinstance(text, str) and len(key) <= max_key and len(text) <= max_value
        for key, text in headers.items()
    ):
        raise invalid(name[0].upper() + name[1:])
    return headers


def error_reply(error: RestError, retry_after_s: int | None = 1) -> web.Response:
    """The answer for an error; 429 tells when to come back."""
    answer = web.json_response(error.body(), status=error.status)
    if error.status == 429 and retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer
