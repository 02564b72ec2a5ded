"""Forms that Twilio posts to our webhooks: the fields that we use, read after the signature holds.

A form's signature covers names and values without anything between them, so that `{a: "bc", d: "e"}` and `{ab: "c",
d: "e"}` are signed alike (twilio-and-transfers.md 2D). Hence: names of a narrow form only, none of ours twice, both ids of the
call required, every value of the form it has to have, and all other names ignored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from shared.errors import InvalidInput
from shared.settings import E164
from shared.wire.twilio_media import ACCOUNT_SID, CALL_SID, STREAM_SID

FORM_LIMIT = 64 * 1024
"""Bytes of a form at most; Twilio's have about one thousand."""

MAX_FIELDS = 200

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
_WORD = re.compile(r"[a-z-]{1,32}")
# Other ends of a call: a client of Twilio's SDKs, a SIP address, a short code or a number of one network.
_OTHER = re.compile(r"(?:client|sip|sips):[!-~]{1,250}|[0-9]{2,15}")
# Numbers that are words on a telephone's keys: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE. Networks send them
# in the place of a withheld number, with or without a country code.
_WITHHELD = re.compile(r"\+?1?(?:266696687|7378742833|2562533|8656696|86282452253)")


@dataclass(frozen=True, slots=True)
class CallParams:
    """What every webhook about a call says.

    Attributes:
        account_sid, call_sid: `AC…` and `CA…`.
        from_, to: E.164, `client:…`, `sip:…` or bare digits; "" when withheld, or of any other form: such people call, too.
        status: `in-progress`, `completed`, …; "" if it says none.
        direction: `inbound`, `outbound-api`, …; "" if it says none.
    """

    account_sid: str
    call_sid: str
    from_: str = field(repr=False)
    to: str = field(repr=False)
    status: str
    direction: str


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """What the status callback of a `<Stream>` says.

    Attributes:
        account_sid, call_sid: as in `CallParams`.
        stream_sid: `MZ…`; "" if there is none yet.
        event: `stream-started`, `stream-stopped` or `stream-error`, or one that is new to us.
        error: Twilio's text, one line; "" without one.
    """

    account_sid: str
    call_sid: str
    stream_sid: str
    event: str
    error: str


def form_params(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form (application/x-www-form-urlencoded), in their order, with those that are empty.

    Raises:
        InvalidInput: too long, too many, or not UTF-8.
    """
    if len(body) > FORM_LIMIT:
        raise InvalidInput("body", f"at most {FORM_LIMIT} bytes")
    pairs = [pair for pair in body.split(b"&") if pair]
    if len(pairs) > MAX_FIELDS:
        raise InvalidInput("body", f"at most {MAX_FIELDS} fields")
    result = []
    for pair in pairs:
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        try:
            result.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError:  # from None: its text quotes the field
            raise InvalidInput("body", "a form in UTF-8") from None
    return result


def account_sid(params: Sequence[tuple[str, str]]) -> str:
    """The account that a form claims to come from: whose secret has to be tried, and no more than that.

    Raises:
        InvalidInput: it is missing, doubled, or no account's id.
    """
    return _sid(_values(params), "AccountSid", ACCOUNT_SID)


def call_params(params: Sequence[tuple[str, str]]) -> CallParams:
    """What a form says about its call.

    Args:
        params: the fields, after `request_signed` has let them pass.

    Raises:
        InvalidInput: a field of ours is missing, doubled, or has another form.
    """
    values = _values(params)
    return CallParams(
        _sid(values, "AccountSid", ACCOUNT_SID),
        _sid(values, "CallSid", CALL_SID),
        _party(values, "From"),
        _party(values, "To"),
        _word(values, "CallStatus"),
        _word(values, "Direction"),
    )


def stream_event(params: Sequence[tuple[str, str]]) -> StreamEvent:
    """What a form says about a stream; `params` as for `call_params`.

    Raises:
        InvalidInput: as there.
    """
    values = _values(params)
    event = _word(values, "StreamEvent")
    if not event:
        raise InvalidInput("StreamEvent", "an event of a stream")
    return StreamEvent(
        _sid(values, "AccountSid", ACCOUNT_SID),
        _sid(values, "CallSid", CALL_SID),
        _sid(values, "StreamSid", STREAM_SID, default=""),
        event,
        "".join(char if char.isprintable() else " " for char in values.get("StreamError", ""))[:200],
    )


def _values(params: Sequence[tuple[str, str]]) -> dict[str, str]:
    result: dict[str, str] = {}
    for name, value in params:
        if not _NAME.fullmatch(name):
            raise InvalidInput("body", "fields with names of letters, digits, _, . and -")
        if name in result:
            raise InvalidInput(name, "one value")
        result[name] = value
    return result


def _sid(values: dict[str, str], name: str, form: re.Pattern[str], default: str | None = None) -> str:
    value = values.get(name, default)
    if value is not None and (value == default or form.fullmatch(value)):
        return value
    raise InvalidInput(name, f"{form.pattern[:2]} and 32 hexadecimal digits")


def _word(values: dict[str, str], name: str) -> str:
    value = values.get(name, "")
    if value and not _WORD.fullmatch(value):
        raise InvalidInput(name, "a word of small letters and -")
    return value


def _party(values: dict[str, str], name: str) -> str:
    value = values.get(name, "")
    known = E164.fullmatch(value) or _OTHER.fullmatch(value)
    return value if known and not _WITHHELD.fullmatch(value) else ""
