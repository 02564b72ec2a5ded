import dataclasses
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from shared.errors import KeysUnavailable, TokenRejected
from shared.security.acs_signature import AcsSignature
from shared.settings import AcsJwt
from tests.shared.security.support import PKCS1, START, b64, forge
from tests.support.rsa_keys import rsa_key

ISSUER = "https://acscallautomation.communication.azure.com"
RESOURCE = "11111111-2222-4333-8444-555555555555"
SETTINGS = AcsJwt(True, ISSUER, RESOURCE, f"{ISSUER}/calling/keys")
ACS = rsa_key(0)
STRANGER = rsa_key(1)
NEXT = rsa_key(2)


def public_jwk(key, kid):
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


class Published:
    """What ACS's key address answers."""

    def __init__(self):
        self.keys = [public_jwk(ACS, "acs-1")]
        self.down = False
        self.fetched = []

    async def __call__(self, url):
        self.fetched.append(url)
        if self.down:
            raise KeysUnavailable("down")
        return self.keys if isinstance(self.keys, str) else json.dumps({"keys": self.keys})


@pytest.fixture
def published():
    return Published()


@pytest.fixture
def signature(published, clock):
    return AcsSignature(SETTINGS, published, clock)


CLAIMS = {"iss": ISSUER, "aud": RESOURCE, "iat": int(START), "nbf": int(START), "exp": int(START) + 300}


def signed(key=ACS, kid="acs-1", header=None, **claims):
    claims = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ...}
    return "Bearer " + jwt.encode(claims, key, "RS256", {"kid": kid, **(header or {})})


def by_hand(header=None, claims=CLAIMS, sign=lambda signed: b"x" * 256):
    header = {"alg": "RS256", "typ": "JWT", "kid": "acs-1", **(header or {})}
    return "Bearer " + forge(
        {name: value for name, value in header.items() if value is not ...}, claims, sign
    )


async def refusal(signature, authorization):
    with pytest.raises(TokenRejected) as refused:
        await signature.verify(authorization, "default")
    assert str(refused.value) == "authentication failed"
    return refused.value.reason


async def test_a_tenant_with_a_resource_of_its_own(published, clock):
    own = AcsSignature(SETTINGS, published, clock, own={"acme": "22222222-0000-4000-8000-000000000002"})
    await own.verify(signed(aud="22222222-0000-4000-8000-000000000002"), "acme")
    await own.verify(signed(), "default")
    for authorization, tenant in (
        (signed(), "acme"),
        (signed(aud="22222222-0000-4000-8000-000000000002"), "default"),
    ):
        with pytest.raises(TokenRejected) as refused:
            await own.verify(authorization, tenant)
        assert refused.value.reason == "audience"


@pytest.mark.parametrize(
    "authorization",
    [
        signed(),
        signed().replace("Bearer", "bearer"),
        signed(exp=int(START) + 86_400),
        signed(nbf=..., iat=...),
        signed(aud=["other", RESOURCE]),
        signed(exp=START + 0.5),
        signed(header={"x5t": "thumb", "new": 1}),
        signed(exp=int(START) - 299),
        signed(nbf=int(START) + 300),
    ],
    ids=lambda _: "signed",  # test names are printed: no tokens in them, and nothing random
)
async def test_acs_is_let_in(signature, authorization):
    assert await signature.verify(authorization, "default") is None


