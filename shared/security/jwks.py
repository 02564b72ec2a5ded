"""ACS's public keys: fetched, read, cached (acs.md 4.5)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from shared.errors import InvalidInput, KeysUnavailable
from shared.wire.json_input import as_object, decode

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger(__name__)

LIMIT = 256 * 1024
"""Bytes of a JWK set at most."""
_MIN_BITS = 2048

type Fetch = Callable[[str], Awaitable[str]]
"""Gets the text at an address; raises `Unavailable` when it cannot."""


def http_fetch(session: "aiohttp.ClientSession", timeout_s: float = 5.0) -> Fetch:
    """A `Fetch` over one shared session: no redirects, no more than `LIMIT` bytes.

    Args:
        session: belongs to the caller, who closes it.
        timeout_s: seconds for the whole exchange.
    """
    import aiohttp

    async def fetch(url: str) -> str:
        try:
            async with asyncio.timeout(timeout_s), session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise KeysUnavailable(f"{url} answered {response.status}")
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > LIMIT:
                        raise KeysUnavailable(f"{url}: more than {LIMIT} bytes")
                return body.decode()
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError) as error:
            raise KeysUnavailable(f"{url}: {type(error).__name__}") from error

    return fetch


class JwksFetcher:
    """A `Fetch` with an aiohttp session of its own, opened on first use (in the loop that uses it)."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, address: str) -> str:
        """The text at `address`.

        Raises:
            KeysUnavailable: see `http_fetch`.
        """
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession()
        return await http_fetch(self._session)(address)

    async def close(self) -> None:
        """Close the session; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def parse_jwks(document: str) -> Mapping[str, RSAPublicKey]:
    """The RSA signing keys of a JWK set (RFC 7517) by `kid`; keys that cannot be used are left out.

    Raises:
        InvalidInput: it is no JWK set.
    """
    keys = as_object(decode(document.encode(), field="jwks", limit=LIMIT), field="jwks").get("keys")
    if not isinstance(keys, list):
        raise InvalidInput("jwks.keys", "an array of keys")
    result = {}
    for entry in keys:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid")
        key = _rsa(entry)
        if isinstance(kid, str) and key is not None:
            result[kid] = key
    return result


def _rsa(entry: dict[str, object]) -> RSAPublicKey | None:
    """The public key of a JWK; None if it is none, or too short to trust."""
    if entry.get("kty") != "RSA" or entry.get("alg", "RS256") != "RS256":
        return None
    try:
        key = RSAAlgorithm.from_jwk(dict(entry))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        logger.warning("a key of the JWK set cannot be read: %s", type(error).__name__)
        return None
    # A private key by mistake is no RSAPublicKey.
    return key if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_BITS else None
