"""Schemas of calls: the record, its list, and what asks for an outbound one."""

from shared.calls.state import CallState
from shared.openapi.build import Json, array, closed, flag, nullable, number, ref, text, texts, time
from shared.settings import E164
from shared.transfers.api import MAX_NAME, MAX_VALUE, MAX_VARIABLES
from shared.wire.json_input import CLIENT_ID, LINE

ID = text(
    "Yours, another one for each attempt: visible ASCII without `/`. The same request again gets the same answer.",
    pattern=f"^{CLIENT_ID}$",
    examples=["contact-4711"],
)
TRANSFER_TYPES = ["AGENT", "SYSTEM", "CALLER_DISCONNECT"]


def conversation_id() -> Json:
    """The client's id of a conversation."""
    return text(
        "Yours; calls with the same one are one conversation, and the agent knows what was said before.",
        pattern=f"^{LINE}{{1,256}}$",
        examples=["conversation-4711"],
    )


def task_name() -> Json:
    """The agent's task in a request: null and "" are none."""
    return text("The job that the agent starts with; empty: its usual one.", pattern=f"^{LINE}{{0,128}}$")


def input_variables() -> Json:
    """Variables in a request."""
    return {
        "type": ["object", "null"],
        "description": f"What the agent knows: names of 1 to {MAX_NAME} characters, values of text.",
        "maxProperties": MAX_VARIABLES,
        "propertyNames": {"pattern": f"^{LINE}{{1,{MAX_NAME}}}$"},
        "additionalProperties": {"type": "string", "maxLength": MAX_VALUE},
        "examples": [{"accountNumber": "00123"}],
    }


def _new_call() -> Json:
    e164 = f"^{E164.pattern}$"
    made = closed(
        "Whom to call, and who talks to them.",
        {
            "id": ID,
            "number": text("Whom to call, E.164.", pattern=e164, examples=["+14255550100"]),
            "agent": text("Name of an agent in patchcord.yaml.", pattern="^[a-z][a-z0-9_-]{0,62}$"),
        },
        {
            "taskName": nullable(task_name()),
            "inputVariables": input_variables(),
            "externalConversationId": nullable(conversation_id() | {"pattern": f"^{LINE}{{0,256}}$"}),
            "callerId": {
                "type": ["string", "null"],
                "description": "The number that the person sees, one of the tenant's; else its first one.",
                "pattern": f"^({E164.pattern})?$",
                "examples": ["+18005550000"],
            },
        },
    )
    example = {
        "id": "reminder-4711",
        "number": "+14255550100",
        "agent": "reception",
        "taskName": "reminder",
        "inputVariables": {"appointment": "Monday, 9:00"},
    }
    return made | {"examples": [example]}


def _placed() -> Json:
    made = closed(
        "An outbound call that was taken on.",
        {
            "id": text("As in the request."),
            "callId": text("Our id of the call: `GET /api/calls/{id}` tells what becomes of it."),
            "state": _state(),
        },
    )
    return made | {
        "examples": [{"id": "reminder-4711", "callId": "c7e6a1b2c3d4a1b2c3d4e5f6", "state": "ringing"}]
    }


def _state() -> Json:
    return text(
        "How far the call has come; `calling` and `ringing` are those of outbound calls.",
        enum=[state.value for state in CallState],
    )


def summary_properties() -> Json:
    """What a list shows of each call."""
    return {
        "callId": text("Our id of the call."),
        "tenant": text("Whose call."),
        "environment": text("Name of the deployment."),
        "line": text("The telephone side.", enum=["acs", "twilio"]),
        "direction": text("Who called whom.", enum=["inbound", "outbound"]),
        "state": _state(),
        "from": text("Who calls, masked: the last four digits of a number."),
        "to": text("What was dialled."),
        "correlationId": text(
            "ACS's id for all events of the call, or Twilio's CallSid; empty while unknown."
        ),
        "route": text("The route that took it, in patchcord.yaml; empty for outbound calls."),
        "agent": text("Who answers or talks; empty for an IVR."),
        "receivedAt": nullable(time("When it was announced, or asked for.")),
        "answeredAt": nullable(time("When it was answered.")),
        "connectedAt": nullable(time("When ACS said that it is connected, or Twilio's audio came.")),
        "endedAt": nullable(time("When it ended.")),
        "endedReason": nullable(text("Why it ended, such as `caller_hung_up`, `busy` or `no_answer`.")),
    }


