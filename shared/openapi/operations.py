"""Every door over HTTP: parameters, bodies, answers, errors."""

from collections.abc import Sequence

from shared.calls.admission import NoMediaHost
from shared.calls.answering import MissingContext
from shared.calls.destinations import DestinationForbidden
from shared.calls.outbound import CallerIdForbidden
from shared.conversations.conversations import ConversationBusy
from shared.errors import (
    CallControlUnavailable,
    Conflict,
    Forbidden,
    InvalidInput,
    KeysUnavailable,
    LimitReached,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
    Unavailable,
)
from shared.http import TooLarge, UnsupportedMediaType
from shared.openapi import twilio
from shared.openapi.build import Json, ref, text
from shared.openapi.errors import Kind
from shared.openapi.operation import (
    COMPATIBLE,
    CREDENTIALS,
    WITH_CREDENTIALS,
    answer,
    body,
    operation,
    path_parameter,
)
from shared.transfers.api import BODY_LIMIT, NoSuchCountry, NotEnabled
from shared.transfers.numbers import PoolExhausted
from shared.wire.acs_events import CALLBACK_LIMIT, GRID_LIMIT

CREATE_TRANSFER: tuple[Kind, ...] = (
    *WITH_CREDENTIALS,
    InvalidInput,
    UnsupportedMediaType,
    Forbidden,
    Conflict,
    NotEnabled,
    NoSuchCountry,
    PoolExhausted,
)
CREATE_CALL: tuple[Kind, ...] = (
    *WITH_CREDENTIALS,
    InvalidInput,
    UnsupportedMediaType,
    Forbidden,
    DestinationForbidden,
    CallerIdForbidden,
    Conflict,
    ConversationBusy,
    LimitReached,
    Unavailable,
    KeysUnavailable,
    CallControlUnavailable,
    NoMediaHost,
)
EVENTS: tuple[Kind, ...] = (
    *WITH_CREDENTIALS,
    InvalidInput,
    MissingContext,
    KeysUnavailable,
    CallControlUnavailable,
)


def _links(operation: str, place: str) -> Json:
    return {
        "links": {operation: {"operationId": operation, "parameters": {"id": f"$response.body#/{place}"}}}
    }


def _transfers(prefix: str, suffix: str, security: Sequence[Json], note: str) -> Json:
    read = f"get_call_transfer{suffix}"
    compatible = bool(suffix)
    kinds = [kind for kind in CREATE_TRANSFER if not (compatible and kind is UnsupportedMediaType)]
    return {
        f"{prefix}/v1/call-transfers": {
            "post": operation(
                f"create_call_transfer{suffix}",
                "Call transfers",
                "Lend us a caller",
                "A number, or our agent's identity, is set aside for the caller whom you send next.",
                answer(
                    "The transfer; also for the same request again.",
                    ref("CallTransfer"),
                    **_links(read, "id"),
                ),
                kinds,
                security=security,
                body=body(ref("NewCallTransfer"), limit=BODY_LIMIT),
                alias=note,
            )
        },
        f"{prefix}/v1/call-transfers/{{id}}": {
            "get": operation(
                read,
                "Call transfers",
                "What became of a transfer",
                "Always as it stands now: expiry and outcome are found on reading.",
                answer("The transfer.", ref("CallTransfer")),
                [*WITH_CREDENTIALS, NotFound],
                security=security,
                parameters=[path_parameter("id", "The transfer's id, as you chose it.")],
                alias=note,
            )
        },
    }


