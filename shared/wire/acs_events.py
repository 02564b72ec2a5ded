"""Event Grid's deliveries and ACS's call-state callbacks: bytes in, typed values out (acs.md sections 4 and 5).

Event Grid sends its own schema or CloudEvents 1.0, alone or in an array; callbacks are an array of CloudEvents. One bad
element never costs the others: it comes out as `Malformed` in its place.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.errors import InvalidInput
from shared.wire.identifiers import Identifier, parse_identifier
from shared.wire.json_input import as_object, decode, text, whole_number

GRID_LIMIT = 1024 * 1024
"""Bytes of one Event Grid delivery: Event Grid's own limit for a batch (acs.md 5.3)."""
CALLBACK_LIMIT = 256 * 1024
"""Bytes of one callback delivery (reliability.md T7)."""

INCOMING_CALL = "Microsoft.Communication.IncomingCall"
SUBSCRIPTION_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_CALLBACK_PREFIX = "Microsoft.Communication."

_MAX_ID = 256  # characters; event ids and connection ids become keys and log fields
_MAX_CONTEXT = 64 * 1024  # characters; about 8,000 in live recordings (acs.md 5.1)
_MAX_NAME = 256
# Custom calling context (acs.md section 6): at most 1000 headers, keys of 64 characters, values of 1024.
_MAX_HEADERS = 1000
_MAX_HEADER_KEY = 64
_MAX_HEADER_VALUE = 1024

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Malformed:
    """An element that cannot be read.

    Attributes:
        index: its place in the delivery, from 0.
        field: what is wrong with it (`eventTime`).
        expected: what would be right, as a phrase.
    """

    index: int
    field: str
    expected: str


@dataclass(frozen=True, slots=True)
class GridEvent:
    """One event from Event Grid, whichever schema it came in.

    Attributes:
        id: unique for its source.
        type: `Microsoft.Communication.IncomingCall` and so on.
        subject: may be ""; do not route by it (acs.md 5.1).
        time: when it happened, UTC.
        data: the payload; hidden from `repr` because it may hold an `incomingCallContext`.
        cloud_event: it came as a CloudEvent.
    """

    id: str
    type: str
    subject: str
    time: datetime
    data: dict[str, object] = field(repr=False)
    cloud_event: bool = False


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody dials one of our addresses.

    Attributes:
        event_id: id of the Event Grid event.
        time: when it was dialled, UTC.
        correlation_id: ACS's id of the call; the same in every copy of the event.
        server_call_id: base64 with `/`, `+` and `=`; "" if the event has none.
        caller: who dials; may be anonymous.
        callee: what was dialled.
        display_name: the caller's name, "" if none.
        context: what `answer_call` wants: opaque, secret, one use.
        voip_headers: custom context of a transfer from another ACS user, as sent; data, never instructions.
        sip_headers: the same from a telephone exchange; UUI arrives as `userToUser`.
    """

    event_id: str
    time: datetime
    correlation_id: str
    server_call_id: str
    caller: Identifier
    callee: Identifier
    display_name: str = field(repr=False)
    context: str = field(repr=False)
    voip_headers: dict[str, str] = field(repr=False)
    sip_headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """A change of a call's state, as ACS reports it to our callback address (acs.md 4).

    Attributes:
        id: the CloudEvent's id; handle each once.
        type: without `Microsoft.Communication.` (`CallConnected`).
        time: ACS's time stamp, UTC; a hint, not an order (acs.md 4.4).
        call_connection_id: "" if the event has none.
        server_call_id: "" if the event has none.
        correlation_id: "" if the event has none.
        operation_context: what we gave with the operation, or "".
        code: result code (an HTTP status), 0 if the event has none.
        sub_code: 0 if the event has none; acs.md 4.3 lists the others.
        message: ACS's words for the result.
        data: the whole payload; hidden from `repr` because it may hold pressed keys.
    """

    id: str
    type: str
    time: datetime
    call_connection_id: str
    server_call_id: str
    correlation_id: str
    operation_context: str
    code: int
    sub_code: int
    message: str
    data: dict[str, object] = field(repr=False)


def parse_grid_body(body: bytes) -> list[GridEvent | Malformed]:
    """All events of one Event Grid delivery, in order.

    Raises:
        InvalidInput: the body as a whole is no JSON, neither array nor object, or larger than `GRID_LIMIT`.
    """
    return _each(decode(body, field="body", limit=GRID_LIMIT), grid_event_from_dict)


def parse_callbacks(body: bytes) -> list[Callback | Malformed]:
    """All call-state events of one callback delivery, in order.

    Raises:
        InvalidInput: the body as a whole is no JSON, neither array nor object, or larger than `CALLBACK_LIMIT`.
    """
    return _each(decode(body, field="body", limit=CALLBACK_LIMIT), _callback)


def _each[T](body: object, parse: Callable[[Mapping[str, object]], T]) -> list[T | Malformed]:
    if isinstance(body, dict):
        body = [body]
    if not isinstance(body, list):
        raise InvalidInput("body", "an array of events, or one event")
    result: list[T | Malformed] = []
    for index, element in enumerate(body):
        try:
            result.append(parse(as_object(element, field="event")))
        except InvalidInput as wrong:
            result.append(Malformed(index, wrong.field, str(wrong).partition(": expected ")[2]))
    return result


def grid_event_from_dict(event: Mapping[str, object]) -> GridEvent:
    """One event in either schema, already parsed (the Functions trigger hands it over so).

    Raises:
        InvalidInput: names the field that is wrong.
    """
    cloud_event = "specversion" in event
    if cloud_event and event["specversion"] != "1.0":
        raise InvalidInput("specversion", "1.0")
    type_key, time_key = ("type", "time") if cloud_event else ("eventType", "eventTime")
    return GridEvent(
        text(event.get("id"), field="id", limit=_MAX_ID),
        text(event.get(type_key), field=type_key, limit=_MAX_ID),
        text(event.get("subject"), field="subject", limit=4096, default=""),
        _time(event.get(time_key), field=time_key),
        _data(event.get("data")),
        cloud_event,
    )


def _data(value: object) -> dict[str, object]:
    """The payload; some publishers encode it a second time, as a string."""
    if isinstance(value, str):
        value = decode(value.encode("utf-8", "replace"), field="data", limit=GRID_LIMIT)
    return as_object(value, field="data")


def _time(value: object, *, field: str) -> datetime:
    """RFC 3339 with up to nine digits of fraction (ACS writes seven); without an offset it is UTC."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            time = datetime.fromisoformat(value.upper())
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError):  # February 30th; year 1 with an offset
            pass
    raise InvalidInput(field, "a time such as 2026-11-20T23:50:36.241Z")


