"""Twilio's names for things: two letters and 32 hexadecimal digits."""

import secrets


def new_sid(kind: str) -> str:
    """A new name of a `kind`: `CA` a call, `MZ` a media stream, `FN` a step of a flow."""
    return kind + secrets.token_hex(16)
