"""Callbacks as ACS sends them (acs.md 4.1), written for tests that choose their order."""

from typing import Any


def callback(kind: str, connection_id: str, number: int, **data: Any) -> dict[str, Any]:
    """One CloudEvent; `number` makes its id and its time (seconds into the call)."""
    source = f"calling/callConnections/{connection_id}"
    return {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "source": source,
        "type": f"Microsoft.Communication.{kind}",
        "data": {
            "version": "2026-03-12",
            "resultInformation": {"code": 200, "subCode": 0, "message": ""},
            "callConnectionId": connection_id,
            "serverCallId": "c2VydmVy",
            "correlationId": "corr-1",
            "publicEventType": f"Microsoft.Communication.{kind}",
            **data,
        },
        "time": f"2026-11-20T23:50:{30 + number:02}.4325356+00:00",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": source,
    }


def four_callbacks(connection_id: str) -> list[dict[str, Any]]:
    """CallConnected, ParticipantsUpdated, MediaStreamingStarted, CallDisconnected of one call."""
    roster = [
        {"identifier": {"rawId": raw, "kind": kind, kind: value}, "isMuted": False, "isOnHold": False}
        for raw, kind, value in (
            ("4:+14255550100", "phoneNumber", {"value": "+14255550100"}),
            ("8:acs:a_b", "communicationUser", {"id": "8:acs:a_b"}),
        )
    ]
    update = {
        "contentType": "Audio",
        "mediaStreamingStatus": "mediaStreamingStarted",
        "mediaStreamingStatusDetails": "subscriptionStarted",
    }
    ended = {"code": 200, "subCode": 7000, "message": "The conversation has ended. DiagCode: 0#7000.@"}
    return [
        callback("CallConnected", connection_id, 1),
        callback("ParticipantsUpdated", connection_id, 2, sequenceNumber=1, participants=roster),
        callback("MediaStreamingStarted", connection_id, 3, mediaStreamingUpdate=update),
        callback("CallDisconnected", connection_id, 4, resultInformation=ended),
    ]