def _call() -> Json:
    nothing: Json = {"type": "null"}
    ended = closed(
        "How it ended.",
        {
            "reason": text("Why."),
            "by": text("Who ended it: caller, agent, system or line."),
            "code": nullable(number("ACS's result code.", "integer")),
            "subCode": nullable(number("ACS's sub-code.", "integer")),
        },
    )
    outcome = closed(
        "What the agent said came of it.",
        {
            "transferType": text("Where the caller goes now; empty if the agent did not say."),
            "reason": text("In the agent's words."),
            "currentTaskName": text("The task at the end."),
        },
        {
            "referenceVariables": {"type": "object", "description": "For your records."},
            "transferVariables": {"type": "object", "description": "For whoever takes the caller now."},
            "target": text(
                "The name under the agent's `transfers` that it chose, if it did and the call is lent to us."
            ),
        },
    )
    media = closed(
        "The audio connection.",
        {
            "hostId": text("The media host; empty before there was one."),
            "startedAt": nullable(time("First audio.")),
            "endedAt": nullable(time("Last audio.")),
            "durationMs": nullable(number("Milliseconds of audio.")),
            "lost": flag("It broke at least once."),
        },
    )
    ivr = closed(
        "What the IVR did, if one answers.",
        {
            "name": text("In patchcord.yaml."),
            "steps": array("Steps that were taken.", {"type": "object"}),
            "variables": texts("What it knows."),
        },
    )
    recording = closed(
        "The recording, if there is one.",
        {
            "file": text("Its name in the media host's folder."),
            "ms": nullable(number("Milliseconds.")),
            "consent": flag("The caller had agreed."),
        },
    )
    line = {
        "type": "object",
        "description": "One thing that was said.",
        "properties": {"at": time("When."), "who": text("", enum=["caller", "agent"]), "text": text("What.")},
        "required": ["at", "who", "text"],
    }
    entry = {
        "type": "object",
        "description": "One event.",
        "properties": {"at": time("When."), "kind": text("What."), "reason": text("Why, or which.")},
        "required": ["at", "kind"],
    }
    return closed(
        "Everything that is known about a call.",
        {
            **summary_properties(),
            "task": text("The job that the agent started with."),
            "inputVariables": texts("What the agent knew."),
            "callTransferId": nullable(text("The call transfer that brought it.")),
            "externalConversationId": nullable(text("The conversation that it belongs to.")),
            "customerId": nullable(text("Who the client says that the caller is.")),
            "previousCalls": array("That conversation's earlier calls.", {"type": "string"}),
            "movedFrom": nullable(text("The call that this one goes on with on another media host.")),
            "returnTo": nullable(text("The ACS identity that gets the caller back.")),
            "returnStep": nullable(text("What it wants to hear again then.")),
            "ivr": {"anyOf": [ivr, nothing]},
            "serverCallId": text("ACS's id of the call's server side."),
            "callConnectionId": text("ACS's id of our leg."),
            "requestId": text("Of the request that brought it; the logs have it."),
            "ended": {"anyOf": [ended, nothing]},
            "outcome": {"anyOf": [outcome, nothing]},
            "media": media,
            "answeredBy": nullable(text("Who picked up an outbound call: person, machine or unknown.")),
            "participants": array("Who is in it, masked.", {"type": "string"}),
            "transcript": array("What was said.", line),
            "keysPressed": number("How many keys, never which.", "integer"),
            "bargeIns": number("How often the caller cut in.", "integer"),
            "recording": {"anyOf": [recording, nothing]},
            "faults": array("What went wrong.", {"type": "object"}),
            "latencies": {"type": "object", "description": "Milliseconds, by name."},
            "timeline": array("Every event in order.", entry),
        },
    )


SUMMARY_EXAMPLE: Json = {
    "callId": "c7e6a1b2c3d4a1b2c3d4e5f6",
    "tenant": "default",
    "environment": "production",
    "line": "acs",
    "direction": "inbound",
    "state": "ended",
    "from": "…0100",
    "to": "+18005550000",
    "correlationId": "5fcb3242-0000-4000-8000-000000000001",
    "route": "desk",
    "agent": "reception",
    "receivedAt": "2026-11-20T23:50:36.241Z",
    "answeredAt": "2026-11-20T23:50:36.655Z",
    "connectedAt": "2026-11-20T23:50:36.802Z",
    "endedAt": "2026-11-20T23:51:12.004Z",
    "endedReason": "caller_hung_up",
}

CALL_EXAMPLE: Json = {
    **SUMMARY_EXAMPLE,
    "task": "refund",
    "inputVariables": {"accountNumber": "00123"},
    "callTransferId": "contact-4711",
    "externalConversationId": "conversation-4711",
    "customerId": None,
    "previousCalls": [],
    "movedFrom": None,
    "returnTo": None,
    "returnStep": None,
    "ivr": None,
    "serverCallId": "aHR0cHM6Ly8",
    "callConnectionId": "401f0e00-0000-4000-8000-000000000002",
    "requestId": "9f1c2d7e",
    "ended": {"reason": "caller_hung_up", "by": "caller", "code": 200, "subCode": 0},
    "outcome": {
        "transferType": "CALLER_DISCONNECT",
        "reason": "caller_hung_up",
        "currentTaskName": "refund",
    },
    "media": {
        "hostId": "host-a",
        "startedAt": "2026-11-20T23:50:36.910Z",
        "endedAt": "2026-11-20T23:51:12.004Z",
        "durationMs": 35094,
        "lost": False,
    },
    "answeredBy": None,
    "participants": ["…0100"],
    "transcript": [{"at": "2026-11-20T23:50:37.000Z", "who": "agent", "text": "Good evening!"}],
    "keysPressed": 0,
    "bargeIns": 0,
    "recording": None,
    "faults": [],
    "latencies": {"eventToAnswerMs": 414.0},
    "timeline": [{"at": "2026-11-20T23:50:36.241Z", "kind": "received"}],
}


def schemas() -> Json:
    """By name."""
    summary = closed(
        "A call as lists show it: without transcript, timeline and variables.", summary_properties()
    )
    return {
        "NewCall": _new_call(),
        "PlacedCall": _placed(),
        "CallSummary": summary | {"examples": [SUMMARY_EXAMPLE]},
        "CallList": closed("Calls, newest first.", {"calls": array("", ref("CallSummary"))})
        | {"examples": [{"calls": [SUMMARY_EXAMPLE]}]},
        "Call": _call() | {"examples": [CALL_EXAMPLE]},
    }
