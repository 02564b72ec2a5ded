"""What of the traffic may be written down: names and shapes stay, secrets, pressed keys and spoken words do not.

`shared.telemetry.redact` knows how secrets look; here their places are known, too: fields, headers, and addresses of the app,
whose paths and queries may be secrets as a whole.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.telemetry import redact

HIDDEN = "[hidden]"
MAX_TEXT = 2000
MAX_ITEMS = 100
MAX_DEPTH = 20
MAX_SEGMENT = 16
"""A longer part of an app's path may be a secret; GUIDs are ids."""

_SECRETS = frozenset(
    {"token", "accesstoken", "access_token", "client_secret", "accesskey", "password", "apikey", "api_key"}
)
_KEYS = frozenset({"tone", "tones"})
_WORDS = frozenset({"speech", "recognizedphrase"})
_OPEN_HEADERS = frozenset(
    {
        "accept",
        "content-length",
        "content-type",
        "origin",
        "range",
        "repeatability-first-sent",
        "repeatability-request-id",
        "retry-after",
        "user-agent",
        "x-ms-call-connection-id",
        "x-ms-call-correlation-id",
        "x-ms-client-request-id",
        "x-ms-content-sha256",
        "x-ms-date",
        "x-ms-host",
    }
)
_OPEN_PREFIXES = ("aeg-", "webhook-")
_NOISE = frozenset({"accept-encoding", "connection", "host", "x-ms-return-client-request-id"})
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OPEN_QUERY = frozenset({"api-version"})


def fingerprint(text: str) -> str:
    """Eight characters that tell two long secrets apart and give neither away."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without secrets: what is not known to be harmless is hidden, since subscriptions carry secret ones."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in _NOISE:
            continue
        if lower == "authorization":
            kept[name] = f"{value.partition(' ')[0]} {HIDDEN}"
        elif lower in _OPEN_HEADERS or lower.startswith(_OPEN_PREFIXES):
            kept[name] = redact(value)
        else:
            kept[name] = HIDDEN
    return kept


def redact_url(url: str) -> str:
    """An address of the app without what may be secret: user and password, long parts of the path, values of the query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "[no address]"
    path = "/".join(
        segment if len(segment) <= MAX_SEGMENT or _GUID.fullmatch(segment) else HIDDEN
        for segment in parts.path.split("/")
    )
    query = "&".join(
        f"{name}={value if name in _OPEN_QUERY else HIDDEN}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    at = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{at}{'' if port is None else f':{port}'}" if parts.scheme else ""
    return redact(f"{origin}{path}{'?' if query else ''}{query}")


def redact_path(path: str) -> str:
    """A path of the emulator's own REST interface, readable: ids stay, known shapes of secrets do not."""
    return redact(unquote(path))


def redact_body(value: object, key: str = "", depth: int = 0) -> object:
    """A JSON value without secrets, cut where it is very long; `key` is the name under which it stands."""
    name = key.lower()
    if name in _SECRETS and value is not None and not isinstance(value, dict):
        return HIDDEN
    if name in _KEYS:
        return [HIDDEN] * len(value) if isinstance(value, list) else HIDDEN
    if isinstance(value, str):
        return _text(value, name)
    if depth > MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, dict):
        return {str(part): redact_body(item, str(part), depth + 1) for part, item in value.items()}
    if isinstance(value, list):
        kept = [redact_body(item, key, depth + 1) for item in value[:MAX_ITEMS]]
        return kept if len(value) <= MAX_ITEMS else [*kept, f"[{len(value) - MAX_ITEMS} more]"]
    return value


def _text(value: str, name: str) -> str:
    if name == "incomingcallcontext":
        return f"[{len(value)} characters, {fingerprint(value)}]"
    if name in _WORDS:
        return f"[{len(value)} characters]"
    if name.endswith(("uri", "url")) and "://" in value:
        return redact_url(value)
    if len(value) > MAX_TEXT:
        return f"{redact(value)[:MAX_TEXT]}… [{len(value)} characters]"
    return redact(value)
