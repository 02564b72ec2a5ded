import pytest
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
    UnknownIdentifier,
)
from azure.communication.callautomation._shared.models import identifier_from_raw_id
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.wire.identifiers import Identifier, IdentifierKind, from_raw_id, parse_e164, parse_identifier

USER = "8:acs:11111111-2222-4333-8444-555555555555_aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
EXTENSION = "8:acs:resource_tenant_user"


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("4:+14255550100", IdentifierKind.PHONE_NUMBER, "+14255550100"),
        ("4:+14255550100_a1b2", IdentifierKind.PHONE_NUMBER, "+14255550100"),
        ("4:anonymous", IdentifierKind.PHONE_NUMBER, ""),
        ("4:Restricted", IdentifierKind.PHONE_NUMBER, ""),
        ("4:", IdentifierKind.PHONE_NUMBER, ""),
        ("4:911", IdentifierKind.PHONE_NUMBER, ""),
        ("4:+911", IdentifierKind.PHONE_NUMBER, ""),
        ("4:004989123456", IdentifierKind.PHONE_NUMBER, ""),
        (USER, IdentifierKind.COMMUNICATION_USER, USER),
        ("8:gcch-acs:r_u", IdentifierKind.COMMUNICATION_USER, "8:gcch-acs:r_u"),
        ("8:spool:a_b_c", IdentifierKind.COMMUNICATION_USER, "8:spool:a_b_c"),
        ("8:acs:a__c", IdentifierKind.COMMUNICATION_USER, "8:acs:a__c"),
        (EXTENSION, IdentifierKind.TEAMS_EXTENSION_USER, "user"),
        ("8:orgid:oid", IdentifierKind.MICROSOFT_TEAMS_USER, "oid"),
        ("8:dod:oid", IdentifierKind.MICROSOFT_TEAMS_USER, "oid"),
        ("8:teamsvisitor:v", IdentifierKind.MICROSOFT_TEAMS_USER, "v"),
        ("28:orgid:bot", IdentifierKind.MICROSOFT_TEAMS_APP, "bot"),
        ("8:acs:", IdentifierKind.UNKNOWN, ""),
        ("48:new:thing", IdentifierKind.UNKNOWN, ""),
        ("28:plain-bot", IdentifierKind.UNKNOWN, ""),
        ("whatever", IdentifierKind.UNKNOWN, ""),
    ],
)
def test_raw_ids(raw, kind, value):
    identifier = from_raw_id(raw)
    assert (identifier.kind, identifier.value) == (kind, value)
    assert identifier.raw_id == (raw if raw != "4:" else "4:anonymous")
    assert identifier.is_anonymous == (value == "")


@pytest.mark.parametrize(
    "raw",
    ["", "4:+", "4:+1425abc", "4:+" + "1" * 500, "4:+1 425 555 0100", "4:٣٤٥", "8:acs:a\nb", "x" * 513],
)
def test_wrong_raw_ids_are_named(raw):
    with pytest.raises(InvalidInput) as refused:
        from_raw_id(raw)
    assert refused.value.field == "rawId"


SDK_KINDS = {
    PhoneNumberIdentifier: IdentifierKind.PHONE_NUMBER,
    CommunicationUserIdentifier: IdentifierKind.COMMUNICATION_USER,
    MicrosoftTeamsUserIdentifier: IdentifierKind.MICROSOFT_TEAMS_USER,
    MicrosoftTeamsAppIdentifier: IdentifierKind.MICROSOFT_TEAMS_APP,
    UnknownIdentifier: IdentifierKind.UNKNOWN,
}


@pytest.mark.parametrize(
    "raw",
    [
        "4:+14255550100",
        USER,
        "8:orgid:oid",
        "8:gcch:oid",
        "8:teamsvisitor:v",
        "28:dod:bot",
        "48:x:y",
        "28:b",
        "8:dod-acs:r_u",
    ],
)
def test_the_sdk_reads_raw_ids_alike(raw):
    assert from_raw_id(raw).kind is SDK_KINDS[type(identifier_from_raw_id(raw))]


def test_the_sdk_reads_a_teams_extension_alike():
    assert identifier_from_raw_id(EXTENSION).kind.value == "teams_extension_user"
    assert identifier_from_raw_id(EXTENSION).properties["user_id"] == from_raw_id(EXTENSION).value


PHONE = {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}}


