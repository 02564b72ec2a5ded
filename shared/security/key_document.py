"""The key document: every signing key, as text that a secret store keeps.

It is one JSON object with a JWK set (RFC 7517, Ed25519 keys by RFC 8037) for each audience. There are two copies: the
private one, which only the function app can read, and the public one for the media hosts, which has no `d`.

A key's life: written (`iat`), used for signing from `nbf` on, taken out of use by the next rotation, which sets `exp`, the
time until which the tokens that it has signed are accepted.
"""

import base64
import binascii
import json
import math
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import InvalidInput, KeysUnavailable
from shared.security.audiences import Audience
from shared.wire.json_input import as_object, decode, text, whole_number

OVERLAP_S = 11_100
"""How long a replaced key still verifies (s): the longest token's 3 h, and 5 minutes."""
LEAD_S = 330
"""How long a new key is known before it signs (s): longer than the 300 s for which readers keep the document."""
LIMIT = 25_000
"""Bytes of a document at most: what a Key Vault secret holds. A key takes about 250."""

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Ed25519 key.

    Attributes:
        kid: its name in a token's header; unique in the whole document.
        audience: the only audience that it signs for.
        private: None in the public copy.
        public: verifies.
        created_at: Unix time (s).
        use_from: Unix time (s) from which it signs.
        expires_at: Unix time (s) from which it does not verify any more; None while it has no successor.
    """

    kid: str
    audience: Audience
    private: Ed25519PrivateKey | None = field(repr=False)
    public: Ed25519PublicKey = field(repr=False)
    created_at: int
    use_from: int
    expires_at: int | None = None

    @property
    def signer(self) -> Ed25519PrivateKey:
        """The private half.

        Raises:
            KeysUnavailable: this is a public copy.
        """
        if self.private is None:
            raise KeysUnavailable(f"the private half of key {self.kid} is not here")
        return self.private

    def expired(self, now: float) -> bool:
        """Whether tokens that it has signed are refused by now (Unix time, s)."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Document:
    """All keys of all audiences."""

    keys: tuple[SigningKey, ...]

    def by_kid(self, kid: str) -> SigningKey | None:
        """The key of that name, or None."""
        return next((key for key in self.keys if key.kid == kid), None)

    def to_sign_with(self, audience: Audience, now: float) -> SigningKey | None:
        """The newest key in use at `now` (Unix time, s) whose private half is here, or None."""
        mine = [k for k in self.keys if k.audience is audience and k.private and not k.expired(now)]
        in_use = [key for key in mine if key.use_from <= now]
        if in_use:
            # Of two that were made at the same time, the one that no other has replaced yet.
            return max(in_use, key=lambda key: (key.use_from, key.created_at, key.expires_at or math.inf))
        return min(mine, key=lambda key: key.use_from, default=None)


def _new_key(audience: Audience, now: float, use_from: float) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    kid = f"{datetime.fromtimestamp(now, UTC):%Y%m%d}-{secrets.token_hex(8)}"
    return SigningKey(kid, audience, private, private.public_key(), int(now), int(use_from))


def new_document(now: float) -> Document:
    """A document with one new key for each audience, in use at once.

    Args:
        now: Unix time (s).
    """
    return Document(tuple(_new_key(audience, now, now) for audience in Audience))


def rotate(document: Document, now: float, overlap_s: float = OVERLAP_S, lead_s: float = LEAD_S) -> Document:
    """`document` with one more key for each audience, and without the keys that have expired.

    Args:
        document: the private copy.
        now: Unix time (s).
        overlap_s: how long the replaced keys still verify after the new ones have come into use.
        lead_s: how long after `now` the new keys come into use. With both 0 the old keys are worthless at once: for keys
            that have become known to somebody.
    """
    end = int(now + lead_s + overlap_s)
    kept = (
        replace(key, expires_at=end if key.expires_at is None else min(key.expires_at, end))
        for key in document.keys
    )
    new = (_new_key(audience, now, now + lead_s) for audience in Audience)
    return Document((*(key for key in kept if not key.expired(now)), *new))


def public_part(document: Document) -> Document:
    """`document` without private halves."""
    return Document(tuple(replace(key, private=None) for key in document.keys))


def serialise(document: Document) -> str:
    """The document as text; contains private keys unless it is a `public_part`."""
    return json.dumps(
        {
            audience.value: {"keys": [_to_jwk(key) for key in document.keys if key.audience is audience]}
            for audience in Audience
        },
        indent=1,
    )


def _to_jwk(key: SigningKey) -> dict[str, object]:
    jwk: dict[str, object] = {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": key.kid,
        "x": _encode(key.public.public_bytes_raw()),
        "iat": key.created_at,
        "nbf": key.use_from,
    }
    if key.expires_at is not None:
        jwk["exp"] = key.expires_at
    if key.private is not None:
        jwk["d"] = _encode(key.private.private_bytes_raw())
    return jwk


def parse_document(document: str) -> Document:
    """The document that `serialise` has written. Audiences that are new to us are left out.

    Raises:
        InvalidInput: names the place that is wrong; never holds a key.
    """
    sets = as_object(decode(document.encode(), field="keys", limit=LIMIT), field="keys")
    keys: list[SigningKey] = []
    for audience in Audience:
        if audience.value in sets:
            jwks = as_object(sets[audience.value], field=audience.value).get("keys")
            if not isinstance(jwks, list):
                raise InvalidInput(f"{audience}.keys", "an array of JWKs")
            keys.extend(
                _from_jwk(jwk, audience, f"{audience}.keys[{index}]") for index, jwk in enumerate(jwks)
            )
    if len({key.kid for key in keys}) != len(keys):
        raise InvalidInput("kid", "a name that no other key has")
    return Document(tuple(keys))


def _from_jwk(value: object, audience: Audience, where: str) -> SigningKey:
    jwk = as_object(value, field=where)
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise InvalidInput(f"{where}.crv", "an Ed25519 key (kty OKP)")
    kid = text(jwk.get("kid"), field=f"{where}.kid", limit=64)
    if not _KID.fullmatch(kid):
        raise InvalidInput(f"{where}.kid", "letters, digits, hyphens and underscores")
    public = Ed25519PublicKey.from_public_bytes(_key_bytes(jwk.get("x"), f"{where}.x"))
    private = None
    if "d" in jwk:
        private = Ed25519PrivateKey.from_private_bytes(_key_bytes(jwk["d"], f"{where}.d"))
        if private.public_key() != public:
            raise InvalidInput(f"{where}.d", "the private half of x")
    created_at = whole_number(jwk.get("iat"), field=f"{where}.iat", default=0)
    expires_at = whole_number(jwk.get("exp"), field=f"{where}.exp", default=-1)
    return SigningKey(
        kid,
        audience,
        private,
        public,
        created_at,
        whole_number(jwk.get("nbf"), field=f"{where}.nbf", default=created_at),
        None if expires_at == -1 else expires_at,
    )


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _key_bytes(value: object, where: str) -> bytes:
    if isinstance(value, str) and len(value) == 43 and value.isascii():
        try:
            return base64.b64decode(value + "=", altchars=b"-_", validate=True)
        except binascii.Error:
            pass
    raise InvalidInput(where, "32 bytes in base64url")
