"""The trace as text for people: who said what to whom, when, and what came of it."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

type Json = dict[str, Any]

TO_APP = "acs → app"
FROM_APP = "app → acs"
FROM_TWILIO = "twi → app"
TO_TWILIO = "app → twi"
TO_NOBODY = "twi      "
PREFIX = "Microsoft.Communication."
CALLS = "/calling/callConnections"


def format_trace(lines: Iterable[str], *, bodies: bool = False) -> str:
    """JSON lines of `Trace` as a table, one row for each; times are seconds since the first line.

    Args:
        lines: of a trace file; a line that is none is named, not skipped.
        bodies: whether requests and answers follow their row, as indented JSON.
    """
    rows: list[str] = []
    start: datetime | None = None
    call: object = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            at = datetime.fromisoformat(record["at"])
            arrow, text = _row(record)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            rows.append(f"line {number} is no line of a trace")
            continue
        start = start or at
        if record.get("call") != call:
            call = record.get("call")
            rows.append(f"call {call}" if call else "no call")
        rows.append(f"{(at - start).total_seconds():9.3f}  {arrow}  {text}".rstrip())
        if bodies:
            rows.extend(_bodies(record))
    return "\n".join(rows) + "\n" if rows else "an empty trace\n"


def _row(record: Json) -> tuple[str, str]:
    what = record["what"]
    if what == "media":
        return _media(record)
    if what == "notice":
        return TO_NOBODY, f"{what:<8}  {record['code']} {record['text']}: {record['detail']}"
    if what == "twilio":
        asked = f"{record['purpose']}: {record['method']} {record['where']}"
        return FROM_TWILIO, f"{what:<8}  {asked:<44}  {record['status']}  {record['ms']:.0f} ms"
    name = {"rest": _operation, "callback": _callback, "event": _event}.get(what, _fetch)(record)
    ending = record.get("status", record.get("error"))
    code = _error_code(record)
    text = f"{what:<8}  {name:<44}  {ending}{f'/{code}' if code else ''}  {record['ms']:.0f} ms"
    return (FROM_APP if what == "rest" else TO_APP), text + _context(record)


def _operation(record: Json) -> str:
    path = str(record["where"]).partition("?")[0]
    if path.startswith(CALLS):
        rest = path[len(CALLS) :].strip("/")
        _, colon, action = rest.rpartition(":")
        if colon and action.isalpha():
            return f"{record['method']} {action}"
        _, _, part = rest.partition("/")
        return f"{record['method']} call{f' {part}' if part else ''}"
    return f"{record['method']} {path}"


def _callback(record: Json) -> str:
    events = record.get("request")
    if not isinstance(events, list):
        return f"{record['method']} {record['where']}"
    return ", ".join(_event_name(event) for event in events)


def _event_name(event: Json) -> str:
    name = str(event.get("type") or event.get("eventType") or "?").removeprefix(PREFIX)
    result = event.get("data", {}).get("resultInformation") or {}
    code, sub = result.get("code", 200), result.get("subCode", 0)
    return name if (code, sub) == (200, 0) else f"{name} ({code}/{sub})"


def _event(record: Json) -> str:
    body = record.get("request")
    events = body if isinstance(body, list) else [body] if isinstance(body, dict) else []
    names = ", ".join(_event_name(event) for event in events) or str(record["method"])
    headers = {name.lower(): value for name, value in record.get("headers", {}).items()}
    subscription = headers.get("aeg-subscription-name", "")
    repeat = int(headers.get("aeg-delivery-count", "0"))
    return f"{names}{f' to {subscription}' if subscription else ''}{f', again ({repeat})' if repeat else ''}"


def _fetch(record: Json) -> str:
    return f"{record['method']} {record['where']}"


def _error_code(record: Json) -> str:
    answer = record.get("response")
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _context(record: Json) -> str:
    request = record.get("request")
    context = request.get("operationContext") if isinstance(request, dict) else None
    return f"  [{context}]" if context else ""


def _media(record: Json) -> tuple[str, str]:
    at_twilio = str(record.get("call")).startswith("CA")  # a CallSid; ACS's ids are GUIDs, in small letters
    arrows = (TO_TWILIO, FROM_TWILIO) if at_twilio else (FROM_APP, TO_APP)
    arrow = arrows[record.get("dir") != "from app"]
    name, socket = record["is"], f"media {record['socket']}"
    if name == "opened":
        text = f"opened {record['where']}  {record['ms']:.0f} ms"
    elif name == "refused":
        text = f"refused {record['where']}: {record['error']}"
    elif name == "closed":
        total = record["frames"]
        text = (
            f"closed with {record['code']} after {record['ms'] / 1000:.1f} s: "
            f"{total['to app']} frames to the app, {total['from app']} from it, {record['dropped']} dropped"
        )
    elif name == "second":
        text = f"{record['frames']} frames, {record['silent']} silent, {record['bytes']} bytes"
    else:
        text = f"{record['kind']} ({record['bytes']} bytes{', silent' if record.get('silent') else ''})"
    return arrow, f"{socket:<8}  {text}"


def _bodies(record: Json) -> Iterable[str]:
    for name in ("request", "response", "message"):
        if name in record:
            text = json.dumps(record[name], ensure_ascii=False, indent=2)
            yield f"           {name}:"
            yield from (f"             {line}" for line in text.splitlines())