@pytest.mark.parametrize(
    ("value", "kind", "raw", "plain"),
    [
        (PHONE, "phoneNumber", "4:+14255550100", "+14255550100"),
        ({**PHONE, "kind": "PhoneNumber"}, "phoneNumber", "4:+14255550100", "+14255550100"),
        ({"Kind": "x", "RawID": "4:+14255550100"}, "phoneNumber", "4:+14255550100", "+14255550100"),
        ({"phoneNumber": {"value": "+14255550100"}}, "phoneNumber", "4:+14255550100", "+14255550100"),
        ({"PhoneNumber": {"Value": "+14255550100"}}, "phoneNumber", "4:+14255550100", "+14255550100"),
        ({"communicationUser": {"id": USER}}, "communicationUser", USER, USER),
        ({"rawId": USER, "communicationUser": {"id": USER.upper()}}, "communicationUser", USER, USER),
        ({"microsoftTeamsUser": {"userId": "oid"}}, "microsoftTeamsUser", "8:orgid:oid", "oid"),
        (
            {"rawId": "8:gcch:oid", "microsoftTeamsUser": {"userId": "oid"}},
            "microsoftTeamsUser",
            "8:gcch:oid",
            "oid",
        ),
        ({"microsoftTeamsApp": {"appId": "bot"}}, "microsoftTeamsApp", "28:orgid:bot", "bot"),
        (
            {"teamsExtensionUser": {"userId": "user", "tenantId": "tenant", "resourceId": "resource"}},
            "teamsExtensionUser",
            EXTENSION,
            "user",
        ),
        (
            {"rawId": "4:anonymous", "phoneNumber": {"value": "anonymous", "isAnonymous": True}},
            "phoneNumber",
            "4:anonymous",
            "",
        ),
        (
            {"rawId": "4:+14255550100", "phoneNumber": {"isAnonymous": True, "value": "x"}},
            "phoneNumber",
            "4:+14255550100",
            "",
        ),
        ({"kind": "unknown", "rawId": "48:new:thing"}, "unknown", "48:new:thing", ""),
        ({"kind": "hologram", "rawId": "99:x", "hologram": {"id": 1}}, "unknown", "99:x", ""),
        ({"kind": None, "rawId": USER, "phoneNumber": None}, "communicationUser", USER, USER),
    ],
)
def test_identifier_objects(value, kind, raw, plain):
    assert parse_identifier(value, field="data.from") == Identifier(IdentifierKind(kind), raw, plain)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "data.to"),
        ("4:+14255550100", "data.to"),
        ([], "data.to"),
        ({}, "data.to.rawId"),
        ({"kind": "phoneNumber"}, "data.to.rawId"),
        ({"kind": 4, "rawId": USER}, "data.to.kind"),
        ({"rawId": 4}, "data.to.rawId"),
        ({"rawId": "4:+1425abc"}, "data.to.rawId"),
        ({"rawId": "x" * 513}, "data.to.rawId"),
        ({"phoneNumber": "+14255550100"}, "data.to.phoneNumber"),
        ({"phoneNumber": {"value": 14255550100}}, "data.to.phoneNumber.value"),
        ({"phoneNumber": {}}, "data.to.phoneNumber.value"),
        ({"communicationUser": {"id": ""}}, "data.to.communicationUser.id"),
        ({"teamsExtensionUser": {"userId": "u"}}, "data.to.teamsExtensionUser.resourceId"),
        ({"rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550199"}}, "data.to.rawId"),
        ({"rawId": USER, "communicationUser": {"id": USER[:-1] + "0"}}, "data.to.rawId"),
    ],
)
def test_wrong_identifier_objects_name_the_field(value, field):
    with pytest.raises(InvalidInput) as refused:
        parse_identifier(value, field="data.to")
    assert refused.value.field == field


@pytest.mark.parametrize(
    "raw",
    ["4:+14255550100", "4:anonymous", USER, EXTENSION, "8:orgid:oid", "28:orgid:bot", "48:new:thing"],
)
def test_what_we_write_we_read_again(raw):
    identifier = from_raw_id(raw)
    assert parse_identifier(identifier.to_json(), field="x") == identifier
    assert parse_identifier(identifier.to_json(with_kind=False), field="x") == identifier
    assert "kind" not in identifier.to_json(with_kind=False)
    assert identifier.to_json()["kind"] == identifier.kind.value


def test_the_wire_form_of_a_telephone():
    assert from_raw_id("4:+14255550100").to_json() == PHONE


def test_masked_forms_do_not_show_the_number():
    assert from_raw_id("4:+14255550100").masked == "+1425…00"
    assert from_raw_id("4:anonymous").masked == "anonymous"
    assert from_raw_id("4:911").masked == "anonymous"
    assert USER[6:-2] not in from_raw_id(USER).masked


@pytest.mark.parametrize("number", ["+14255550100", "+491701234567", "+123456789012345"])
def test_e164(number):
    assert parse_e164(number, field="to") == number


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+",
        "14255550100",
        "+0123456789",
        "+1234567890123456",
        "+1425555010a",
        "+١٤٢٥٥٥٥٠١٠٠",
        "+14255550100\n",
    ],
)
def test_not_e164(number):
    with pytest.raises(InvalidInput, match="to: expected a phone number"):
        parse_e164(number, field="to")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["kind", "rawId", "phoneNumber", "communicationUser", "microsoftTeamsUser", "teamsExtensionUser"]
)
raw_ids = st.sampled_from(["4:", "8:acs:", "8:orgid:", "28:orgid:", ""]).flatmap(
    lambda start: st.text(max_size=12).map(lambda rest: start + rest)
)


@given(st.dictionaries(keys, json_values | raw_ids, max_size=4) | json_values)
@settings(max_examples=150, deadline=None)
def test_any_value_gives_an_identifier_or_invalid_input(value):
    try:
        identifier = parse_identifier(value, field="f")
    except InvalidInput as refused:
        assert refused.field.startswith("f")
    else:
        assert from_raw_id(identifier.raw_id).kind in (identifier.kind, IdentifierKind.UNKNOWN)
        assert identifier.masked
        identifier.to_json()