def validation_code(event: GridEvent) -> str | None:
    """The code to answer a subscription's validation with; None for every other event (acs.md 5.4).

    Raises:
        InvalidInput: it is a validation event without a code.
    """
    if event.type != SUBSCRIPTION_VALIDATION:
        return None
    return text(event.data.get("validationCode"), field="data.validationCode", limit=_MAX_ID)


def parse_incoming_call(event: GridEvent) -> IncomingCall:
    """The call that an `IncomingCall` event announces.

    Raises:
        InvalidInput: names the field that is wrong; `data.incomingCallContext` if there is none to answer with.
    """
    data = event.data
    custom = data.get("customContext")
    headers = {} if custom is None else as_object(custom, field="data.customContext")
    return IncomingCall(
        event.id,
        event.time,
        text(data.get("correlationId"), field="data.correlationId", limit=_MAX_ID),
        text(data.get("serverCallId"), field="data.serverCallId", limit=4096, default=""),
        parse_identifier(data.get("from"), field="data.from"),
        parse_identifier(data.get("to"), field="data.to"),
        _printable(data.get("callerDisplayName"), limit=_MAX_NAME),
        text(data.get("incomingCallContext"), field="data.incomingCallContext", limit=_MAX_CONTEXT),
        _headers(headers.get("voipHeaders"), field="data.customContext.voipHeaders"),
        _headers(headers.get("sipHeaders"), field="data.customContext.sipHeaders"),
    )


def _headers(value: object, *, field: str) -> dict[str, str]:
    """Custom calling context, exactly as it was sent; its values are always text (acs.md section 6)."""
    if value is None:
        return {}
    headers = as_object(value, field=field)
    if len(headers) > _MAX_HEADERS:
        raise InvalidInput(field, f"at most {_MAX_HEADERS} headers")
    result = {}
    for key, item in headers.items():
        if not isinstance(item, str) or len(item) > _MAX_HEADER_VALUE or not _is_unicode(item):
            raise InvalidInput(field, f"values of text, at most {_MAX_HEADER_VALUE} characters")
        result[text(key, field=field, limit=_MAX_HEADER_KEY)] = item
    return result


def _is_unicode(value: str) -> bool:
    """Whether it can be written as UTF-8: no half surrogates (the Functions trigger parses JSON without us)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(value: object, *, limit: int) -> str:
    """Words for people, cut to what can be shown; "" if it is no text."""
    return "".join(filter(str.isprintable, value))[:limit] if isinstance(value, str) else ""


def _callback(element: Mapping[str, object]) -> Callback:
    event = grid_event_from_dict({"specversion": "", **element})  # callbacks come as CloudEvents only
    if not event.type.startswith(_CALLBACK_PREFIX) or event.type == _CALLBACK_PREFIX:
        raise InvalidInput("type", f"a type that starts with {_CALLBACK_PREFIX}")
    data = event.data

    def word(key: str) -> str:
        return text(data.get(key), field=f"data.{key}", limit=4096, default="")

    where = "data.resultInformation"
    result = (
        {} if data.get("resultInformation") is None else as_object(data["resultInformation"], field=where)
    )
    return Callback(
        event.id,
        event.type.removeprefix(_CALLBACK_PREFIX),
        event.time,
        word("callConnectionId"),
        word("serverCallId"),
        word("correlationId"),
        word("operationContext"),
        whole_number(result.get("code"), field=f"{where}.code", default=0),
        whole_number(result.get("subCode"), field=f"{where}.subCode", default=0),
        _printable(result.get("message"), limit=1024),
        data,
    )
