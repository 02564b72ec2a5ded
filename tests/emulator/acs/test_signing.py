"""ACS's own JWTs, checked as a receiver would: with PyJWT against the served key."""

import jwt
import pytest

from emulator.acs.signing import Signer, new_key

NOW = 1_795_000_000


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("the-resource", "https://issuer.example", now=lambda: NOW)


def claims(signer: Signer, header: str) -> dict:
    scheme, _, token = header.partition(" ")
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": signer.kid}
    key = jwt.PyJWKSet.from_dict(signer.jwks())[signer.kid]
    return jwt.decode(
        token, key, algorithms=["RS256"], audience="the-resource", issuer="https://issuer.example",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )  # fmt: skip


def test_a_callback_lives_five_minutes(signer: Signer) -> None:
    found = claims(signer, signer.callback_header())
    assert found["exp"] - found["iat"] == 300
    assert found["nbf"] == found["iat"] == NOW


def test_a_media_connection_lives_a_day(signer: Signer) -> None:
    found = claims(signer, signer.media_header())
    assert found["exp"] - found["iat"] == 24 * 3600


def test_the_clock_can_be_wrong(signer: Signer) -> None:
    assert claims(signer, signer.callback_header(-400))["iat"] == NOW - 400


def test_another_signer_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.acs.signing.new_key", new_key)  # here not one that was made already
    one, other = ({**Signer("the-resource").jwks()["keys"][0]} for _ in range(2))
    assert one["kid"] != other["kid"]
    assert one["n"] != other["n"]


def test_the_oidc_document_leads_to_the_keys(signer: Signer) -> None:
    document = signer.oidc_document("http://127.0.0.1:1")
    assert document["issuer"] == "https://issuer.example"
    assert document["jwks_uri"] == "http://127.0.0.1:1/calling/keys"
