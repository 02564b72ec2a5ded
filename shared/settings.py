"""Settings: read once at start from environment variables, typed, checked, and named when wrong.

`local.settings.json.example` explains every variable for people; `tests/shared/test_settings.py` checks that the two lists agree.
Public addresses come from here and never from a request header.
"""

import base64
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from shared.errors import ConfigurationError
from shared.settings_reader import Reader
from shared.telemetry.setup import TelemetrySettings

E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class AcsAccess:
    """How to reach the ACS resource.

    Attributes:
        endpoint: `https://NAME.communication.azure.com`, or `http://127.0.0.1:PORT` for the emulator; no trailing slash.
        access_key: base64 key, or "" to use the managed identity.
    """

    endpoint: str
    access_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AcsJwt:
    """How ACS's own signatures on callbacks and WebSockets are checked (acs.md 4.5).

    Attributes:
        required: `ACS_JWT=require` (the default); `off` only for a real ACS resource whose id is not known yet.
        issuer: the `iss` claim.
        audience: the ACS resource's immutable id.
        jwks_url: where the public keys are.
    """

    required: bool
    issuer: str
    audience: str
    jwks_url: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What both processes need.

    Attributes:
        events_topic: endpoint of the Event Grid topic for outcomes, or "" to publish none.
        max_concurrent_calls: of one tenant, unless patchcord.yaml says otherwise.
        telemetry: where it goes, and how logs look.
    """

    environment: str
    config: Path
    store: str = field(repr=False)
    managed_identity: str
    acs: AcsAccess
    acs_jwt: AcsJwt
    log_level: str
    events_topic: str
    max_concurrent_calls: int
    telemetry: TelemetrySettings


@dataclass(frozen=True, slots=True)
class FunctionAppSettings(Settings):
    """What the function app needs besides.

    Attributes:
        signing_keys: where the private key document is: `file:PATH` or a Key Vault secret's address.
        verification_keys: where the public one is written for the media hosts; the same forms.
        callback_base: public base address of the function app, no trailing slash.
        media_base: public base address of the media host, `wss://…`, no trailing slash.
        api_id_header: name of the header with a tenant's API id.
        api_secret_header: name of the header with its secret.
        headers_on_validation: whether Event Grid's validation event must carry the credentials too.
        incoming_call_max_age_s: older IncomingCall events are not answered: nobody is ringing any more.
        phone_number: default caller id of outbound calls, or "".
        events_key: a reference to the topic's key, or "" for the managed identity.
        compatible_api: whether the paths and header names of existing clients are served.
    """

    signing_keys: str
    verification_keys: str
    callback_base: str
    media_base: str
    api_id_header: str
    api_secret_header: str
    headers_on_validation: bool
    incoming_call_max_age_s: int
    phone_number: str
    events_key: str
    compatible_api: bool


@dataclass(frozen=True, slots=True)
class MediaHostSettings(Settings):
    """What the media host needs besides.

    Attributes:
        verification_keys: where the public key document is: `file:PATH` or a Key Vault secret's address.
        media_base: as the function app's, or "": Twilio signs this address. Needed for calls on the Twilio line only.
        host_id: this process's name in heartbeats and records.
        listen_host: address to bind.
        listen_port: port to bind; 0 takes a free one.
        capacity: calls at once; one more is answered 503.
        drain_s: how long calls may go on after SIGTERM (s).
        path_delay_ms: from our socket to the caller's ear; ACS tells nobody (ms).
        max_call_s: a call is ended after this long (s); below the callback token's 3 h.
        recordings: folder for recordings, or None for no recording at all.
    """

    verification_keys: str
    media_base: str
    host_id: str
    listen_host: str
    listen_port: int
    capacity: int
    drain_s: float
    max_call_s: float
    path_delay_ms: float
    recordings: Path | None


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, no port) is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _split_address(text: str) -> SplitResult | None:
    """The parts of an address with a host and nothing that could be a secret (user, query, fragment), or None."""
    try:
        parts = urlsplit(text)
        port = parts.port  # checked only when it is read
    except ValueError:
        return None
    plain = port != 0 and not (parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", text))
    return parts if parts.hostname and plain else None


def is_service(address: str) -> bool:
    """Whether `address` is a service's: https, or http on loopback, with neither path nor anything that could be a secret."""
    parts = _split_address(address)
    return parts is not None and not parts.path and _is_protected(parts)


def _is_protected(parts: SplitResult) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _base_address(reader: Reader, name: str, secure: str, insecure: str, *, required: bool = True) -> str:
    """A public base address: `secure` scheme, or `insecure` on loopback or with ALLOW_INSECURE_LOCAL; "" if it may be missing."""
    expected = f"an address such as {secure}://host.example (plain {insecure}:// only on loopback)"
    insecure_allowed = reader.flag("ALLOW_INSECURE_LOCAL", False)
    value = reader.text(name, None if required else "", expected=expected).rstrip("/")
    if not value and not required:
        return ""
    parts = _split_address(value)
    if parts is None:
        raise ConfigurationError(name, expected)  # not shown: what is odd about it may be a password
    if parts.scheme != secure and not (
        parts.scheme == insecure and (is_loopback(parts.hostname or "") or insecure_allowed)
    ):
        raise ConfigurationError(name, expected, value)
    return value


