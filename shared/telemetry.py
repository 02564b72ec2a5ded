"""Logging for both processes: one line a record, and nothing secret in it.

`redact` takes out whatever looks like a token, a key, a password, an `incomingCallContext` or a card number. The filter stands
on the root logger's handlers, so third-party records pass through it too. It knows shapes, not meanings: pressed digits and
what a caller said have none, so they must never be handed to a logger.
"""

import logging
import re
import sys
from collections.abc import Iterable

# Between a name and its value: `name: value`, `name=value`, `"name": "value"`, `\"name\": \"value\"`, `('name', b'value')`.
_BETWEEN = r"(?:\\?[\"']\s*,|\\?[\"']?\s*[:=])\s*(?:b(?=[\"']))?\\?[\"']?"
_VALUE = r"[^\s,;\"'}&\\]+"

REPLACEMENTS: Iterable[tuple[re.Pattern[str], str]] = (
    # A private key as PEM, and the private part of a JWK.
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
        "[key]",
    ),
    (re.compile(r"\\?\"d\\?\"\s*:\s*\\?\"[\w-]{20,}\\?\""), "[key]"),
    # JSON Web Tokens, whole or cut off: ours in a path, ACS's in a header, incomingCallContext (`alg: none`).
    (re.compile(r"eyJ[\w+/-]{9,}=*(?:\.[\w-]*){0,2}"), "[token]"),
    (
        re.compile(
            rf"(?i)(\b(?:proxy-)?authorization{_BETWEEN})(?:hmac-sha256\s+[^\s\"'}}\\]+|(?:[a-z]\w{{2,20}}\s+)?{_VALUE})"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?i)\b(bearer|hmac-sha256)\s+(?=\S*[\d=])[^\s,\"'}\\]{16,}"), r"\1 [secret]"),
    (
        re.compile(
            r"(?i)(\b(?:incoming_?call_?context|access_?key|account_?key|shared_?access_?(?:signature|key)|"
            r"api[-_]?(?:secret|key)|x-functions-key|ocp-apim-subscription-key|aeg-sas-(?:key|token)|"
            rf"(?:access|refresh|id)_token|client_secret|password){_BETWEEN}){_VALUE}"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?i)([?&](?:code|sig|token|key)=)[^&\s\"'\\]+"), r"\1[secret]"),
    # Tenants' API secrets (security/tenants.py) and OpenAI's keys carry these prefixes.
    (re.compile(r"\b(?:pcs_|sk-)[\w-]{16,}"), "[secret]"),
    # Long enough for a payment card. What must stay: the tail of a GUID, a fraction, a Unix time in ms, us or ns.
    (
        re.compile(
            r"(?<![\w])(?<!\d\.)(?<![0-9a-fA-F]{4}-)(?!1\d{12}(?:\d{3}){0,2}(?![ -]?\d))"
            r"\d(?:[ -]?\d){12,18}(?![ -]?\d)(?!\w|\.\d|-\w)"
        ),
        "[number]",
    ),
)

_LINE_BREAKS = str.maketrans(
    {"\r": "\\r", "\n": "\\n", "\x85": "\\x85", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def redact(text: str) -> str:
    """`text` without secrets. Safe to apply twice."""
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Rewrites a record in place: message and arguments become one redacted line, the exception redacted text.

    The exception itself is taken off the record, because a handler that formats it anew would print it in full.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact and let pass; never raises."""
        try:
            message = record.getMessage()
        except Exception:  # wrong arguments, or an argument whose __str__ fails: log it all the same
            message = f"{record.msg} [its arguments do not fit]"
        record.msg = redact(message).translate(_LINE_BREAKS)
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def mask_number(number: str) -> str:
    """A phone number or raw id fit for a log: `+1425…00`; what is too short to mask is hidden altogether."""
    return f"{number[:5]}…{number[-2:]}" if len(number) >= 9 else "…"


def configure_logging(level: str = "INFO") -> None:
    """Log to standard error, redacted; keep libraries that would print headers or bodies at INFO or above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    protect_logging()


def protect_logging() -> None:
    """Put the filter on the handlers that are already there (the Functions worker brings its own)."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler and not any(isinstance(item, RedactingFilter) for item in handler.filters):
            handler.addFilter(RedactingFilter())
    quiet_libraries()


def quiet_libraries() -> None:
    """`websockets` at DEBUG prints the request line with its token, azure-core at INFO every request's address."""
    level = logging.getLogger().level
    logging.getLogger("websockets").setLevel(max(level, logging.INFO))
    logging.getLogger("azure").setLevel(max(level, logging.WARNING))
