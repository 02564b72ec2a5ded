import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.errors import TokenRejected
from shared.security.compact import key_id, verified_claims
from tests.shared.security.support import b64, forge

KEY = Ed25519PrivateKey.generate()
TOKEN = jwt.encode({"a": 1}, KEY, "EdDSA", {"kid": "k"})


def test_the_algorithm_is_the_readers_even_without_a_look_at_the_header():
    assert verified_claims(TOKEN, KEY.public_key(), algorithm="EdDSA") == {"a": 1}
    with pytest.raises(TokenRejected) as refused:
        verified_claims(TOKEN, KEY.public_key(), algorithm="RS256")
    assert refused.value.reason == "signature"


@pytest.mark.parametrize("kid", ["", "a/b", "..\\", "a b", "ä", "k" * 129, 5, None, ["k"]])
def test_an_odd_key_name_never_reaches_a_key_ring(kid):
    with pytest.raises(TokenRejected) as refused:
        key_id(forge({"alg": "EdDSA", "kid": kid}, {}, KEY.sign), algorithm="EdDSA", limit=2048)
    assert refused.value.reason == "unknown-key"


@pytest.mark.parametrize("kid", ["k", "20261121-0011", "A_b.c=", "k" * 128])
def test_a_key_name_is_returned(kid):
    assert key_id(forge({"alg": "EdDSA", "kid": kid}, {}, KEY.sign), algorithm="EdDSA", limit=2048) == kid


def test_the_limit_counts_characters_and_is_inclusive():
    assert key_id(TOKEN, algorithm="EdDSA", limit=len(TOKEN)) == "k"
    with pytest.raises(TokenRejected):
        key_id(TOKEN, algorithm="EdDSA", limit=len(TOKEN) - 1)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_spare_bits_are_refused_in_every_part(part):
    pieces = [b64(b'{"alg":"EdDSA","kid":"key"}'), b64(b"x"), b64(b"y" * 64)]
    pieces[part] = {0: b64(b'{"alg":"EdDSA","kid":"k"}')[:-1] + "R", 1: "eB", 2: b64(b"y" * 64)[:-1] + "R"}[
        part
    ]
    with pytest.raises(TokenRejected) as refused:
        key_id(".".join(pieces), algorithm="EdDSA", limit=2048)
    assert refused.value.reason == "malformed"
