"""What the parts of patchcord.yaml have in common: names, addresses, and how a mistake is told."""

import re
from typing import NamedTuple

import msgspec

from shared.settings import E164

ACS_USER = re.compile(r"8:acs:[0-9A-Za-z-]+_[0-9A-Za-z-]+")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SECRET = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+"
    r"|https://[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*(:\d{1,5})?/secrets/[0-9A-Za-z-]{1,127}"
)
"""A reference to a secret, never the secret: an environment variable, a file, or a Key Vault secret; `Secrets` reads all three."""

SECRET_EXPECTED = (
    "env:VARIABLE, file:PATH or a Key Vault secret such as https://NAME.vault.azure.net/secrets/SECRET "  # noqa: S105  # a pattern
    "(never the secret itself)"
)

ADDRESS_EXPECTED = "an E.164 number or an 8:acs:… identity"


class Mistake(NamedTuple):
    """Place, what was expected there, and what was found ("" when that may be a secret)."""

    place: str
    expected: str
    found: str = ""


class Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A part of the file: unknown fields are mistakes, values do not change."""


def is_address(text: str) -> bool:
    """Whether a call can be sent to `text`."""
    return bool(E164.fullmatch(text) or ACS_USER.fullmatch(text))
