"""Schemas of call transfers."""

from shared.openapi.build import Json, closed, nullable, text, texts, time
from shared.openapi.calls import ID, TRANSFER_TYPES, conversation_id, input_variables, task_name
from shared.transfers.record import Status, TransferKind

_NEW_EXAMPLE: Json = {
    "id": "contact-4711",
    "externalConversationId": "conversation-4711",
    "type": "PHONE_NUMBER",
    "phoneNumber": {"country": "US"},
    "inputContext": {"taskName": "refund", "inputVariables": {"accountNumber": "00123"}},
}

TRANSFER_EXAMPLE: Json = {
    "id": "contact-4711",
    "externalConversationId": "conversation-4711",
    "type": "PHONE_NUMBER",
    "status": "COMPLETED",
    "createdAt": "2026-11-20T23:50:10.000Z",
    "inputContext": {"taskName": "refund", "inputVariables": {"accountNumber": "00123"}},
    "phoneNumber": {
        "transferNumber": "+18005550100",
        "country": "US",
        "expiresAt": "2026-11-20T23:51:10.000Z",
        "expireAt": "2026-11-20T23:51:10.000Z",
    },
    "callReceivedAt": "2026-11-20T23:50:36.241Z",
    "callId": "c7e6a1b2c3d4a1b2c3d4e5f6",
    "completedAt": "2026-11-20T23:51:12.004Z",
    "outputContext": {
        "transferType": "AGENT",
        "currentTaskName": "refund",
        "referenceVariables": {"ticket": "R-17"},
        "transferVariables": {"reason": "wants a person"},
    },
}


def _new() -> Json:
    context: Json = {
        "type": ["object", "null"],
        "description": "What the agent starts with; it wins over what the call itself brings.",
        "properties": {"taskName": nullable(task_name()), "inputVariables": input_variables()},
    }
    country = text("ISO 3166, two letters.", pattern="^[A-Za-z]{2}$", examples=["US"])
    number: Json = {
        "type": "object",
        "description": "Which number; for PHONE_NUMBER only.",
        "properties": {"country": country},
        "required": ["country"],
    }
    common: Json = {
        "id": ID,
        "externalConversationId": conversation_id(),
        "inputContext": context,
    }
    required = ["id", "externalConversationId", "type"]
    return {
        "description": "A caller whom you are about to send.",
        "type": "object",
        "anyOf": [
            {
                "title": "By telephone number",
                "type": "object",
                "properties": {
                    **common,
                    "type": text("A temporary number is set aside.", enum=["PHONE_NUMBER"]),
                    "phoneNumber": number,
                },
                "required": [*required, "phoneNumber"],
                "additionalProperties": False,
            },
            {
                "title": "By ACS identity",
                "type": "object",
                "properties": {
                    **common,
                    "type": text(
                        "ACS_USER: transfer your ACS call to our agent's identity. SIP: known to the API, not offered.",
                        enum=["ACS_USER", "SIP"],
                    ),
                    "phoneNumber": {"description": "Not looked at."},
                },
                "required": required,
                "additionalProperties": False,
            },
        ],
        "examples": [_NEW_EXAMPLE],
    }


def _transfer() -> Json:
    expires = time("Until when a call may come.")
    number = closed(
        "For PHONE_NUMBER: where to send the caller.",
        {
            "transferNumber": text("Dial this number, E.164."),
            "country": text("ISO 3166, two letters."),
            "expiresAt": expires,
            "expireAt": expires | {"description": "The same, under the name that existing clients read."},
        },
    )
    user = closed(
        "For ACS_USER: where to transfer the ACS call.",
        {
            "communicationUserId": text("Our agent's identity, `8:acs:…`."),
            "voipHeaders": texts("Send these with the transfer."),
            "expiresAt": expires,
        },
    )
    context = closed(
        "As it was given.",
        {"inputVariables": texts("What the agent knows.")},
        {"taskName": text("The job that the agent starts with.")},
    )
    output = closed(
        "What came of it; there before our leg hangs up.",
        {
            "transferType": text(
                "AGENT: a person is wanted (or our side failed: `referenceVariables.error`). SYSTEM: go on. "
                "CALLER_DISCONNECT: the caller hung up; no variables.",
                enum=TRANSFER_TYPES,
            )
        },
        {
            "currentTaskName": text("The task at the end."),
            "referenceVariables": texts("For your records."),
            "transferVariables": texts("For whoever takes the caller now."),
        },
    )
    made = closed(
        "A call transfer as it stands: ACTIVE → ONGOING → COMPLETED, or ACTIVE → EXPIRED.",
        {
            "id": text("As you chose it."),
            "externalConversationId": text("As you chose it."),
            "type": text(
                "How the call comes; TWILIO: begun by a stream of Twilio's, not by a request.",
                enum=[kind.value for kind in TransferKind],
            ),
            "status": text("How far it has come.", enum=[status.value for status in Status]),
            "createdAt": time("When it was created."),
        },
        {
            "inputContext": context,
            "phoneNumber": number,
            "acsUser": user,
            "callReceivedAt": time("When the call came."),
            "callId": text("Our id of that call."),
            "completedAt": time("When the agent was done, or the caller gone."),
            "outputContext": output,
        },
    )
    return made | {"examples": [TRANSFER_EXAMPLE]}


def schemas() -> Json:
    """By name."""
    return {"NewCallTransfer": _new(), "CallTransfer": _transfer()}
