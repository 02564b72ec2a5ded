"""What is published to the Event Grid topic (shared/publishing), as OpenAPI webhooks."""

from shared.openapi.build import Json, closed, nullable, number, ref, text, time
from shared.openapi.calls import SUMMARY_EXAMPLE, TRANSFER_TYPES, summary_properties
from shared.publishing.events import TYPES
from shared.publishing.outbox import Kind

_IDS: Json = {
    "callId": "c7e6a1b2c3d4a1b2c3d4e5f6",
    "tenant": "default",
    "callTransferId": "contact-4711",
    "externalConversationId": "conversation-4711",
}

ABOUT = {
    Kind.CALL_ANSWERED: "A call was answered: by us, or by the person whom we called.",
    Kind.CALL_ENDED: "A call is over, or was never taken (`state` is rejected, redirected or failed).",
    Kind.TRANSFER_COMPLETED: "A call transfer has its outcome; `GET /api/v1/call-transfers/{id}` has the variables.",
    Kind.RECORDING_READY: "A call's recording is written.",
}


def _common() -> Json:
    return {
        "callId": text("Our id of the call: `GET /api/calls/{id}` has the rest."),
        "tenant": text("Whose call: a subscription may filter on `data.tenant`."),
        "callTransferId": nullable(text("The call transfer that brought it.")),
        "externalConversationId": nullable(text("The conversation that it belongs to.")),
    }


def _transfer_type() -> Json:
    return nullable(text("Where the caller goes now.", enum=TRANSFER_TYPES))


def _call_data() -> Json:
    return closed(
        "The call in short.",
        {
            **summary_properties(),
            **_common(),
            "transferType": nullable(text("Where the caller goes now, if the agent has said it.")),
            "durationMs": nullable(number("Milliseconds of audio.")),
        },
    )


def _data(kind: Kind) -> Json:
    if kind is Kind.TRANSFER_COMPLETED:
        more = {
            "type": text("How the call came.", enum=["PHONE_NUMBER", "ACS_USER"]),
            "transferType": _transfer_type(),
            "currentTaskName": text("The task at the end."),
        }
        return closed("The transfer in short.", {**_common(), **more})
    if kind is Kind.RECORDING_READY:
        recording = closed(
            "Which.",
            {
                "file": text("Its name in the media host's folder."),
                "ms": nullable(number("Milliseconds.")),
                "consent": {"type": "boolean", "description": "The caller had agreed."},
            },
        )
        return closed("The recording.", {**_common(), "recording": recording})
    return ref("PublishedCall")


def _example(kind: Kind) -> Json:
    data: Json = {
        Kind.CALL_ANSWERED: {
            **SUMMARY_EXAMPLE,
            **_IDS,
            "state": "answered",
            "connectedAt": None,
            "endedAt": None,
            "endedReason": None,
            "transferType": None,
            "durationMs": None,
        },
        Kind.CALL_ENDED: {**SUMMARY_EXAMPLE, **_IDS, "transferType": "AGENT", "durationMs": 35094},
        Kind.TRANSFER_COMPLETED: {
            **_IDS,
            "type": "PHONE_NUMBER",
            "transferType": "AGENT",
            "currentTaskName": "refund",
        },
        Kind.RECORDING_READY: {
            **_IDS,
            "recording": {"file": "c7e6a1b2c3d4a1b2c3d4e5f6.wav", "ms": 35094, "consent": True},
        },
    }[kind]
    return {
        "specversion": "1.0",
        "id": f"{_IDS['callId']}.{kind}",
        "source": "/patchcord/production",
        "type": TYPES + kind,
        "subject": _IDS["callId"],
        "time": "2026-11-20T23:51:12.004Z",
        "datacontenttype": "application/json",
        "data": data,
    }


def schema_name(kind: Kind) -> str:
    """The schema of an event."""
    return "Event" + "".join(part.capitalize() for part in kind.replace("-", ".").split("."))


def schemas() -> Json:
    """By name."""
    found: Json = {"PublishedCall": _call_data()}
    for kind in Kind:
        event = closed(
            ABOUT[kind],
            {
                "specversion": text("Of CloudEvents.", enum=["1.0"]),
                "id": text("The same when it is published again: handle each id once."),
                "source": text("`/patchcord/` and the deployment's name."),
                "type": text("", enum=[TYPES + kind]),
                "subject": text("The call's id."),
                "time": time("When it happened."),
                "data": _data(kind),
            },
            {"datacontenttype": text("", enum=["application/json"])},
        )
        found[schema_name(kind)] = event | {"examples": [_example(kind)]}
    return found


def webhooks() -> Json:
    """The `webhooks` of the document."""
    return {
        kind.value: {
            "post": {
                "operationId": schema_name(kind),
                "summary": ABOUT[kind],
                "tags": ["Published events"],
                "security": [],
                "requestBody": {
                    "required": True,
                    "content": {"application/cloudevents+json": {"schema": ref(schema_name(kind))}},
                },
                "responses": {"200": {"description": "Taken; anything else is tried again by Event Grid."}},
            }
        }
        for kind in Kind
    }
