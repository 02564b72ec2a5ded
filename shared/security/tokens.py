"""The tokens in the addresses that ACS and Twilio call: EdDSA JWTs, one key per audience (design.md section 4).

A token names its call, its tenant and what it is for. It travels as the last path segment of an address, so it is short
(about 400 characters), and it never appears in a log: reasons for a refusal are names, not quotations.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from shared.errors import InvalidInput, TokenRejected
from shared.security.audiences import LIFETIME_S, Audience
from shared.security.compact import key_id, verified_claims
from shared.security.keyring import KeyRing
from shared.telemetry.current import TraceContext, current, parse_trace
from shared.wire.json_input import text

__all__ = ["LIFETIME_S", "Audience", "Claims", "TokenMinter", "TokenVerifier"]

ISSUER = "patchcord"
ALGORITHM = "EdDSA"
LIMIT = 2048
"""Characters of a token at most."""

_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
_NAME_LIMIT = 128  # characters of a call id or a tenant id
_JTI = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        audience: what it is for.
        call_id: our id of the call (`sub`).
        tenant: the tenant whose call it is.
        jti: the token's own name; a token for one use is recognised by it, never by its text.
        issued_at: Unix time (s).
        expires_at: Unix time (s).
        key_id: the key that signed it.
        trace: the span below which its bearer's work hangs; None when nothing is traced.
    """

    audience: Audience
    call_id: str
    tenant: str
    jti: str
    issued_at: int
    expires_at: int
    key_id: str
    trace: TraceContext | None = None


class TokenMinter:
    """Makes tokens.

    Args:
        keys: a ring of the private key document.
        now: Unix time (s).
    """

    def __init__(self, keys: KeyRing, now: Callable[[], float]) -> None:
        self._keys = keys
        self._now = now

    async def mint(
        self, audience: Audience, *, call_id: str, tenant: str, lifetime_s: int | None = None
    ) -> str:
        """A new token. If the task that asks works on a call that is traced, it carries the trace (90 characters more).

        Args:
            audience: what it is for.
            call_id: our id of the call.
            tenant: the tenant whose call it is.
            lifetime_s: seconds; by default the audience's own (`LIFETIME_S`). Outbound calls need ring time + 30.

        Raises:
            KeysUnavailable: no key can be read.
        """
        key = await self._keys.signing_key(audience)
        issued_at = int(self._now())
        claims = {
            "iss": ISSUER,
            "aud": audience.value,
            "sub": call_id,
            "tenant": tenant,
            "iat": issued_at,
            "exp": issued_at + (LIFETIME_S[audience] if lifetime_s is None else lifetime_s),
            "jti": secrets.token_urlsafe(16),
        }
        if (trace := current().trace) is not None:
            claims["trace"] = str(trace)
        return jwt.encode(claims, key.signer, ALGORITHM, {"kid": key.kid})


class TokenVerifier:
    """Checks tokens.

    Args:
        keys: a ring of the public key document (the private one serves as well).
        now: Unix time (s).
        leeway_s: seconds by which our clock may be behind the minter's when a token expires: it is refused at
            expiry + leeway, so a media token of 30 s at 31 s.
        ahead_s: seconds by which the minter's clock may be ahead of ours: no reason to refuse a call.
    """

    def __init__(
        self, keys: KeyRing, now: Callable[[], float], leeway_s: float = 1, ahead_s: float = 30
    ) -> None:
        self._keys = keys
        self._now = now
        self._leeway_s = leeway_s
        self._ahead_s = ahead_s

    async def verify(self, token: str, audience: Audience, *, allow_expired: bool = False) -> Claims:
        """The claims of a token that is good at this door, now.

        That it is used once, and that its call exists, is for the caller to see to.

        Args:
            token: the token.
            audience: what it must be for.
            allow_expired: take it after its time, too: only for the event that ends a long call (acs.md 4.4).

        Raises:
            TokenRejected: with `reason`: missing, malformed, algorithm, header, unknown-key, signature, audience,
                claims, not-yet or expired.
            KeysUnavailable: no keys can be read.
        """
        kid = key_id(token, algorithm=ALGORITHM, limit=LIMIT, allowed=_HEADER_NAMES)
        key = await self._keys.verification_key(kid, audience)
        claims = verified_claims(token, key.public, algorithm=ALGORITHM)
        if claims.get("aud") != audience.value:
            raise TokenRejected("audience")
        issued_at, expires_at, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
        if claims.get("iss") != ISSUER or not isinstance(jti, str) or not _JTI.fullmatch(jti):
            raise TokenRejected("claims")
        # `type`, because True is an int, too; floats are not what we write, and NaN compares with nothing.
        if type(issued_at) is not int or type(expires_at) is not int:
            raise TokenRejected("claims")
        try:
            call_id = text(claims.get("sub"), field="sub", limit=_NAME_LIMIT)
            tenant = text(claims.get("tenant"), field="tenant", limit=_NAME_LIMIT)
        except InvalidInput:
            raise TokenRejected("claims") from None
        now = self._now()
        if now < issued_at - self._ahead_s:
            raise TokenRejected("not-yet")
        if now >= expires_at + self._leeway_s and not allow_expired:
            raise TokenRejected("expired")
        trace = parse_trace(claims.get("trace"))
        return Claims(audience, call_id, tenant, jti, issued_at, expires_at, kid, trace)