def parse_connection_string(text: str, *, name: str = "AZURE_ACS_CONN_KEY") -> AcsAccess:
    """`endpoint=https://…;accesskey=…` in any order, with or without a trailing slash; plain http only on loopback.

    Raises:
        ConfigurationError: a part is missing or wrong. The message never holds the key.
    """
    expected = "endpoint=https://NAME.communication.azure.com;accesskey=KEY (http only on loopback)"
    parts = {}
    for piece in filter(None, (piece.strip() for piece in text.split(";"))):
        key, _, value = piece.partition("=")
        parts[key.strip().lower()] = value.strip()
    address = _split_address(parts.get("endpoint", ""))
    if address is None or address.path not in ("", "/") or not _is_base64(parts.get("accesskey", "")):
        raise ConfigurationError(name, expected)
    if not _is_protected(address):
        raise ConfigurationError(name, expected)
    return AcsAccess(f"{address.scheme}://{address.netloc}", parts["accesskey"])


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _acs_access(reader: Reader) -> AcsAccess:
    connection = reader.text("AZURE_ACS_CONN_KEY", "")
    if connection:
        return parse_connection_string(connection)
    expected = "the resource's https address (or set AZURE_ACS_CONN_KEY)"
    endpoint = reader.text("ACS_ENDPOINT", expected=expected).rstrip("/")
    parts = _split_address(endpoint)
    if parts is None or parts.scheme != "https" or parts.path:
        raise ConfigurationError(
            "ACS_ENDPOINT", expected
        )  # not shown: it may be a connection string with its key
    return AcsAccess(endpoint)


def _acs_jwt(reader: Reader) -> AcsJwt:
    issuer = "https://acscallautomation.communication.azure.com"
    required = reader.choice("ACS_JWT", "require", ("require", "off")) == "require"
    audience = reader.text(
        "ACS_RESOURCE_ID", None if required else "", expected="the ACS resource's immutable id (a GUID)"
    )
    return AcsJwt(
        required,
        reader.text("ACS_JWT_ISSUER", issuer),
        audience,
        _url(reader, "ACS_JWKS_URL", f"{issuer}/calling/keys"),
    )


def _url(reader: Reader, name: str, default: str) -> str:
    value = reader.text(name, default)
    if value == default:
        return value
    parts = _split_address(value)
    if parts and _is_protected(parts):
        return value
    raise ConfigurationError(name, "an https address (http only on loopback)")


def _keys(reader: Reader, name: str) -> str:
    expected = "file:PATH, or a Key Vault secret such as https://NAME.vault.azure.net/secrets/SECRET"
    value = reader.text(name, expected=expected)
    if not re.fullmatch(r"file:.+|https://[^/@\s]+/secrets/[0-9A-Za-z-]{1,127}", value):
        raise ConfigurationError(name, expected)  # not shown: it may be the keys themselves
    return value


def _reference(reader: Reader, name: str) -> str:
    from shared.config.checks import SECRET, SECRET_EXPECTED  # it needs E164 from here

    value = reader.text(name, "")
    if value and not SECRET.fullmatch(value):
        raise ConfigurationError(name, SECRET_EXPECTED)  # not shown: it may be the secret itself
    return value


def _store(reader: Reader) -> str:
    expected = "sqlite:PATH, https://ACCOUNT.table.core.windows.net, or a storage connection string"
    value = reader.text("PATCHCORD_STORE", expected=expected)
    known = re.fullmatch(r"sqlite:.+|https://[^/?@\s]+/?|UseDevelopmentStorage=true", value)
    if known or "AccountName=" in value or "TableEndpoint=" in value:
        return value
    raise ConfigurationError("PATCHCORD_STORE", expected)


def _common(reader: Reader) -> dict[str, object]:
    return {
        "environment": reader.matching(
            "PATCHCORD_ENVIRONMENT", "local", r"[a-z][a-z0-9-]{0,31}", "a name such as local or production"
        ),
        "config": Path(reader.text("PATCHCORD_CONFIG", "patchcord.yaml")),
        "store": _store(reader),
        "managed_identity": reader.text("AZURE_CLIENT_ID", ""),
        "acs": _acs_access(reader),
        "acs_jwt": _acs_jwt(reader),
        "log_level": reader.choice(
            "PATCHCORD_LOG_LEVEL", "info", ("debug", "info", "warning", "error")
        ).upper(),
        "events_topic": _url(reader, "PATCHCORD_EVENTS_TOPIC", ""),
        "max_concurrent_calls": reader.whole("MAX_CONCURRENT_CALLS", 100, 1, 100_000),
        "telemetry": _telemetry(reader),
    }


