"""Identifiers as the service writes them (`kind`, `rawId` and one typed object) and as clients send them (no `kind`)."""

from typing import Any

from emulator.acs.errors import invalid

type Identifier = dict[str, Any]
"""A CommunicationIdentifierModel as JSON (acs.md 1.4)."""


def identifier(address: str) -> Identifier:
    """The identifier of an address: `+E164`, `anonymous`, or a raw id (`4:+…`, `8:acs:…`, `8:orgid:…`)."""
    if address.startswith("+"):
        address = f"4:{address}"
    if address in ("anonymous", "4:anonymous"):
        number = {"value": "anonymous", "isAnonymous": True}
        return {"kind": "phoneNumber", "rawId": "4:anonymous", "phoneNumber": number}
    if address.startswith("4:"):
        return {"kind": "phoneNumber", "rawId": address, "phoneNumber": {"value": address[2:]}}
    if address.startswith("8:acs:"):
        return {"kind": "communicationUser", "rawId": address, "communicationUser": {"id": address}}
    if address.startswith("8:orgid:"):
        user = {"userId": address[8:], "isAnonymous": False, "cloud": "public"}
        return {"kind": "microsoftTeamsUser", "rawId": address, "microsoftTeamsUser": user}
    return {"kind": "unknown", "rawId": address}


def read_identifier(value: object, field: str) -> Identifier:
    """The identifier that a client sent: `rawId`, or only its typed object.

    Raises:
        RestError: 400/8523 when it names nobody.
    """
    if not isinstance(value, dict):
        raise invalid(field)
    raw_id = value.get("rawId")
    if isinstance(raw_id, str) and raw_id:
        return identifier(raw_id)
    number = value.get("phoneNumber")
    if isinstance(number, dict) and isinstance(number.get("value"), str) and number["value"]:
        return identifier(f"4:{number['value']}")
    user = value.get("communicationUser")
    if isinstance(user, dict) and isinstance(user.get("id"), str) and user["id"]:
        return identifier(user["id"])
    raise invalid(field)


def address(who: Identifier) -> str:
    """The address that people write: `+E164`, or the raw id."""
    raw_id = str(who["rawId"])
    return raw_id[2:] if raw_id.startswith("4:+") else raw_id
