"""HMAC authentication of REST requests, with the clients' known slips allowed for (acs.md 1.2)."""

import base64
import binascii
import email.utils
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

SCHEME = re.compile(
    r"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=([A-Za-z0-9+/]{43}=)"
)
MAX_SKEW_S = 15 * 60


def content_hash(body: bytes) -> str:
    """Base64 of the body's SHA-256."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def signature(key: bytes, method: str, path_and_query: str, date: str, host: str, digest: str) -> str:
    """The signature of a request (acs.md 1.2); `key` is the decoded access key."""
    text = f"{method}\n{path_and_query}\n{date};{host};{digest}"
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def _paths(path_and_query: str) -> Iterator[str]:
    """As on the wire, then with every segment quoted: the aio client signs `%3A` and sends `:`."""
    yield path_and_query
    path, mark, query = path_and_query.partition("?")
    yield "/".join(quote(unquote(part), safe="") for part in path.split("/")) + mark + query


class HmacVerifier:
    """Checks the `Authorization` header of requests.

    Args:
        access_key: the resource's key, base64.
    """

    def __init__(self, access_key: str) -> None:
        self._key = base64.b64decode(access_key, validate=True)

    def verify(
        self,
        method: str,
        path_and_query: str,
        headers: Mapping[str, str],
        body: bytes,
        now: float,
        own_host: str = "",
    ) -> bool:
        """Whether the request was signed with the key within the last 15 minutes and has the body that was signed.

        Three slips of real clients pass: a trailing `/` in the signed host, a path quoted otherwise than sent, and the
        emulator's own host signed where another one was asked (downloads of recordings).

        Args:
            method: the HTTP verb.
            path_and_query: as on the wire.
            headers: case-insensitive.
            body: the bytes.
            now: Unix time (s).
            own_host: the emulator's host and port.
        """
        match = SCHEME.fullmatch(headers.get("Authorization", ""))
        date, host = headers.get("x-ms-date", ""), headers.get("Host", "")
        if match is None or not date or not host or not self._fresh(date, now):
            return False
        digest = content_hash(body)
        if not hmac.compare_digest(digest, headers.get("x-ms-content-sha256", "")):
            return False
        return any(
            hmac.compare_digest(
                match[1], signature(self._key, method.upper(), path, date, signed_host, digest)
            )
            for path in _paths(path_and_query)
            for signed_host in dict.fromkeys((host, f"{host}/", own_host or host, f"{own_host or host}/"))
        )

    @staticmethod
    def _fresh(date: str, now: float) -> bool:
        try:
            return abs(email.utils.parsedate_to_datetime(date).timestamp() - now) <= MAX_SKEW_S
        except (ValueError, OverflowError):
            return False


def is_access_key(text: str) -> bool:
    """Whether `text` can be an access key: base64 of at least 16 bytes."""
    try:
        return len(base64.b64decode(text, validate=True)) >= 16
    except (binascii.Error, ValueError):
        return False
