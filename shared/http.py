"""What our HTTP doors have in common: limits before anything else, one error envelope, no framework.

`function_app.py` turns Azure's request into a `Request` and a `Reply` into Azure's response; everything between is plain.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import msgspec

from shared.errors import (
    InvalidInput,
    MethodNotAllowed,
    PatchcordError,
    SignatureRejected,
    Unauthenticated,
)
from shared.telemetry import metrics

MAX_HEADERS, MAX_HEADER_BYTES = 100, 32 * 1024
"""Headers of a request, and their bytes together."""

RETRY_AFTER_S = 2

logger = logging.getLogger(__name__)


class TooLarge(InvalidInput):
    """The body is larger than this door takes."""

    status = 413
    code = "413-01"


class HeadersTooLarge(InvalidInput):
    """Too many headers, or too long ones."""

    status = 431
    code = "431-01"


class UnsupportedMediaType(InvalidInput):
    """The body is no JSON by its own account."""

    status = 415
    code = "415-01"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: header names in small letters; `request_id` names it in logs and answers, `query` is as it was sent."""

    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case, or None."""
        return self.headers.get(name.lower())


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def request(
    request_id: str,
    headers: Mapping[str, str],
    body: bytes,
    params: Mapping[str, str] | None = None,
    query: str = "",
) -> Request:
    """A `Request` with header names in small letters; of two names that differ in case only, both values are kept."""
    lower: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        lower[key] = f"{lower[key]}, {value}" if key in lower else value
    return Request(request_id, lower, body, params or {}, query)


def blank_params(url: str) -> dict[str, str]:
    """The query's parameters without a value: the Functions host leaves these out, but `?limit=` is a mistake to be told."""
    found = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return {name: value for name, value in found if not value}


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """`value` as JSON."""
    kind = {"content-type": "application/json", "cache-control": "no-store"}
    return Reply(status, msgspec.json.encode(value), kind | dict(headers or {}))


def degraded() -> Reply:
    """What the health door says when anything is wrong, and no word more."""
    return json_reply({"status": "degraded"}, 503)


def error_reply(error: PatchcordError, request_id: str) -> Reply:
    """The envelope; `Retry-After` when waiting may help."""
    body = {"error": {"requestId": request_id, "code": error.code, "message": error.message}}
    headers = {"retry-after": str(RETRY_AFTER_S)} if error.retryable else {}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allowed
    return json_reply(body, error.status, headers)


def require_json(asked: Request) -> None:
    """See that the request says that its body is JSON.

    Raises:
        UnsupportedMediaType: it says something else, or nothing.
    """
    if (asked.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("content-type", "application/json")


def check_limits(asked: Request, max_body: int) -> None:
    """Refuse what is too large before anybody looks into it.

    Raises:
        HeadersTooLarge: more than 100 headers or 32 KiB of them.
        TooLarge: the body has more than `max_body` bytes.
    """
    size = sum(len(name) + len(value) for name, value in asked.headers.items())
    if len(asked.headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise HeadersTooLarge("headers", f"at most {MAX_HEADERS} with {MAX_HEADER_BYTES} bytes")
    if len(asked.body) > max_body:
        raise TooLarge("body", f"at most {max_body} bytes")


async def answer(asked: Request, max_body: int, handle: Callable[[Request], Awaitable[Reply]]) -> Reply:
    """Check the limits, run `handle`, and turn every error into the envelope."""
    try:
        check_limits(asked, max_body)
        return await handle(asked)
    except PatchcordError as error:
        if isinstance(error, Unauthenticated | SignatureRejected):
            metrics.DOOR_REFUSALS.add(reason=error.reason)
        level = logging.ERROR if error.status >= 500 else logging.INFO
        logger.log(level, "request %s: %s %s", asked.request_id, error.status, error.code)
        return error_reply(error, asked.request_id)
    except Exception:  # the last resort of a door: whatever a mistake of ours says stays in the log
        logger.exception("request %s failed", asked.request_id)
        return error_reply(PatchcordError("internal error"), asked.request_id)