def _telemetry(reader: Reader) -> TelemetrySettings:
    endpoint = reader.text("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
    if endpoint and ((parts := _split_address(endpoint)) is None or parts.scheme not in ("http", "https")):
        # not shown: what is odd about it may be a password
        raise ConfigurationError(
            "OTEL_EXPORTER_OTLP_ENDPOINT", "an http or https address, without a secret in it"
        )
    insights = reader.text("APPLICATIONINSIGHTS_CONNECTION_STRING", "")
    if insights and not re.search(r"(?i)(^|;)\s*InstrumentationKey=[0-9a-f-]{36}(;|$)", insights):
        raise ConfigurationError(
            "APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=…;IngestionEndpoint=…"
        )
    return TelemetrySettings(
        reader.choice("PATCHCORD_LOG_FORMAT", "text", ("text", "json")), endpoint, insights
    )


def _function_app(reader: Reader) -> FunctionAppSettings:
    header = r"[A-Za-z0-9-]{1,64}"
    number = reader.text("ACS_PHONE_NUMBER", "")
    if number and not E164.fullmatch(number):
        raise ConfigurationError("ACS_PHONE_NUMBER", "an E.164 number such as +18005550000", number)
    return FunctionAppSettings(
        **_common(reader),  # type: ignore[arg-type]  # one dict, checked field by field above
        signing_keys=_keys(reader, "PATCHCORD_SIGNING_KEYS"),
        verification_keys=_keys(reader, "PATCHCORD_VERIFICATION_KEYS"),
        callback_base=_base_address(reader, "CALLBACK_EVENTS_URI", "https", "http"),
        media_base=_base_address(reader, "CALLBACK_URI_HOST", "wss", "ws"),
        api_id_header=reader.matching("PATCHCORD_API_ID_HEADER", "api-id", header, "a header name"),
        api_secret_header=reader.matching(
            "PATCHCORD_API_SECRET_HEADER", "api-secret", header, "a header name"
        ),
        headers_on_validation=reader.flag("REQUIRE_HEADERS_ON_VALIDATION", True),
        incoming_call_max_age_s=reader.whole("INCOMING_CALL_MAX_AGE_S", 60, 5, 3600),
        phone_number=number,
        events_key=_reference(reader, "PATCHCORD_EVENTS_KEY"),
        compatible_api=reader.flag("PATCHCORD_COMPATIBLE_API", True),
    )


def _media_host(reader: Reader) -> MediaHostSettings:
    recordings = reader.text("MEDIA_RECORDINGS", "off")
    return MediaHostSettings(
        **_common(reader),  # type: ignore[arg-type]  # one dict, checked field by field above
        verification_keys=_keys(reader, "PATCHCORD_VERIFICATION_KEYS"),
        media_base=_base_address(reader, "CALLBACK_URI_HOST", "wss", "ws", required=False),
        host_id=reader.matching(
            "MEDIA_HOST_ID", f"{socket.gethostname()}-{os.getpid()}"[-64:], r"[A-Za-z0-9._-]{1,64}", "a name"
        ),
        listen_host=reader.text("MEDIA_LISTEN_HOST", "0.0.0.0"),  # noqa: S104  # a container listens on all
        listen_port=reader.whole("MEDIA_LISTEN_PORT", 8080, 0, 65535),
        capacity=reader.whole("MEDIA_CAPACITY", 100, 1, 10_000),
        drain_s=reader.whole("MEDIA_DRAIN_S", 600, 0, 36_000),
        max_call_s=reader.whole("MAX_CALL_S", 10_500, 10, 10_740),
        path_delay_ms=reader.whole("MEDIA_PATH_DELAY_MS", 150, 0, 2000),
        recordings=None if recordings == "off" else Path(recordings),
    )


def function_app_settings(env: Mapping[str, str] = os.environ) -> FunctionAppSettings:
    """Read the function app's settings.

    Raises:
        ConfigurationError: names the first variable that is missing or wrong, and what was expected.
    """
    return _function_app(Reader(env))


def media_host_settings(env: Mapping[str, str] = os.environ) -> MediaHostSettings:
    """Read the media host's settings.

    Raises:
        ConfigurationError: names the first variable that is missing or wrong, and what was expected.
    """
    return _media_host(Reader(env))


def known_variables() -> tuple[set[str], set[str]]:
    """The names of all variables that the function app reads, and those that the media host reads.

    Found by reading a complete set of settings; documents are checked against it.
    """
    complete = {
        "PATCHCORD_STORE": "sqlite:x",
        "PATCHCORD_SIGNING_KEYS": "file:x",
        "PATCHCORD_VERIFICATION_KEYS": "file:x",
        "CALLBACK_EVENTS_URI": "https://functions.example",
        "CALLBACK_URI_HOST": "wss://media.example",
        "ACS_ENDPOINT": "https://acs.example",
        "ACS_RESOURCE_ID": "id",
    }
    function_app, media_host = Reader(complete), Reader(complete)
    _function_app(function_app)
    _media_host(media_host)
    return function_app.names, media_host.names
