"""JSON Web Tokens in compact form, read strictly; what ours and ACS's have in common (RFC 7515, RFC 8725).

The algorithm is ours to say, never the token's. Everything that lets one signature stand for several texts is refused:
padding, white space, spare bits, more or fewer than three parts.
"""

import base64
import re
from collections.abc import Collection

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import InvalidInput, TokenRejected
from shared.wire.json_input import as_object, decode

_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KID = re.compile(r"[A-Za-z0-9_.=+-]{1,128}")
# Headers that ask the reader to trust a key in the token, to fetch one, or to obey rules that we do not know.
_REFUSED = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})


def key_id(token: str, *, algorithm: str, limit: int, allowed: Collection[str] | None = None) -> str:
    """The `kid` of a token's header, after all that can be checked without a key.

    Args:
        token: the token.
        algorithm: the only one accepted.
        limit: characters of the token at most.
        allowed: the only header names accepted; None accepts all but the dangerous ones.

    Raises:
        TokenRejected: `missing`, `malformed`, `algorithm`, `header` or `unknown-key` (no `kid`, or an odd one).
    """
    if not token:
        raise TokenRejected("missing")
    if len(token) > limit or not _THREE_PARTS.fullmatch(token):
        raise TokenRejected("malformed")
    parts = [_decode(part) for part in token.split(".")]
    header = _object(parts[0])
    if header.get("alg") != algorithm:
        raise TokenRejected("algorithm")
    if _REFUSED & header.keys() or (allowed is not None and not header.keys() <= set(allowed)):
        raise TokenRejected("header")
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise TokenRejected("unknown-key")
    return kid


def verified_claims(token: str, key: Ed25519PublicKey | RSAPublicKey, *, algorithm: str) -> dict[str, object]:
    """The claims of a token that has passed `key_id`, if its signature is by this key. They are not looked at here.

    Raises:
        TokenRejected: `signature`; or `malformed`, when what was signed is no JSON object.
    """
    try:
        payload: bytes = jwt.PyJWS().decode(token, key, algorithms=[algorithm])
    except jwt.PyJWTError:
        raise TokenRejected("signature") from None
    return _object(payload)


def _decode(part: str) -> bytes:
    try:
        value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise TokenRejected("malformed") from None
    if base64.urlsafe_b64encode(value).rstrip(b"=") != part.encode():
        raise TokenRejected("malformed")  # spare bits: another spelling of the same bytes
    return value


def _object(value: bytes) -> dict[str, object]:
    try:
        return as_object(decode(value, field="token", limit=16_384), field="token")
    except InvalidInput:
        raise TokenRejected("malformed") from None
