"""Parts of request bodies: custom calling context, caller ids, users, connections."""

import pytest

from emulator.acs.errors import RestError
from emulator.acs.rest_body import (
    read_connection,
    read_custom_context,
    read_identifiers,
    read_number,
    read_user,
)

BODY = {"callbackUri": "https://app.example/cb"}


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (None, None),
        ({}, None),
        ({"voipHeaders": {}}, None),
        ({"voipHeaders": {"agentId": "a-1", "": "x"}}, {"voipHeaders": {"agentId": "a-1", "": "x"}}),
        (
            {"sipHeaders": {"User-To-User": "616263;encoding=hex", "X-MS-Custom-k": "v"}},
            {"sipHeaders": {"userToUser": "616263;encoding=hex", "X-MS-Custom-k": "v"}},
        ),
        (
            {"voipHeaders": {"k": "v"}, "sipHeaders": None, "teamsPhoneCallDetails": {}},
            {"voipHeaders": {"k": "v"}},
        ),
        ({"voipHeaders": {"k" * 64: "v" * 1024}}, {"voipHeaders": {"k" * 64: "v" * 1024}}),
    ],
)
def test_custom_context_arrives_as_it_was_sent(sent: object, arrives: object) -> None:
    assert read_custom_context(sent) == arrives


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ("text", "CustomCallingContext"),
        ({"voipHeaders": ["k"]}, "VoipHeaders"),
        ({"voipHeaders": {"k": 1}}, "VoipHeaders"),
        ({"voipHeaders": {"k" * 65: "v"}}, "VoipHeaders"),
        ({"voipHeaders": {"k": "v" * 1025}}, "VoipHeaders"),
        ({"voipHeaders": {f"k{number}": "v" for number in range(1001)}}, "VoipHeaders"),
        ({"sipHeaders": {"X-MS-Custom-k": "v" * 257}}, "SipHeaders"),
        ({"sipHeaders": {f"X-MS-Custom-{number}": "v" for number in range(6)}}, "SipHeaders"),
    ],
)
def test_custom_context_has_limits(sent: object, field: str) -> None:
    with pytest.raises(RestError, match=field) as caught:
        read_custom_context(sent)
    assert (caught.value.status, caught.value.code) == (400, "8523")


def test_five_sip_headers_and_user_to_user_fit() -> None:
    headers = {f"X-MS-Custom-{number}": "v" for number in range(5)} | {"User-To-User": "u"}
    assert len(read_custom_context({"sipHeaders": headers})["sipHeaders"]) == 6


def test_caller_ids_and_users() -> None:
    assert read_number(None, "F") is None
    assert read_number({"value": "+18005550000"}, "F") == "+18005550000"
    assert read_user(None, "F") is None
    assert read_user({"id": "8:acs:a_b"}, "F")["kind"] == "communicationUser"
    for wrong in ("+1", {"value": 1}, {"value": "18005550000"}):
        with pytest.raises(RestError):
            read_number(wrong, "F")


@pytest.mark.parametrize("wrong", [None, [], {}, ["+1"], [{}]])
def test_lists_of_people(wrong: object) -> None:
    with pytest.raises(RestError, match="Targets"):
        read_identifiers(wrong, "Targets")


def test_a_connection() -> None:
    request = read_connection({**BODY, "answeredBy": {"id": "8:acs:a_b"}, "operationContext": "c"}, None)
    assert request.api_version == "2026-03-12"
    assert request.operation.context == "c"
    assert request.answered_by["rawId"] == "8:acs:a_b"
    assert (request.media, request.targets, request.source_number) == (None, (), None)


@pytest.mark.parametrize(
    "change",
    [
        {"callbackUri": "http://example.org/cb"},
        {"transcriptionOptions": 1},
        {"answeredBy": "8:acs:a_b"},
        {"mediaStreamingOptions": []},
    ],
)
def test_a_wrong_connection(change: dict) -> None:
    with pytest.raises(RestError) as caught:
        read_connection({**BODY, **change}, None)
    assert caught.value.status == 400
