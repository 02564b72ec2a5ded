"""What `control` needs to speak with ACS through Microsoft's SDK: identifiers, keys, repeatable requests, and errors.

Facts: acs.md sections 1.1 (repeatability), 1.4 (raw ids, tones) and 4.3 (result codes). The SDK is imported on first use.
"""

import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal

from shared.errors import CallControlUnavailable, CallGone, ConfigurationError, InvalidInput, PatchcordError

REPEATABILITY = uuid.UUID("6f1d3f0e-2a0b-5d0e-9d5c-7e1b6f0c9a11")
"""Namespace of our Repeatability-Request-IDs."""

GONE_SUB_CODES = frozenset({"8501", "8522", "8528", "8585", "8587"})
"""Not established, not found, terminated, not valid in this state, not answered in time (acs.md 4.3)."""

MOST_TONES = 18
"""Keys that ACS presses at once."""

TONES = {
    **dict(zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    **{letter: letter.lower() for letter in "ABCD"},
    "*": "asterisk",
    "#": "pound",
}


def mapped(operation: str, error: Any) -> PatchcordError:
    """Our error for the SDK's `HttpResponseError`; texts hold only status and sub-code, never a body."""
    status = error.status_code or 0
    code = str(getattr(getattr(error, "error", None), "code", "") or "")
    what = f"ACS: {operation}: {status}" + (f"/{code}" if code else "")
    taken = status == 409 and operation in ("answer", "reject", "redirect")
    if status in (404, 410) or taken or (status == 400 and code in GONE_SUB_CODES):
        return CallGone(what)
    if status in (401, 403):
        return ConfigurationError(
            "AZURE_ACS_CONN_KEY or ACS_ENDPOINT", f"access that the ACS resource grants ({what})"
        )
    if status in (408, 429) or status >= 500:
        return CallControlUnavailable(what)
    return InvalidInput(f"acs.{operation}", f"a request that ACS accepts ({what})")


def repeatable(operation: str, call_id: str = "", first_sent: float | None = None) -> dict[str, str]:
    """Headers by which ACS knows a repeated request (OASIS Repeatable Requests; acs.md 1.1).

    With a call id the request is the same whoever sends it, else only the SDK's own retries are. The time is always ours:
    the SDK (1.6.0) would ask `datetime.utcnow`, which is deprecated.
    """
    name = uuid.uuid5(REPEATABILITY, f"{operation}:{call_id}") if call_id else uuid.uuid4()
    sent = datetime.now(UTC) if first_sent is None else datetime.fromtimestamp(first_sent, UTC)
    return {
        "Repeatability-Request-ID": str(name),
        "Repeatability-First-Sent": format_datetime(sent, usegmt=True),
    }


def streaming(
    media_url: str, audio_format: Literal["pcm24KMono", "pcm16KMono"], *, start: bool = True
) -> Any:
    """Bidirectional 20 ms audio and keys on one WebSocket, from the moment when the call is up (acs.md section 2).

    `start` False waits for `start_media_streaming`, which dials the same address.
    """
    from azure.communication.callautomation import MediaStreamingOptions

    return MediaStreamingOptions(
        transport_url=media_url,
        transport_type="websocket",
        content_type="audio",
        audio_channel_type="mixed",
        start_media_streaming=start,
        enable_bidirectional=True,
        audio_format=audio_format,
        enable_dtmf_tones=True,
    )


def identifier(address: str) -> Any:
    """The SDK's identifier for an E.164 number or a raw id: a telephone (also an anonymous one), an ACS user, or anybody."""
    from azure.communication.callautomation import (
        CommunicationUserIdentifier,
        PhoneNumberIdentifier,
        UnknownIdentifier,
    )

    if address.startswith("+"):
        return PhoneNumberIdentifier(address)
    if address.startswith("4:"):
        return PhoneNumberIdentifier(address[2:].partition("_")[0], raw_id=address)
    if address.startswith("8:acs:"):
        return CommunicationUserIdentifier(address)
    return UnknownIdentifier(address)


def tones(digits: str) -> list[str]:
    """ACS's words for keys.

    Raises:
        InvalidInput: none, too many, or others; the text does not show them.
    """
    keys = digits.upper()
    if not 0 < len(keys) <= MOST_TONES or not TONES.keys() >= set(keys):
        raise InvalidInput("digits", f"1 to {MOST_TONES} of 0-9, *, #, A-D")
    return [TONES[key] for key in keys]
