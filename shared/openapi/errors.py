"""Every error that a client can meet: its code, and what to do about it."""

from collections.abc import Sequence
from typing import Any

from shared.calls.admission import NoMediaHost
from shared.calls.answering import MissingContext
from shared.calls.destinations import DestinationForbidden
from shared.calls.outbound import CallerIdForbidden
from shared.conversations.conversations import ConversationBusy
from shared.errors import (
    CallControlUnavailable,
    Conflict,
    Forbidden,
    InvalidInput,
    KeysUnavailable,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    OutOfScope,
    PatchcordError,
    SignatureRejected,
    StoreUnavailable,
    Unauthenticated,
    Unavailable,
)
from shared.http import (
    RETRY_AFTER_S,
    HeadersTooLarge,
    TooLarge,
    UnsupportedMediaType,
)
from shared.transfers.api import NoSuchCountry, NotEnabled
from shared.transfers.numbers import PoolExhausted

type Json = dict[str, Any]
type Kind = type[PatchcordError]

ABOUT: dict[Kind, tuple[str, str]] = {
    InvalidInput: ("A field is wrong; the message names it.", "type: expected PHONE_NUMBER or ACS_USER"),
    MissingContext: (
        "An IncomingCall event without `incomingCallContext`: the call cannot be answered.",
        "data.incomingCallContext: expected text",
    ),
    Unauthenticated: (
        "Credentials or token missing, wrong, given twice, or of another environment; the text never says which.",
        "authentication failed",
    ),
    Forbidden: (
        "The tenant is known, but this is not set up for it, or not with this agent.",
        "call transfers are not set up for this tenant",
    ),
    OutOfScope: (
        "These credentials were made for other doors.",
        "these credentials were not made for calls:create",
    ),
    SignatureRejected: (
        "Twilio has not signed this request, or not for an account that is known here; the text never says which.",
        "the signature does not hold",
    ),
    DestinationForbidden: (
        "This tenant may not call this number: another country's, or a premium one.",
        "this tenant may not call numbers of that country",
    ),
    CallerIdForbidden: (
        "`callerId` is none of this tenant's numbers.",
        "the caller id must be one of this tenant's numbers",
    ),
    NotFound: (
        "Nothing by that name for this tenant; the same for another tenant's things.",
        "no such call transfer",
    ),
    MethodNotAllowed: (
        "The path is right, the method is not; `Allow` has the right ones.",
        "method: expected GET",
    ),
    Conflict: (
        "The `id` belongs to another request: the same request again would have had the same answer.",
        "this id belongs to another transfer",
    ),
    ConversationBusy: (
        "The conversation has a call that goes on; end it first.",
        "the conversation has a live call",
    ),
    TooLarge: ("The body is larger than this door takes.", "body: expected at most 65536 bytes"),
    UnsupportedMediaType: (
        "`Content-Type` is not `application/json`.",
        "content-type: expected application/json",
    ),
    NotEnabled: (
        "This type of transfer is not offered: SIP, or ACS_USER for a tenant without an identity.",
        "type: expected PHONE_NUMBER or ACS_USER: SIP is not enabled here",
    ),
    NoSuchCountry: (
        "The pool has no numbers of that country.",
        "phoneNumber.country: expected a country with numbers in the pool (GB has none)",
    ),
    LimitReached: (
        "Too many calls at once, or in a minute; try again after `Retry-After`.",
        "at most 10 calls may go on at once",
    ),
    HeadersTooLarge: (
        "More than 100 headers, or more than 32 KiB of them.",
        "headers: expected at most 100 with 32768 bytes",
    ),
    PatchcordError: ("A mistake of ours; the log has it under `requestId`.", "internal error"),
    Unavailable: ("A dependency does not answer; try again after `Retry-After`.", "a dependency is away"),
    StoreUnavailable: (
        "The store does not answer; try again after `Retry-After`.",
        "the store does not answer",
    ),
    KeysUnavailable: ("The signing keys cannot be read; try again after `Retry-After`.", "no keys"),
    CallControlUnavailable: (
        "Azure Communication Services does not answer; try again after `Retry-After`.",
        "ACS does not answer",
    ),
    PoolExhausted: (
        "Every number of the country is in use; try again after `Retry-After`, and see `patchcord numbers size`.",
        "no number of US is free",
    ),
    NoMediaHost: (
        "Nobody could carry the call's audio now: full, or being shut down; try again after `Retry-After`.",
        "no media host takes a call now: full",
    ),
}
"""What each means, and an example of its message."""

ALWAYS: tuple[Kind, ...] = (HeadersTooLarge, PatchcordError)
"""At every door."""


def catalogue() -> list[tuple[str, str]]:
    """Every code with its meaning, sorted."""
    return sorted((kind.code, about) for kind, (about, _) in ABOUT.items())


def responses(kinds: Sequence[Kind]) -> Json:
    """The error responses of an operation, one for each status, each code with an example."""
    by_status: dict[str, list[Kind]] = {}
    for kind in sorted({*kinds, *ALWAYS}, key=lambda kind: kind.code):
        by_status.setdefault(str(kind.status), []).append(kind)
    return {status: _response(found) for status, found in by_status.items()}


def _response(kinds: Sequence[Kind]) -> Json:
    headers: Json = {}
    if any(kind.retryable for kind in kinds):
        headers["Retry-After"] = {
            "description": f"Seconds to wait; now always {RETRY_AFTER_S}.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    examples = {kind.code: {"value": example(kind)} for kind in kinds}
    response: Json = {
        "description": " ".join(f"{kind.code}: {ABOUT[kind][0]}" for kind in kinds),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples}
        },
    }
    return response | ({"headers": headers} if headers else {})


def example(kind: Kind) -> Json:
    """An answer with this error."""
    return {"error": {"requestId": "9f1c2d7e", "code": kind.code, "message": ABOUT[kind][1]}}