PEM = ACS.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
FORGED = {
    "no header": (None, "missing"),
    "an empty header": ("", "missing"),
    "a scheme only": ("Bearer", "missing"),
    "an empty token": ("Bearer ", "missing"),
    "another scheme": (signed().replace("Bearer", "Basic"), "missing"),
    "a token without a scheme": (signed().removeprefix("Bearer "), "missing"),
    "two tokens": (signed() + ", " + signed(), "malformed"),
    "two spaces": (signed().replace(" ", "  "), "malformed"),
    "100 KB": ("Bearer " + "A" * 100_000 + ".A.A", "malformed"),
    "no signature": (signed().rpartition(".")[0] + ".", "malformed"),
    "two parts": (signed().rpartition(".")[0], "malformed"),
    "padding": (signed() + "=", "malformed"),
    "alg none": (f"Bearer {b64({'alg': 'none', 'kid': 'acs-1'})}.{b64(CLAIMS)}.", "malformed"),
    "alg none, some signature": (by_hand({"alg": "none"}), "algorithm"),
    "HS256 with the public key": (
        by_hand({"alg": "HS256"}, sign=lambda signed: hmac.digest(PEM, signed, hashlib.sha256)),
        "algorithm",
    ),
    "RS384": ("Bearer " + jwt.encode(CLAIMS, ACS, "RS384", {"kid": "acs-1"}), "algorithm"),
    "PS256": ("Bearer " + jwt.encode(CLAIMS, ACS, "PS256", {"kid": "acs-1"}), "algorithm"),
    "jwk": (signed(STRANGER, header={"jwk": public_jwk(STRANGER, "acs-1")}), "header"),
    "jku": (signed(STRANGER, header={"jku": "https://evil.example/keys"}), "header"),
    "crit": (by_hand({"crit": ["exp"]}), "header"),
    "kid missing": (by_hand({"kid": ...}), "unknown-key"),
    "kid unknown": (signed(kid="acs-9"), "unknown-key"),
    "kid an address": (signed(kid="https://evil.example/"), "unknown-key"),
    "another's key": (signed(STRANGER), "signature"),
    "a signature of nothing": (by_hand(), "signature"),
    "claims no object": (by_hand(claims=[1]), "signature"),
    "iss another": (signed(iss="https://acscallautomation.communication.azure.com.evil.example"), "issuer"),
    "iss missing": (signed(iss=...), "issuer"),
    "aud another resource": (signed(aud="99999999-2222-4333-8444-555555555555"), "audience"),
    "aud missing": (signed(aud=...), "audience"),
    "aud null": (signed(aud=None), "audience"),
    "aud contains ours": (signed(aud=RESOURCE + "x"), "audience"),
    "aud a list of others": (signed(aud=["a", "b"]), "audience"),
    "aud an empty list": (signed(aud=[]), "audience"),
    "exp missing": (signed(exp=...), "claims"),
    "exp text": (by_hand(claims={**CLAIMS, "exp": "x"}, sign=lambda s: ACS.sign(s, *PKCS1)), "claims"),
    "exp true": (by_hand(claims={**CLAIMS, "exp": True}, sign=lambda s: ACS.sign(s, *PKCS1)), "claims"),
    "exp 5 minutes ago": (signed(exp=int(START) - 300), "expired"),
    "nbf in 6 minutes": (signed(nbf=int(START) + 360), "not-yet"),
    "iat in 6 minutes": (signed(iat=int(START) + 360), "not-yet"),
    "nbf text": (by_hand(claims={**CLAIMS, "nbf": "0"}, sign=lambda s: ACS.sign(s, *PKCS1)), "claims"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_nobody_else_is(signature, name):
    authorization, reason = FORGED[name]
    assert await refusal(signature, authorization) == reason


async def test_switched_off_nothing_is_checked_or_fetched(published, clock):
    off = AcsSignature(dataclasses.replace(SETTINGS, required=False), published, clock)
    await off.verify(None, "default")
    await off.verify("nonsense", "default")
    assert published.fetched == []


async def test_the_keys_are_fetched_once_an_hour(signature, published, clock):
    for _ in range(3):
        await signature.verify(signed(), "default")
    assert published.fetched == [SETTINGS.jwks_url]
    clock.time += 3600
    await signature.verify(signed(exp=int(START) + 7200), "default")
    assert len(published.fetched) == 2


async def test_a_new_key_is_found_and_a_flood_of_forged_names_is_not_passed_on(signature, published, clock):
    await signature.verify(signed(), "default")
    published.keys = [public_jwk(NEXT, "acs-2")]
    clock.time += 10
    await signature.verify(signed(NEXT, "acs-2"), "default")
    for number in range(50):
        assert await refusal(signature, signed(kid=f"forged-{number}")) == "unknown-key"
    assert len(published.fetched) == 2
    assert await refusal(signature, signed()) == "unknown-key"  # the old one is gone


async def test_an_outage_does_not_stop_what_is_known(signature, published, clock):
    await signature.verify(signed(), "default")
    published.down = True
    clock.time += 3600
    await signature.verify(signed(exp=int(START) + 7200), "default")


@pytest.mark.parametrize("keys", ["", "{}", [], [{"kty": "oct"}]])
async def test_without_keys_nobody_can_say(signature, published, keys):
    published.keys = keys
    with pytest.raises(KeysUnavailable):
        await signature.verify(signed(), "default")


async def test_an_empty_set_does_not_replace_good_keys(signature, published, clock):
    await signature.verify(signed(), "default")
    published.keys = []
    clock.time += 3600
    await signature.verify(signed(exp=int(START) + 7200), "default")


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_anything_changed_is_refused(signature, data):
    good = signed()
    at = data.draw(st.integers(7, len(good) - 1))
    changed = (
        good[:at]
        + data.draw(st.text(alphabet="Ab0-_. =", max_size=3))
        + good[at + data.draw(st.integers(0, 2)) :]
    )
    if changed != good:
        assert await refusal(signature, changed)
