"""The doors of the Twilio line, and their schemas."""

from collections.abc import Sequence

from shared.calls.admission import NoMediaHost
from shared.errors import (
    Forbidden,
    InvalidInput,
    KeysUnavailable,
    OutOfScope,
    SignatureRejected,
    StoreUnavailable,
    Unauthenticated,
    Unavailable,
)
from shared.http import TooLarge
from shared.openapi.build import Json, closed, nullable, ref, text, texts
from shared.openapi.calls import TRANSFER_TYPES
from shared.openapi.errors import Kind
from shared.openapi.operation import CREDENTIALS, WITH_CREDENTIALS, answer, body, operation
from shared.transfers.record import Status
from shared.wire.json_input import CLIENT_ID
from shared.wire.twilio_media import ACCOUNT_SID, CALL_SID
from shared.wire.twilio_params import FORM_LIMIT

TAG = "Twilio"
SIGNED: list[Json] = [{"twilioSignature": []}]
BY_TWILIO: tuple[Kind, ...] = (TooLarge, SignatureRejected, InvalidInput)

_FORM = "application/x-www-form-urlencoded"
_ACCOUNT = text("Twilio's id of the account.", pattern=f"^{ACCOUNT_SID.pattern}$")
_CALL = text("Twilio's id of the call.", pattern=f"^{CALL_SID.pattern}$")


def stream_url(prefix: str, suffix: str, security: Sequence[Json], note: str) -> Json:
    """The address of a stream, under a path that begins with `prefix`."""
    mode = {
        "name": "voiceAgentMode",
        "in": "query",
        "description": "Taken from existing clients, and of no effect: patchcord.yaml says which agent answers.",
        "schema": text("", enum=["cascade", "s2s"]),
    }
    call = {
        "name": "callSid",
        "in": "query",
        "description": "Twilio's id of the only call that may use the address; without it, any call of yours, many at once.",
        "schema": text("", pattern=f"^{CALL_SID.pattern}$"),
    }
    return {
        f"{prefix}/twilio-media-stream-url": {
            "get": operation(
                f"twilio_media_stream_url{suffix}",
                TAG,
                "An address for a stream",
                "For `<Stream url>` in TwiML of yours. Good for five minutes; a stream that has begun may last longer.",
                answer("The address.", ref("TwilioStreamUrl")),
                [*WITH_CREDENTIALS, Forbidden, InvalidInput, KeysUnavailable, NoMediaHost],
                security=security,
                parameters=[mode, call],
                alias=note,
            )
        }
    }


def _webhook(name: str, summary: str, about: str, success: Json, kinds: Sequence[Kind]) -> Json:
    return operation(
        name,
        TAG,
        summary,
        about,
        success,
        kinds,
        security=SIGNED,
        body=body(ref("TwilioForm"), limit=FORM_LIMIT, kinds=(_FORM,)),
    )


def _twiml(about: str) -> Json:
    return {"200": {"description": about, "content": {"text/xml": {"schema": {"type": "string"}}}}}


def paths() -> Json:
    """All paths but those of existing clients."""
    state = operation(
        "twilio_transfer_state",
        TAG,
        "What a Twilio call has come to",
        "For a Studio flow that goes on (signed by Twilio), or for a function of yours (API credentials): readable as soon as "
        "the stream has ended. What there is not, is null.",
        answer("How it stands.", ref("TwilioTransferState")),
        [*BY_TWILIO, Unauthenticated, OutOfScope, Forbidden, StoreUnavailable, KeysUnavailable, Unavailable],
        security=[*SIGNED, *CREDENTIALS],
        body=body(ref("TwilioStateRequest"), limit=FORM_LIMIT, kinds=("application/json", _FORM)),
    )
    return {
        **stream_url("/api/v1", "", CREDENTIALS, ""),
        "/api/twilio/engage": {
            "post": _webhook(
                "twilio_engage",
                "A call comes in at Twilio",
                "The voice webhook of a number. Parameters of the address become `<Parameter>`s, and so input variables; "
                "`FlowEvent=return` is for a Studio flow, which goes on by itself after the stream. Trouble of ours is said to "
                "the caller, who then gets what `next.failed` says; the answer is TwiML all the same.",
                _twiml("TwiML that streams the call to us."),
                BY_TWILIO,
            )
        },
        "/api/twilio/call-complete": {
            "post": _webhook(
                "twilio_call_complete",
                "The stream of a call is over",
                "What `<Connect action>` names: the TwiML is what `next` says for the outcome.",
                _twiml("TwiML for what comes next."),
                BY_TWILIO,
            )
        },
        "/api/twilio/transfer-state": {"post": state},
        "/api/twilio/stream-status": {
            "post": _webhook(
                "twilio_stream_status",
                "Twilio reports on a stream",
                "What `<Stream statusCallback>` names; recorded in the timeline of the call.",
                {"204": {"description": "Recorded, if the call is known."}},
                [*BY_TWILIO, StoreUnavailable, KeysUnavailable, Unavailable],
            )
        },
    }


def schemas() -> Json:
    """By name."""
    form: Json = {
        "type": "object",
        "description": "What Twilio posts about a call; other fields are there, too, and not looked at.",
        "properties": {"AccountSid": _ACCOUNT, "CallSid": _CALL},
        "required": ["AccountSid", "CallSid"],
        "examples": [{"AccountSid": "AC" + "0" * 31 + "1", "CallSid": "CA" + "0" * 31 + "1"}],
    }
    wanted: Json = {
        "type": "object",
        "description": "Which call: one of the two.",
        "properties": {
            "CallSid": _CALL,
            "callTransferId": text("The transfer's id, if it is not the CallSid.", pattern=f"^{CLIENT_ID}$"),
        },
        "anyOf": [{"required": ["CallSid"]}, {"required": ["callTransferId"]}],
        "examples": [{"CallSid": "CA" + "0" * 31 + "1"}],
    }
    state = closed(
        "The call's transfer, for a flow that branches on it.",
        {
            "callTransferStatus": nullable(
                text("As in CallTransfer; null if there is none.", enum=[one.value for one in Status])
            ),
            "transferType": nullable(text("Where the caller goes now.", enum=TRANSFER_TYPES)),
            "currentTaskName": nullable(text("The task at the end.")),
            "referenceVariables": nullable(texts("For your records; `error` if our side failed.")),
            "transferVariables": nullable(texts("For whoever takes the caller now.")),
        },
    )
    example = {
        "callTransferStatus": "COMPLETED",
        "transferType": "AGENT",
        "currentTaskName": "refund",
        "referenceVariables": {"ticket": "R-17"},
        "transferVariables": {"reason": "wants a person"},
    }
    url = closed("Where to stream to.", {"streamingUrl": text("`wss://…`, with a token in its path.")})
    return {
        "TwilioStreamUrl": url | {"examples": [{"streamingUrl": "wss://media.example/twilio/TOKEN"}]},
        "TwilioForm": form,
        "TwilioStateRequest": wanted,
        "TwilioTransferState": state | {"examples": [example]},
    }
