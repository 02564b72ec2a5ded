"""The service's own RSA key: JWTs on callbacks and WebSockets, the JWKS and the OIDC document (acs.md 3.1, 4.5)."""

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://acscallautomation.communication.azure.com"
CALLBACK_LIFETIME_S = 5 * 60
MEDIA_LIFETIME_S = 24 * 3600


def _number(value: int) -> str:
    """An unsigned integer as JWK wants it (RFC 7518, 6.3.1)."""
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> rsa.RSAPrivateKey:
    """2048 bits; takes some 80 ms of CPU."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Signer:
    """Signs as ACS does: RS256 with a `kid`. Making one makes a key.

    Args:
        audience: the ACS resource's immutable id.
        issuer: the `iss` claim.
        now: Unix time (s).
    """

    def __init__(self, audience: str, issuer: str = ISSUER, now: Callable[[], float] = time.time) -> None:
        self.audience = audience
        self.issuer = issuer
        self.kid = uuid.uuid4().hex
        self._now = now
        self._key = new_key()

    def token(self, lifetime_s: int, skew_s: float = 0.0) -> str:
        """A signed JWT that is valid from now on for `lifetime_s` seconds; `skew_s` moves the clock."""
        return self.sign({"iss": self.issuer, "aud": self.audience}, lifetime_s, skew_s)

    def sign(self, claims: Mapping[str, object], lifetime_s: float, skew_s: float = 0.0) -> str:
        """A JWT with `claims`, valid from now on for `lifetime_s` seconds."""
        issued = int(self._now() + skew_s)
        times = {"iat": issued, "nbf": issued, "exp": issued + int(lifetime_s)}
        return jwt.encode({**claims, **times}, self._key, algorithm="RS256", headers={"kid": self.kid})

    def verify(self, token: str, audience: str, issuer: str) -> dict[str, Any] | None:
        """The claims of a token that was signed here for this purpose and is valid now; None for any other."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=audience,
                issuer=issuer,
                options={
                    "require": ["exp", "iat"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        return claims if claims["iat"] <= self._now() < claims["exp"] else None

    def callback_header(self, skew_s: float = 0.0) -> str:
        """`Authorization` of one callback request: 5 minutes, a new one each time."""
        return f"Bearer {self.token(CALLBACK_LIFETIME_S, skew_s)}"

    def media_header(self, skew_s: float = 0.0) -> str:
        """`Authorization` of a media WebSocket's upgrade: 24 hours."""
        return f"Bearer {self.token(MEDIA_LIFETIME_S, skew_s)}"

    def jwks(self) -> dict[str, object]:
        """The document behind `/calling/keys`."""
        public = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _number(public.n),
            "e": _number(public.e),
        }
        return {"keys": [key]}

    def oidc_document(self, base: str) -> dict[str, object]:
        """The document behind `/calling/.well-known/acsopenidconfiguration`; `base` is the emulator's address."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{base}/calling/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": ["sub", "aud", "exp", "iat", "iss"],
        }
