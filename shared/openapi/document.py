"""The OpenAPI 3.1 document of the function app: served at `/api/openapi.json`, and the source of `docs/api.md`."""

from shared.calls.grid_door import COMPATIBLE_HEADERS
from shared.openapi import calls, errors, published, transfers, twilio
from shared.openapi.build import Json, array, closed, number, text, time
from shared.openapi.operations import paths

ABOUT = """Put an AI voice agent on a telephone number: lend it callers, have it call people, read what came of it.

Paths are exact; there is no prefix. Bodies are JSON in UTF-8, times RFC 3339 in UTC. Credentials go in two headers; each id
belongs to one tenant and one environment, and another tenant's things are answered like things that do not exist. A POST that
makes something has an `id` of yours: send the same request again after a lost answer, and nothing is made twice. Errors are
`{"error": {"requestId", "code", "message"}}`; the first three digits of the code are the HTTP status."""

TAGS = {
    "Call transfers": "Lend us a caller, get the caller back ([call-transfers.md](call-transfers.md)).",
    "Calls": "Records of calls, and calls that we make.",
    "Twilio": "Calls that stay at Twilio and stream their audio to us ([twilio.md](twilio.md)).",
    "Event Grid": "Where a tenant's own Event Grid subscription posts.",
    "Others": "For platforms and machines.",
    "Published events": "What Patchcord publishes to an Event Grid topic ([events.md](events.md)).",
}


_SPEC_VERSION = text("Of CloudEvents.", enum=["1.0"])


def _event(kind: str, at: str, more: Json) -> Json:
    """An event whose type and time have these names."""
    properties = {
        **more,
        "id": text("Its id.", pattern="^[!-~]{1,256}$"),
        kind: text("Such as `Microsoft.Communication.IncomingCall`.", pattern="^[!-~]{1,256}$"),
        at: time("When."),
        "subject": {"description": "Text of at most 4096 characters; not looked at."},
        "data": {"type": "object", "description": "What happened."},
    }
    required = [name for name in properties if name != "subject"]
    return {
        "title": "CloudEvents" if more else "Event Grid",
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _schemas() -> Json:
    event: Json = {
        "description": "One event, in Event Grid's schema or as a CloudEvent; other fields may be there, too.",
        "anyOf": [
            _event("eventType", "eventTime", {}),
            _event("type", "time", {"specversion": _SPEC_VERSION}),
        ],
        "examples": [_INCOMING],
    }
    error = closed(
        "What went wrong.",
        {
            "error": closed(
                "",
                {
                    "requestId": text("The logs have it."),
                    "code": text("What to decide by.", pattern="^[0-9]{3}-[0-9]{2}$"),
                    "message": text("For people; may change."),
                },
            )
        },
    )
    return {
        **transfers.schemas(),
        **calls.schemas(),
        **twilio.schemas(),
        "Event": event,
        "EventDelivery": {
            "description": "An array of events, or one event.",
            "anyOf": [
                array("", {"$ref": "#/components/schemas/Event"}, minItems=1),
                {"$ref": "#/components/schemas/Event"},
            ],
            "examples": [[_INCOMING]],
        },
        "EventsTaken": closed(
            "A delivery was handled.",
            {"requestId": text("The logs have it."), "events": number("How many events.", "integer")},
        )
        | {"examples": [{"requestId": "9f1c2d7e", "events": 1}]},
        "ValidationAnswer": closed(
            "The answer to Event Grid's validation event.", {"validationResponse": text("Its code.")}
        )
        | {"examples": [{"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}]},
        "Health": closed("How it is.", {"status": text("", enum=["ok", "degraded"])})
        | {"examples": [{"status": "ok"}]},
        **published.schemas(),
        "Error": error | {"examples": [errors.example(kind) for kind in errors.ABOUT]},
    }


_INCOMING: Json = {
    "id": "b5a1f2c0-0000-4000-8000-000000000001",
    "eventType": "Microsoft.Communication.IncomingCall",
    "eventTime": "2026-11-20T23:50:36.241Z",
    "subject": "",
    "data": {
        "to": {
            "kind": "phoneNumber",
            "rawId": "4:+18005550000",
            "phoneNumber": {"value": "+18005550000"},
        },
        "from": {
            "kind": "phoneNumber",
            "rawId": "4:+14255550100",
            "phoneNumber": {"value": "+14255550100"},
        },
        "correlationId": "5fcb3242-0000-4000-8000-000000000001",
        "serverCallId": "aHR0cHM6Ly8",
        "incomingCallContext": "…",
        "customContext": {"voipHeaders": {"accountNumber": "00123"}},
    },
}


def document(
    *,
    server: str = "https://HOST",
    id_header: str = "api-id",
    secret_header: str = "api-secret",  # noqa: S107  # a header's name
    compatible: bool = True,
) -> Json:
    """The document.

    Args:
        server: public base address of the function app.
        id_header: name of the header with a tenant's API id.
        secret_header: name of the header with its secret.
        compatible: with the paths and header names of existing clients.
    """
    schemes = {"apiId": id_header, "apiSecret": secret_header}
    if compatible:
        schemes |= dict(zip(("compatibleApiId", "compatibleApiSecret"), COMPATIBLE_HEADERS, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Patchcord", "version": "1", "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths(compatible=compatible),
        "webhooks": published.webhooks(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                **{
                    name: {
                        "type": "apiKey",
                        "in": "header",
                        "name": header,
                        "description": "Half of a tenant's credentials (`patchcord credentials create`).",
                    }
                    for name, header in schemes.items()
                },
                "twilioSignature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Twilio-Signature",
                    "description": "Twilio's own signature over address and form, by the tenant's account.",
                },
                "acsSignature": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Azure Communication Services' own signature.",
                },
            },
        },
    }


def methods(path: str, found: Json) -> set[str]:
    """The methods that `document()["paths"]` has for a request's path; none if there is no such path."""
    parts = path.strip("/").lower().split("/")
    return {
        method.upper()
        for template, operations in found.items()
        if _fits(template.strip("/").split("/"), parts)
        for method in operations
    }


def _fits(template: list[str], parts: list[str]) -> bool:
    return len(template) == len(parts) and all(
        wanted.startswith("{") or wanted == part for wanted, part in zip(template, parts, strict=True)
    )
