"""The bodies that ACS sends: call-state callbacks (acs.md 4) and the IncomingCall event (acs.md 5.1).

Written from the reference page, not from our own parser, so that one mistake cannot hide on both sides.
"""

import base64
import gzip
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from emulator.acs.identifiers import Identifier

type Json = dict[str, Any]

PREFIX = "Microsoft.Communication."
COMPLETED = "Action completed successfully."
TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/emulator"
    "/providers/microsoft.communication/communicationservices/emulator"
)


def timestamp(suffix: str = "+00:00") -> str:
    """Now, with the seven digits of a second's fraction that .NET writes."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0" + suffix


def result(code: int = 200, sub_code: int = 0, message: str = COMPLETED) -> Json:
    """`resultInformation`."""
    return {"code": code, "subCode": sub_code, "message": message}


def callback(connection_id: str, kind: str, common: Json, data: Json) -> Json:
    """One call-state callback as a CloudEvent 1.0.

    Args:
        connection_id: the call connection's id.
        kind: the type without `Microsoft.Communication.`.
        common: `version`, `serverCallId`, `correlationId`.
        data: the fields of this type.
    """
    source = f"calling/callConnections/{connection_id}"
    body: Json = {
        "version": common["version"],
        **data,
        "callConnectionId": connection_id,
        "serverCallId": common["serverCallId"],
        "correlationId": common["correlationId"],
        "publicEventType": PREFIX + kind,
    }
    return {
        "id": str(uuid.uuid4()),
        "source": source,
        "type": PREFIX + kind,
        "data": body,
        "time": timestamp(),
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": source,
    }


def media_update(
    kind: str, details: str, code: int = 200, sub_code: int = 0, message: str = COMPLETED
) -> Json:
    """Data of `MediaStreamingStarted`, `…Stopped` and `…Failed`; `contentType` has a capital A (acs.md 4.1)."""
    update = {
        "contentType": "Audio",
        "mediaStreamingStatus": kind[0].lower() + kind[1:],
        "mediaStreamingStatusDetails": details,
    }
    return {"mediaStreamingUpdate": update, "resultInformation": result(code, sub_code, message)}


def new_server_call_id() -> str:
    """Standard base64 of a conversation's address: may hold `/`, `+` and `=` (acs.md 4.1)."""
    conversation = base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
    url = f"https://api.flightproxy.skype.com/api/v2/cp/emulator.loopback/conv/{conversation}?i=0&e={uuid.uuid4().int}"
    return base64.b64encode(url.encode()).decode()


def new_incoming_call_context() -> str:
    """An unsigned JWT of about 8 kB, opaque and unique: long enough for size mistakes to show (acs.md 5.1)."""

    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    packed = base64.b64encode(gzip.compress(os.urandom(3900))).decode()
    payload = {"cc": packed, "shrToken": base64.b64encode(os.urandom(500)).decode()}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(payload)}."


def incoming_call(
    caller: Identifier,
    callee: Identifier,
    *,
    context: str,
    server_call_id: str,
    correlation_id: str,
    display_name: str = "",
    custom_context: Json | None = None,
) -> Json:
    """An IncomingCall event in the Event Grid schema; `customContext` is absent when there is none."""
    data: Json = {
        "to": callee,
        "from": caller,
        "serverCallId": server_call_id,
        "callerDisplayName": display_name,
    }
    if custom_context:
        data["customContext"] = custom_context
    data |= {"incomingCallContext": context, "correlationId": correlation_id}
    return {
        "id": str(uuid.uuid4()),
        "topic": TOPIC,
        "subject": f"/caller/{caller['rawId']}/recipient/{callee['rawId']}",
        "data": data,
        "eventType": PREFIX + "IncomingCall",
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": timestamp("Z"),
    }
