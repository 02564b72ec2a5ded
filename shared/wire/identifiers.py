"""Who is on the line: ACS's identifiers in their JSON form and as raw ids (acs.md 1.4).

A raw id is `4:+E164` for a telephone, `8:acs:<resource>_<user>` for a communication user, `8:orgid:<oid>` for a Teams
user, `28:orgid:<id>` for a Teams application, `8:acs:<resource>_<tenant>_<user>` for a Teams user on a telephone line of
ACS. Requests carry no `kind`, events do, in camelCase or (early documents) PascalCase: names are compared without case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import InvalidInput
from shared.settings import E164
from shared.telemetry import mask_number
from shared.wire.json_input import as_object, text

MAX_RAW_ID = 512
"""Characters; a raw id also serves as a key in the store."""


class IdentifierKind(StrEnum):
    """The values of `kind`; what is new to us is UNKNOWN."""

    PHONE_NUMBER = "phoneNumber"
    COMMUNICATION_USER = "communicationUser"
    MICROSOFT_TEAMS_USER = "microsoftTeamsUser"
    MICROSOFT_TEAMS_APP = "microsoftTeamsApp"
    TEAMS_EXTENSION_USER = "teamsExtensionUser"
    UNKNOWN = "unknown"


# First two parts of a raw id, without case; the rest is the value. `8:dod:` and `8:gcch:` are the US government's clouds.
_PREFIXES = {
    "8:acs:": IdentifierKind.COMMUNICATION_USER,
    "8:dod-acs:": IdentifierKind.COMMUNICATION_USER,
    "8:gcch-acs:": IdentifierKind.COMMUNICATION_USER,
    "8:spool:": IdentifierKind.COMMUNICATION_USER,
    "8:orgid:": IdentifierKind.MICROSOFT_TEAMS_USER,
    "8:dod:": IdentifierKind.MICROSOFT_TEAMS_USER,
    "8:gcch:": IdentifierKind.MICROSOFT_TEAMS_USER,
    "8:teamsvisitor:": IdentifierKind.MICROSOFT_TEAMS_USER,
    "28:orgid:": IdentifierKind.MICROSOFT_TEAMS_APP,
    "28:dod:": IdentifierKind.MICROSOFT_TEAMS_APP,
    "28:gcch:": IdentifierKind.MICROSOFT_TEAMS_APP,
}
_PREFIX = re.compile(r"(?:8|28):[A-Za-z-]{1,32}:")

# The typed sub-objects: the start of the raw id, and the keys that make up the rest.
_SUB_OBJECTS = (
    (IdentifierKind.PHONE_NUMBER, "4:", ("value",)),
    (IdentifierKind.COMMUNICATION_USER, "", ("id",)),
    (IdentifierKind.MICROSOFT_TEAMS_USER, "8:orgid:", ("userId",)),
    (IdentifierKind.MICROSOFT_TEAMS_APP, "28:orgid:", ("appId",)),
    (IdentifierKind.TEAMS_EXTENSION_USER, "8:acs:", ("resourceId", "tenantId", "userId")),
)

# What stands in the place of a withheld number. ACS writes "anonymous"; the other words come from networks behind it.
_WITHHELD = frozenset({"", "anonymous", "restricted", "unavailable", "private", "unknown"})
# Numbers that ring but are not E.164: short codes, national numbers, and ACS's `_assertedid` suffix.
_DIALLED = re.compile(r"\+?[0-9]{2,20}")


@dataclass(frozen=True, slots=True)
class Identifier:
    """One party of a call.

    Attributes:
        kind: what sort of party.
        raw_id: ACS's own name for it; compare and route by this. May be "" if the event gave none.
        value: telephone: the number in E.164; communication user: the raw id; Teams: the user's or application's id.
            "" when the number is withheld or is no E.164 number, and for unknown kinds.
    """

    kind: IdentifierKind
    raw_id: str
    value: str

    @property
    def is_anonymous(self) -> bool:
        """Whether there is nobody to call back: no number, no user id."""
        return not self.value

    @property
    def masked(self) -> str:
        """A form fit for logs: the start and the last two characters, or `anonymous`."""
        return mask_number(self.value) if self.value else "anonymous"

    def to_json(self, with_kind: bool = True) -> dict[str, object]:
        """The wire form; `with_kind=False` as the SDK sends it in requests (acs.md section 0, rule 4)."""
        result: dict[str, object] = {"kind": self.kind.value} if with_kind else {}
        result["rawId"] = self.raw_id
        match self.kind:
            case IdentifierKind.PHONE_NUMBER if self.value:
                result["phoneNumber"] = {"value": self.value}
            case IdentifierKind.PHONE_NUMBER:
                result["phoneNumber"] = {"value": "anonymous", "isAnonymous": True}
            case IdentifierKind.COMMUNICATION_USER:
                result["communicationUser"] = {"id": self.value}
            case IdentifierKind.MICROSOFT_TEAMS_USER:
                result["microsoftTeamsUser"] = {"userId": self.value}
            case IdentifierKind.MICROSOFT_TEAMS_APP:
                result["microsoftTeamsApp"] = {"appId": self.value}
            case IdentifierKind.TEAMS_EXTENSION_USER:
                resource, tenant, user = self.raw_id.partition("acs:")[2].split("_")
                result["teamsExtensionUser"] = {"userId": user, "tenantId": tenant, "resourceId": resource}
        return result


def parse_e164(value: str, *, field: str) -> str:
    """A telephone number such as `+14255550100`, unchanged.

    Raises:
        InvalidInput: anything else, also spaces, dashes and a missing plus sign.
    """
    if E164.fullmatch(value):
        return value
    raise InvalidInput(field, "a phone number in E.164 form, such as +14255550100")


def _phone(number: str, *, field: str) -> Identifier:
    """A telephone by what follows `4:`; an asserted id after an underscore stays in the raw id only."""
    dialled = number.partition("_")[0]
    if number.lower() in _WITHHELD or (_DIALLED.fullmatch(dialled) and not E164.fullmatch(dialled)):
        return Identifier(IdentifierKind.PHONE_NUMBER, f"4:{number or 'anonymous'}", "")
    return Identifier(IdentifierKind.PHONE_NUMBER, f"4:{number}", parse_e164(dialled, field=field))


def _from_raw_id(raw: str, *, field: str) -> Identifier:
    text(raw, field=field, limit=MAX_RAW_ID)
    if raw.startswith("4:"):
        return _phone(raw[2:], field=field)
    prefix = _PREFIX.match(raw)
    start = prefix.group() if prefix else ""
    kind = _PREFIXES.get(start.lower(), IdentifierKind.UNKNOWN)
    rest = raw[len(start) :]
    if kind is IdentifierKind.UNKNOWN or not rest:
        return Identifier(IdentifierKind.UNKNOWN, raw, "")
    if kind is not IdentifierKind.COMMUNICATION_USER:
        return Identifier(kind, raw, rest)
    parts = rest.split("_")
    if len(parts) == 3 and all(parts) and start.lower() != "8:spool:":
        return Identifier(IdentifierKind.TEAMS_EXTENSION_USER, raw, parts[2])
    return Identifier(kind, raw, raw)


def from_raw_id(raw: str) -> Identifier:
    """The identifier that a raw id names; unknown forms give `UNKNOWN`.

    Raises:
        InvalidInput: empty, longer than 512 characters, with control characters, or a telephone (`4:`) whose number
            consists of anything but digits.
    """
    return _from_raw_id(raw, field="rawId")


def parse_identifier(value: object, *, field: str) -> Identifier:
    """An identifier object out of an event or a response.

    The raw id decides; where it is missing, it is put together from the typed sub-object (`phoneNumber: {value}`). `kind`
    may be missing and says nothing that the raw id does not. Withheld numbers and kinds that we do not know give an
    identifier without a value, never an error: such people call, too.

    Args:
        value: the parsed JSON value.
        field: where it stands, for the error.

    Raises:
        InvalidInput: no object; neither a raw id nor a typed sub-object; a wrong type; or a raw id and a typed
            sub-object that name different parties.
    """
    fields = _without_case(as_object(value, field=field))
    text(fields.get("kind"), field=f"{field}.kind", limit=64, default="")
    where = f"{field}.rawId"
    raw = text(fields.get("rawid"), field=where, limit=MAX_RAW_ID, default="")
    typed = _typed(fields, field=field)
    if not raw and not typed:
        raise InvalidInput(where, "a raw id, or the object of its kind")
    found = _from_raw_id(raw or typed, field=where)
    phone = fields.get("phonenumber")
    if isinstance(phone, dict) and _without_case(phone).get("isanonymous") is True:
        return Identifier(IdentifierKind.PHONE_NUMBER, found.raw_id, "")
    if typed and found.value and _from_raw_id(typed, field=field).value.lower() != found.value.lower():
        raise InvalidInput(where, "the same party as the object beside it")
    return found


def _without_case(value: Mapping[str, object]) -> dict[str, object]:
    return {key.lower(): item for key, item in value.items()}


def _typed(fields: Mapping[str, object], *, field: str) -> str:
    """The raw id that the first typed sub-object stands for, or "" if there is none."""
    for name, start, keys in _SUB_OBJECTS:
        if fields.get(name.lower()) is not None:
            where = f"{field}.{name}"
            details = _without_case(as_object(fields[name.lower()], field=where))
            parts = [text(details.get(key.lower()), field=f"{where}.{key}", limit=MAX_RAW_ID) for key in keys]
            return start + "_".join(parts)
    return ""
