"""ACS's own signature on callbacks and WebSockets: the second factor beside our token (acs.md 3.1 and 4.5).

Both carry `Authorization: Bearer <RS256 JWT>`; a callback's lives 5 minutes, a WebSocket's 24 hours.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import InvalidInput, KeysUnavailable, TokenRejected
from shared.security.cached import Cached
from shared.security.compact import key_id, verified_claims
from shared.security.jwks import Fetch, parse_jwks
from shared.settings import AcsJwt

ALGORITHM = "RS256"
LEEWAY_S = 300
"""Seconds by which ACS's clock and ours may differ (acs.md 4.5)."""
LIMIT = 8192
"""Characters of a token at most."""


class AcsSignature:
    """Checks ACS's tokens against its published keys.

    Args:
        settings: issuer, audience and address of the keys; with `required` off nothing is checked.
        fetch: gets the text at an address; raises `Unavailable` when it cannot (`jwks.http_fetch`).
        now: Unix time (s).
        own: ids of the ACS resources of tenants that have their own.
        ttl_s: seconds after which the keys are fetched again.
        retry_s: seconds between fetches out of turn, because of an unknown key or a failure.
    """

    def __init__(
        self,
        settings: AcsJwt,
        fetch: Fetch,
        now: Callable[[], float],
        *,
        own: Mapping[str, str] = MappingProxyType({}),
        ttl_s: float = 3600,
        retry_s: float = 10,
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._now = now
        self._own = own
        self._keys = Cached(
            self._load, now, name="ACS's signing keys", ttl_s=ttl_s, retry_s=retry_s, kind="acs-keys"
        )

    async def _load(self) -> Mapping[str, RSAPublicKey]:
        try:
            keys = parse_jwks(await self._fetch(self._settings.jwks_url))
        except InvalidInput as wrong:
            raise KeysUnavailable(f"{self._settings.jwks_url}: {wrong}") from None
        if not keys:
            raise KeysUnavailable(f"{self._settings.jwks_url}: no usable key")
        return keys

    async def verify(self, authorization: str | None, tenant: str) -> None:
        """Return if ACS has signed this request for the tenant's resource.

        Args:
            authorization: the value of the `Authorization` header, None if there is none.
            tenant: whose call it is about.

        Raises:
            TokenRejected: with `reason`: missing, malformed, algorithm, header, unknown-key, signature, claims, issuer,
                audience, not-yet or expired.
            KeysUnavailable: ACS's keys cannot be fetched, and none are known.
        """
        if not self._settings.required:
            return
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenRejected("missing")
        kid = key_id(token, algorithm=ALGORITHM, limit=LIMIT)
        key = (await self._keys.get()).get(kid) or (await self._keys.get_newer()).get(kid)
        if key is None:
            raise TokenRejected("unknown-key")
        self._check(
            verified_claims(token, key, algorithm=ALGORITHM), self._own.get(tenant, self._settings.audience)
        )

    def _check(self, claims: Mapping[str, object], resource: str) -> None:
        if claims.get("iss") != self._settings.issuer:
            raise TokenRejected("issuer")
        audience = claims.get("aud")
        if resource not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRejected("audience")
        now = self._now()
        expires_at = _time(claims.get("exp"))
        if expires_at is None:
            raise TokenRejected("claims")
        if now >= expires_at + LEEWAY_S:
            raise TokenRejected("expired")
        for name in ("nbf", "iat"):
            starts_at = _time(claims.get(name, 0))
            if starts_at is None:
                raise TokenRejected("claims")
            if now < starts_at - LEEWAY_S:
                raise TokenRejected("not-yet")


def _time(value: object) -> float | None:
    """A NumericDate (RFC 7519 section 2), or None. JSON as we parse it has neither NaN nor infinity."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
