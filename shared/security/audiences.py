"""What a token is for. Each audience has keys of its own, so that no token passes at another door."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Audience(StrEnum):
    """The `aud` claim."""

    ACS_MEDIA = "acs-media"
    """ACS opens a call's audio WebSocket; good once."""
    ACS_CALLBACK = "acs-callback"
    """ACS reports a call's state; good for every callback of that call."""
    TWILIO_MEDIA = "twilio-media"
    """Twilio opens a media stream."""


LIFETIME_S: Mapping[Audience, int] = MappingProxyType(
    {Audience.ACS_MEDIA: 30, Audience.ACS_CALLBACK: 10_800, Audience.TWILIO_MEDIA: 300}
)
"""Seconds from minting to expiry (design.md section 4, decision 4)."""
