"""Bodies as acs.md 4 and 5 show them."""

import base64
import json
import re

import pytest

from emulator.acs.errors import RestError
from emulator.acs.events import (
    callback,
    incoming_call,
    media_update,
    new_incoming_call_context,
    new_server_call_id,
)
from emulator.acs.identifiers import address, identifier, read_identifier

COMMON = {"version": "2026-03-12", "serverCallId": "s", "correlationId": "k"}


def test_a_callback_is_a_cloud_event() -> None:
    event = callback("c1", "CallConnected", COMMON, {"operationContext": "x"})
    assert event["source"] == event["subject"] == "calling/callConnections/c1"
    assert event["type"] == event["data"]["publicEventType"] == "Microsoft.Communication.CallConnected"
    assert event["specversion"] == "1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00", event["time"])
    assert {"version", "callConnectionId", "serverCallId", "correlationId"} <= event["data"].keys()
    assert all(key == key.lower() for key in event)  # a capital in a top-level key breaks Microsoft's parser


def test_microsofts_parser_takes_it() -> None:
    from azure.core.messaging import CloudEvent

    event = CloudEvent.from_dict(callback("c1", "CallConnected", COMMON, {}))
    assert event.type == "Microsoft.Communication.CallConnected"


def test_media_updates_have_a_capital_in_audio() -> None:
    update = media_update("MediaStreamingStarted", "subscriptionStarted")["mediaStreamingUpdate"]
    assert update == {
        "contentType": "Audio",
        "mediaStreamingStatus": "mediaStreamingStarted",
        "mediaStreamingStatusDetails": "subscriptionStarted",
    }


def test_a_server_call_id_is_base64_of_an_address() -> None:
    assert base64.b64decode(new_server_call_id()).startswith(b"https://api.flightproxy.skype.com/")


def test_a_context_is_an_unsigned_jwt_of_8_kb() -> None:
    context = new_incoming_call_context()
    header, payload, signature = context.split(".")
    assert signature == ""
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "none", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(payload + "==")).keys() == {"cc", "shrToken"}
    assert 7_500 < len(context) < 9_000
    assert context != new_incoming_call_context()


def event_of(**more: object) -> dict:
    return incoming_call(
        identifier("+14255550100"), identifier("+18005550000"),
        context="ctx", server_call_id="s", correlation_id="k", **more,
    )  # fmt: skip


def test_an_incoming_call() -> None:
    event = event_of()
    assert event["subject"] == "/caller/4:+14255550100/recipient/4:+18005550000"
    assert event["eventType"] == "Microsoft.Communication.IncomingCall"
    assert event["eventTime"].endswith("Z")
    assert event["data"] == {
        "to": {"kind": "phoneNumber", "rawId": "4:+18005550000", "phoneNumber": {"value": "+18005550000"}},
        "from": {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}},
        "serverCallId": "s",
        "callerDisplayName": "",
        "incomingCallContext": "ctx",
        "correlationId": "k",
    }


def test_custom_context_is_absent_when_there_is_none() -> None:
    assert "customContext" not in event_of(custom_context=None)["data"]
    custom = {"voipHeaders": {"agentId": "ä", "Empty": ""}}
    assert event_of(custom_context=custom)["data"]["customContext"] == custom


@pytest.mark.parametrize(
    ("written", "kind", "raw_id"),
    [
        ("+14255550100", "phoneNumber", "4:+14255550100"),
        ("4:+14255550100", "phoneNumber", "4:+14255550100"),
        ("8:acs:r_u", "communicationUser", "8:acs:r_u"),
        ("8:orgid:o", "microsoftTeamsUser", "8:orgid:o"),
        ("anonymous", "phoneNumber", "4:anonymous"),
        ("99:what", "unknown", "99:what"),
    ],
)
def test_identifiers_carry_kind_and_raw_id(written: str, kind: str, raw_id: str) -> None:
    found = identifier(written)
    assert (found["kind"], found["rawId"]) == (kind, raw_id)


@pytest.mark.parametrize(
    ("sent", "raw_id"),
    [
        ({"rawId": "4:+1425", "phoneNumber": {"value": "+1425"}}, "4:+1425"),
        ({"phoneNumber": {"value": "+1425"}}, "4:+1425"),
        ({"communicationUser": {"id": "8:acs:r_u"}}, "8:acs:r_u"),
    ],
)
def test_identifiers_without_kind_are_read(sent: dict, raw_id: str) -> None:
    assert read_identifier(sent, "Target")["rawId"] == raw_id


@pytest.mark.parametrize(
    "sent", [None, [], {}, {"rawId": 7}, {"phoneNumber": {}}, {"communicationUser": {"id": ""}}]
)
def test_identifiers_that_name_nobody(sent: object) -> None:
    with pytest.raises(RestError, match="Target"):
        read_identifier(sent, "Target")


@pytest.mark.parametrize(
    ("raw_id", "written"), [("4:+1425", "+1425"), ("8:acs:a_b", "8:acs:a_b"), ("4:anonymous", "4:anonymous")]
)
def test_addresses(raw_id: str, written: str) -> None:
    assert address({"rawId": raw_id}) == written