def _calls() -> Json:
    limit = {
        "name": "limit",
        "in": "query",
        "description": "How many.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    }
    location = {
        "Location": {"description": "Where to read it.", "required": True, "schema": {"type": "string"}}
    }
    return {
        "/api/v1/calls": {
            "post": operation(
                "create_call",
                "Calls",
                "Call somebody",
                "The call is taken on, not yet answered. Within the tenant's countries, caller ids and limits.",
                answer(
                    "Taken on; also for the same request again.",
                    ref("PlacedCall"),
                    202,
                    headers=location,
                    **_links("get_call", "callId"),
                ),
                CREATE_CALL,
                body=body(ref("NewCall"), limit=BODY_LIMIT),
            )
        },
        "/api/calls": {
            "get": operation(
                "list_calls",
                "Calls",
                "The newest calls",
                "Yours only, newest first.",
                answer("The calls.", ref("CallList"), **_links("get_call", "calls/0/callId")),
                [*WITH_CREDENTIALS, InvalidInput],
                parameters=[limit],
            )
        },
        "/api/calls/{id}": {
            "get": operation(
                "get_call",
                "Calls",
                "One call",
                "With transcript, timeline and outcome. `make demo` leaves one in `out/demo/call.json`.",
                answer("The call.", ref("Call")),
                [*WITH_CREDENTIALS, NotFound],
                parameters=[path_parameter("id", "Our id of the call.")],
            )
        },
    }


def _events(path: str, name: str, security: Sequence[Json], note: str) -> Json:
    taken = answer(
        "Every event was handled, or is recorded as one that cannot be.",
        {"anyOf": [ref("EventsTaken"), ref("ValidationAnswer")]},
    )
    origin = {
        "name": "WebHook-Request-Origin",
        "in": "header",
        "required": True,
        "description": "Who wants to post.",
        "schema": text("A host name.", pattern="^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$"),
        "example": "eventgrid.azure.net",
    }
    allowed = {
        name: {"description": about, "required": True, "schema": {"type": "string"}}
        for name, about in (
            ("Allow", "POST, OPTIONS."),
            ("WebHook-Allowed-Origin", "The asking origin."),
            ("WebHook-Allowed-Rate", "Requests a minute."),
        )
    }
    kinds = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
    return {
        path: {
            "post": operation(
                name,
                "Event Grid",
                "Events of your own Event Grid subscription",
                "`Microsoft.Communication.IncomingCall` is answered if a route of this tenant names the dialled address; every "
                "other type is logged and acknowledged. One bad event never costs the others: it is recorded, and the delivery "
                "is 400 only if no event could be read. A delivery may be repeated without harm. No address that a request "
                "names is ever fetched.",
                taken,
                EVENTS,
                security=security,
                body=body(ref("EventDelivery"), limit=GRID_LIMIT, kinds=kinds),
                alias=note,
            ),
            "options": operation(
                f"{name}_handshake",
                "Event Grid",
                "CloudEvents' handshake",
                "Wants the credentials too, unless REQUIRE_HEADERS_ON_VALIDATION is false.",
                {"200": {"description": "You may post.", "headers": allowed}},
                [*WITH_CREDENTIALS, InvalidInput],
                security=security,
                parameters=[origin],
                alias=note,
            ),
        }
    }


def _others() -> Json:
    degraded = answer("The store or the keys cannot be read.", ref("Health"), 503)
    health = operation(
        "health",
        "Others",
        "Whether this works",
        "And no word more.",
        answer("It works.", ref("Health")),
        [],
        security=[],
    )
    health["responses"] = {
        status: answer
        for status, answer in {**health["responses"], **degraded}.items()
        if status in ("200", "503")
    }
    return {
        "/api/call-events/{token}": {
            "post": operation(
                "call_events",
                "Others",
                "ACS's callbacks",
                "For Azure Communication Services only: the token in the path names the call, and ACS signs the request.",
                answer("All are recorded.", ref("EventsTaken")),
                [
                    TooLarge,
                    Unauthenticated,
                    InvalidInput,
                    NotFound,
                    StoreUnavailable,
                    KeysUnavailable,
                    CallControlUnavailable,
                ],
                security=[{"acsSignature": []}],
                parameters=[path_parameter("token", "From us, in the callback address of the call.")],
                body=body(ref("EventDelivery"), limit=CALLBACK_LIMIT),
            )
        },
        "/api/health": {"get": health},
        "/api/openapi.json": {
            "get": operation(
                "openapi",
                "Others",
                "This document",
                "For everybody.",
                answer("OpenAPI 3.1.", {"type": "object"}),
                [],
                security=[],
            )
        },
    }


def paths(*, compatible: bool) -> Json:
    """All paths.

    Args:
        compatible: with those of existing clients (`PATCHCORD_COMPATIBLE_API`).
    """
    same = " The same as `/api/acs-events`, under a name that {}."
    found = _transfers("/api", "", CREDENTIALS, "")
    found |= _calls()
    found |= twilio.paths()
    found |= _events("/api/acs-events", "acs_events", CREDENTIALS, "")
    found |= _events("/api/callbacks", "acs_events_callbacks", CREDENTIALS, same.format("set-up guides use"))
    found |= _events("/incoming", "acs_events_incoming", CREDENTIALS, same.format("articles use"))
    if compatible:
        note = " For existing clients of the commercial gateway, which change their host and keys only."
        found |= _transfers("/generativeagent", "_compatible", COMPATIBLE, note)
        found |= _events("/mg-genagent-acs/v1/acs-events", "acs_events_compatible", COMPATIBLE, note)
        found |= twilio.stream_url("/mg-genagent/v1", "_compatible", COMPATIBLE, note)
    return found | _others()
