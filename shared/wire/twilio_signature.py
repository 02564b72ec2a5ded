"""Whether Twilio has signed a webhook or a WebSocket upgrade (twilio-and-transfers.md 2D).

The signature is an HMAC over the exact address and, for a form, its fields; `twilio.request_validator` computes it. The
address is always the one that we have handed out, never one that the headers of a request claim. Everything else here is
what the package leaves to its user: which scheme is allowed, headers that are missing or doubled, the spellings of a port,
bodies that are no form. A signature holds neither a time nor a number: who has seen a request can send it again, so the
doors bind what they accept to one call.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from shared.errors import SignatureRejected

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
"""`key=…,algorithm=HMAC_SHA256`, with requests that are signed with a shared key of the account."""

_SHA1, _SHA256 = "HMAC_SHA1", "HMAC_SHA256"
_SIGNATURE = {_SHA1: re.compile(r"[A-Za-z0-9+/]{27}="), _SHA256: re.compile(r"[A-Za-z0-9+/]{43}=")}
_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


class _Validator(Protocol):
    """What we use of `twilio.request_validator.RequestValidator`, which has no types."""

    def compute_signature(self, uri: str, params: object, algorithm: str) -> str: ...


def request_signed(
    url: str,
    params: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    auth_token: str,
    signing_key: str = "",
    body: bytes | None = None,
) -> None:
    """Return if Twilio has signed this webhook.

    Names and values of a form are signed without anything between them: another form may have the same signature. So what is
    in it is to be read with `twilio_params` only.

    Args:
        url: the address that we have told Twilio, with the query of the request as it was sent.
        params: the fields of a form, in any order, as `twilio_params.form_params` gives them; empty without one.
        headers: of the request; names in any case.
        auth_token: of the tenant's account.
        signing_key: the account's shared key. With it, only HMAC-SHA256 holds; without it, only HMAC-SHA1.
        body: of a request that is no form (JSON). Its hash has to be in the address then (`bodySHA256`).

    Raises:
        SignatureRejected: for every reason.
    """
    form: Sequence[tuple[str, str]] = params
    if body is not None:
        hashes = [value for name, value in parse_qsl(urlsplit(url).query) if name == "bodySHA256"]
        if params or len(hashes) != 1:
            raise SignatureRejected("body")
        if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), hashes[0].lower().encode()):
            raise SignatureRejected("body")
        form = ()
    _verify(url, form, headers, auth_token, signing_key)


def upgrade_signed(
    address: str, headers: Mapping[str, str], *, auth_token: str, signing_key: str = ""
) -> None:
    """Return if Twilio has signed this upgrade to a WebSocket.

    Args:
        address: the `wss://` address that the TwiML held: Twilio signs that one, not its `https://` twin.
        headers: of the upgrade; names in any case.
        auth_token: of the tenant's account.
        signing_key: as for `request_signed`.

    Raises:
        SignatureRejected: for every reason.
    """
    _verify(address, (), headers, auth_token, signing_key)


def _verify(
    url: str, form: Sequence[tuple[str, str]], headers: Mapping[str, str], auth_token: str, signing_key: str
) -> None:
    algorithm = _algorithm(_single(headers, SETTINGS_HEADER))
    if algorithm != (_SHA256 if signing_key else _SHA1):
        raise SignatureRejected("algorithm")
    secret = signing_key or auth_token
    if not secret:
        raise SignatureRejected("secret")
    signature = _single(headers, SIGNATURE_HEADER)
    if not signature:
        raise SignatureRejected("missing")
    if not _SIGNATURE[algorithm].fullmatch(signature):
        raise SignatureRejected("form")
    validator = _validator(secret)
    try:
        computed = [
            validator.compute_signature(spelling, _Fields(form), algorithm) for spelling in _spellings(url)
        ]
    except (UnicodeEncodeError, ValueError):  # half a surrogate in a field; an address that is none
        raise SignatureRejected("address") from None
    if not any([hmac.compare_digest(one, signature) for one in computed]):  # a list: all are compared
        raise SignatureRejected("signature")


def _validator(secret: str) -> _Validator:
    from twilio.request_validator import RequestValidator  # lazily: most processes never see Twilio

    validator: _Validator = RequestValidator(secret)
    return validator


def _single(headers: Mapping[str, str], name: str) -> str:
    """The header's value, "" if it is missing; one that came twice is refused."""
    # The headers of `websockets` raise for a name that came twice, unless asked for what was sent.
    items: Iterable[tuple[str, str]] = getattr(headers, "raw_items", headers.items)()
    values = [value for key, value in items if key.lower() == name.lower()]
    if len(values) > 1:
        raise SignatureRejected("twice")
    return (values[0] or "").strip() if values else ""


def _algorithm(settings: str) -> str:
    """What the settings name; HMAC-SHA1 without them.

    Raises:
        SignatureRejected: they name none, several, or one that is new to us.
    """
    if not settings:
        return _SHA1
    parts = [part.partition("=") for part in settings.split(",")]
    named = [value.strip().upper() for name, _, value in parts if name.strip() == "algorithm"]
    if len(named) != 1 or named[0] not in _SIGNATURE:
        raise SignatureRejected("algorithm")
    return named[0]


def _spellings(url: str) -> Iterator[str]:
    """The address as it is, then without its port, or with the usual port of its scheme: Twilio signs either."""
    yield url
    parts = urlsplit(url)
    if parts.port is not None:
        yield _with_host(url, parts, parts.netloc.rpartition(":")[0])
    elif parts.scheme in _PORTS:
        yield _with_host(url, parts, f"{parts.netloc}:{_PORTS[parts.scheme]}")


def _with_host(url: str, parts: SplitResult, host: str) -> str:
    """Another host, every other character as it was: a signature knows no two spellings of a path."""
    start = len(parts.scheme) + len("://")
    return url[:start] + host + url[start + len(parts.netloc) :]


class _Fields:
    """Fields of a form, as the validator asks for them."""

    def __init__(self, form: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in form:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getall(self, name: str) -> list[str]:
        return self._values[name]
