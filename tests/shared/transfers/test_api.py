import json

import pytest

from shared.errors import InvalidInput
from shared.transfers.api import NotEnabled, parse_new, to_json
from shared.transfers.record import CallTransfer, OutputContext, TransferKind, activated, claimed, completed

ASKED = {
    "id": "t1",
    "externalConversationId": "c1",
    "type": "PHONE_NUMBER",
    "phoneNumber": {"country": "us"},
    "inputContext": {"taskName": "order_desk", "inputVariables": {"accountNumber": "00123", "näme": "Zoë"}},
}


def parse(**changes):
    return parse_new(json.dumps(ASKED | changes).encode())


def test_a_whole_request():
    new = parse()
    assert (new.id, new.conversation_id, new.kind, new.country) == ("t1", "c1", "PHONE_NUMBER", "US")
    assert (new.task_name, new.input_variables) == (
        "order_desk",
        {"accountNumber": "00123", "näme": "Zoë"},
    )
    assert new.fingerprint == parse().fingerprint != parse(id="t2").fingerprint


def test_the_least_request():
    new = parse_new(b'{"id":"t","externalConversationId":"c","type":"ACS_USER"}')
    assert (new.kind, new.country, new.task_name, new.input_variables) == (TransferKind.ACS_USER, "", "", {})
    assert parse(inputContext={}).input_variables == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"id": 7}, "id"),
        ({"externalConversationId": None}, "externalConversationId"),
        ({"type": "FAX"}, "type"),
        ({"type": "SIP"}, "type"),
        ({"type": "TWILIO"}, "type"),
        ({"phoneNumber": None}, "phoneNumber"),
        ({"phoneNumber": {}}, "phoneNumber.country"),
        ({"phoneNumber": {"country": "U1"}}, "phoneNumber.country"),
        ({"inputContext": []}, "inputContext"),
        ({"inputContext": {"taskName": 1}}, "inputContext.taskName"),
        ({"inputContext": {"inputVariables": 1}}, "inputContext.inputVariables"),
        ({"inputContext": {"inputVariables": {"": "x"}}}, "inputContext.inputVariables"),
        ({"inputContext": {"inputVariables": {"a": 1}}}, "inputContext.inputVariables.a"),
        ({"inputContext": {"inputVariables": {"a": "x" * 4097}}}, "inputContext.inputVariables.a"),
        (
            {"inputContext": {"inputVariables": {str(n): "" for n in range(101)}}},
            "inputContext.inputVariables",
        ),
        ({"secret": 1}, "secret"),
    ],
)
def test_every_mistake_is_named(changes, field):
    with pytest.raises(InvalidInput) as caught:
        parse(**changes)
    assert caught.value.field == field
    assert isinstance(caught.value, NotEnabled) == (changes.get("type") == "SIP")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id":"\xff"}', b" " * 70_000])
def test_no_request_at_all(body):
    with pytest.raises(InvalidInput) as caught:
        parse_new(body)
    assert caught.value.field == "body"


NEW = CallTransfer(
    id="t1",
    tenant="acme",
    conversation_id="c1",
    kind=TransferKind.PHONE_NUMBER,
    fingerprint="f",
    country="US",
    task_name="order_desk",
    input_variables={"accountNumber": "00123"},
)
ACTIVE = activated(NEW, "+18005550100", 0.0, 60.0)
ONGOING = claimed(ACTIVE, call_key="k", call_id="call-1", event_at=5, now=5)


def test_what_a_client_sees():
    assert to_json(ACTIVE, 1.0) == {
        "id": "t1",
        "externalConversationId": "c1",
        "type": "PHONE_NUMBER",
        "status": "ACTIVE",
        "createdAt": "1970-01-01T00:00:00.000Z",
        "inputContext": {"taskName": "order_desk", "inputVariables": {"accountNumber": "00123"}},
        "phoneNumber": {
            "transferNumber": "+18005550100",
            "country": "US",
            "expiresAt": "1970-01-01T00:01:00.000Z",
            "expireAt": "1970-01-01T00:01:00.000Z",
        },
    }
    over = completed(ONGOING, OutputContext("AGENT", "desk", {"a": "1"}, {"b": "2"}), 9)
    shown = to_json(over, 10.0)
    assert (shown["status"], shown["callReceivedAt"], shown["callId"], shown["completedAt"]) == (
        "COMPLETED",
        "1970-01-01T00:00:05.000Z",
        "call-1",
        "1970-01-01T00:00:09.000Z",
    )
    assert shown["outputContext"] == {
        "transferType": "AGENT",
        "currentTaskName": "desk",
        "referenceVariables": {"a": "1"},
        "transferVariables": {"b": "2"},
    }


def test_a_caller_who_hung_up_leaves_no_variables():
    shown = to_json(completed(ONGOING, OutputContext("CALLER_DISCONNECT"), 9), 10.0)
    assert shown["outputContext"] == {"transferType": "CALLER_DISCONNECT"}


def test_an_acs_user():
    new = CallTransfer(
        id="t2", tenant="acme", conversation_id="c", kind=TransferKind.ACS_USER, fingerprint="f"
    )
    shown = to_json(activated(new, "", 0.0, 60.0), 61.0, acs_user="8:acs:r_u")
    assert (shown["status"], "inputContext" in shown, "phoneNumber" in shown) == ("EXPIRED", False, False)
    assert shown["acsUser"] == {
        "communicationUserId": "8:acs:r_u",
        "voipHeaders": {"callTransferId": "t2"},
        "expiresAt": "1970-01-01T00:01:00.000Z",
    }
    assert "taskName" not in to_json(
        activated(CallTransfer(**{"id": "t", "tenant": "a", "conversation_id": "c", "kind": new.kind,
                                  "fingerprint": "", "input_variables": {"a": "b"}}), "", 0, 60), 1,
    )["inputContext"]  # fmt: skip
