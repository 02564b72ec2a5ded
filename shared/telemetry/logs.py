"""Logging for both processes: one line a record, as text or as a JSON object, and nothing secret in it.

The redacting filter stands on the root logger's handlers, so third-party records pass through it too.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime

from shared.telemetry.current import current
from shared.telemetry.redaction import redact

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_CALL = re.compile(r"\bcall (c[0-9a-f]{23})\b")
_LINE_BREAKS = str.maketrans(
    {"\r": "\\r", "\n": "\\n", "\x85": "\\x85", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


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


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message; callId and traceId where there is a call; exception.

    The call is the one that the message names (`call c…`), else the one that the task works on.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        known, named = current(), _CALL.search(message)
        call_id = named[1] if named else known.call_id
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if call_id:
            line["callId"] = call_id
        if known.trace is not None and call_id == known.call_id:
            line["traceId"] = known.trace.trace_id
        if record.exc_info and not record.exc_text:
            record.exc_text = redact(self.formatException(record.exc_info))
        if exception := "\n".join(text for text in (record.exc_text, record.stack_info) if text):
            line["exception"] = exception
        return json.dumps(line, ensure_ascii=False)


def formatter(log_format: str) -> logging.Formatter:
    """Of PATCHCORD_LOG_FORMAT: `json`, or `text`."""
    return JsonLines() if log_format == "json" else logging.Formatter(TEXT)


def configure_logging(level: str = "INFO", log_format: str = "text") -> None:
    """Log to standard error, redacted; keep libraries that would print headers or bodies at INFO or above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    protect_logging()


def write_json() -> None:
    """Have the handlers that are already there write JSON (the Functions worker brings its own)."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines())


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
    logging.getLogger("opentelemetry").setLevel(max(level, logging.WARNING))
