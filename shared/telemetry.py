"""Logging for both processes: one line a record, and nothing secret in it.

`redact` takes out whatever looks like a token, a connection string's key, an `incomingCallContext`, an API secret or a
card number. The filter stands on the root logger's handlers, so third-party records pass through it too.
"""

import logging
import re
import sys
from collections.abc import Iterable

REPLACEMENTS: Iterable[tuple[re.Pattern[str], str]] = (
    # JSON Web Tokens, signed or not: ours in a path, ACS's in a header, incomingCallContext (`alg: none`).
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*)?"), "[token]"),
    (
        re.compile(r"(?i)\b(accesskey|accountkey|sharedaccesssignature|sharedaccesskey)=[^;\s\"']+"),
        r"\1=[secret]",
    ),
    (re.compile(r"(?i)([?&](?:code|sig|token|key)=)[^&\s\"']+"), r"\1[secret]"),
    (
        re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:bearer|hmac-sha256)?\s*[^\s,;\"'}]+"),
        r"\1[secret]",
    ),
    (
        re.compile(
            r"(?i)([\"']?(?:incomingcallcontext|incoming_call_context|api[-_]?secret|x-functions-key|access_key|"
            r"client_secret|password)[\"']?\s*[:=]\s*[\"']?)[^\s,;\"'}]+"
        ),
        r"\1[secret]",
    ),
    (
        re.compile(r"\bpcs_[\w-]{16,}"),
        "[secret]",
    ),  # tenants' API secrets carry this prefix (security/tenants.py)
    (re.compile(r"(?<![\w.])(?:\d[ -]?){13,19}(?![\w.])"), "[number]"),  # long enough to be a payment card
)


def redact(text: str) -> str:
    """`text` without secrets. Safe to apply twice."""
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Rewrites a record's message, arguments and exception text in place."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact and let pass."""
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


def mask_number(number: str) -> str:
    """A phone number or raw id fit for a log: `+1425…00`; what is too short to mask is hidden altogether."""
    return f"{number[:5]}…{number[-2:]}" if len(number) >= 9 else "…"


def configure_logging(level: str = "INFO") -> None:
    """Log to standard error, redacted; keep libraries that would print headers or bodies at INFO or above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    quiet_libraries()


def protect_logging() -> None:
    """Put the filter on the handlers that are already there (the Functions worker brings its own)."""
    root = logging.getLogger()
    for handler in root.handlers:
        if not any(isinstance(item, RedactingFilter) for item in handler.filters):
            handler.addFilter(RedactingFilter())
    quiet_libraries()


def quiet_libraries() -> None:
    """`websockets` at DEBUG prints the request line with its token, azure-core at INFO every request's address."""
    logging.getLogger("websockets").setLevel(logging.INFO)
    logging.getLogger("azure").setLevel(logging.WARNING)
