import base64
import hashlib
import hmac
import json
import logging

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import KeysUnavailable, TokenRejected
from shared.security.key_document import parse_document, public_part, rotate, serialise
from shared.security.keyring import KeyRing
from shared.security.tokens import LIFETIME_S, Audience, Claims, TokenMinter, TokenVerifier
from tests.shared.security.support import START, b64, forge
from tests.support.rsa_keys import rsa_key

MEDIA, CALLBACK, TWILIO = Audience
AUDIENCES = list(Audience)


@pytest.fixture
def minter(keys, clock):
    return TokenMinter(KeyRing(keys.signing, clock), clock)


@pytest.fixture
def verifier(keys, clock):
    return TokenVerifier(KeyRing(keys.verification, clock), clock)


async def refusal(verifier, token, audience=MEDIA, **options):
    with pytest.raises(TokenRejected) as refused:
        await verifier.verify(token, audience, **options)
    assert str(refused.value) == "authentication failed"  # the same for every reason
    return refused.value.reason


@pytest.mark.parametrize("audience", AUDIENCES)
async def test_a_token_says_what_it_was_minted_for(minter, verifier, keys, audience):
    token = await minter.mint(audience, call_id="call-1", tenant="acme")
    claims = await verifier.verify(token, audience)
    assert claims == Claims(
        audience, "call-1", "acme", claims.jti, int(START), int(START) + LIFETIME_S[audience], claims.key_id
    )
    assert keys.document.by_kid(claims.key_id).audience is audience
    assert len(token) < 500


async def test_no_two_tokens_share_their_name(minter, verifier):
    tokens = [await minter.mint(MEDIA, call_id="c", tenant="t") for _ in range(50)]
    assert len({(await verifier.verify(token, MEDIA)).jti for token in tokens}) == 50


async def test_another_library_reads_the_token_alike(minter, keys):
    token = await minter.mint(MEDIA, call_id="c", tenant="t")
    key = keys.document.by_kid(jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(
        token, key.public, ["EdDSA"], {"verify_exp": False, "verify_iat": False}, audience="acs-media"
    )
    assert (claims["iss"], claims["sub"], claims["tenant"]) == ("patchcord", "c", "t")
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": key.kid}


@pytest.mark.parametrize(
    ("audience", "lifetime_s", "age", "reason"),
    [
        (MEDIA, None, 0, None),
        (MEDIA, None, 29, None),
        (MEDIA, None, 30.9, None),  # within the leeway of 1 s between two machines' clocks
        (MEDIA, None, 31, "expired"),
        (MEDIA, None, 33, "expired"),
        (MEDIA, None, 86_400 * 365, "expired"),
        (MEDIA, 90, 89, None),
        (MEDIA, 90, 93, "expired"),
        (CALLBACK, None, 10_799, None),
        (CALLBACK, None, 10_803, "expired"),
        (TWILIO, None, 299, None),
        (TWILIO, None, 303, "expired"),
        (MEDIA, None, -30, None),
        (MEDIA, None, -31, "not-yet"),
    ],
)
async def test_a_token_has_its_time(minter, verifier, clock, audience, lifetime_s, age, reason):
    token = await minter.mint(audience, call_id="c", tenant="t", lifetime_s=lifetime_s)
    clock.time += age
    if reason is None:
        assert await verifier.verify(token, audience)
    else:
        assert await refusal(verifier, token, audience) == reason


async def test_the_leeway_can_be_none(minter, keys, clock):
    strict = TokenVerifier(KeyRing(keys.verification, clock), clock, leeway_s=0)
    token = await minter.mint(MEDIA, call_id="c", tenant="t")
    clock.time += 29.9
    assert await strict.verify(token, MEDIA)
    clock.time += 0.1
    assert await refusal(strict, token) == "expired"


async def test_an_expired_token_passes_only_where_that_is_asked_for(minter, verifier, clock):
    token = await minter.mint(CALLBACK, call_id="c", tenant="t")
    clock.time += 10_900
    assert (await verifier.verify(token, CALLBACK, allow_expired=True)).call_id == "c"
    assert await refusal(verifier, token, CALLBACK) == "expired"
    assert await refusal(verifier, token[:-8] + "AAAAAAAA", CALLBACK, allow_expired=True) in (
        "signature",
        "malformed",
    )


@pytest.mark.parametrize("made_for", AUDIENCES)
@pytest.mark.parametrize("shown_at", AUDIENCES)
async def test_a_token_passes_at_its_own_door_only(minter, verifier, made_for, shown_at):
    token = await minter.mint(made_for, call_id="c", tenant="t")
    if made_for is shown_at:
        assert await verifier.verify(token, shown_at)
    else:
        assert await refusal(verifier, token, shown_at) == "audience"


class Forger:
    """Knows the public keys, and for comparison also the private ones."""

    def __init__(self, keys):
        self.document = keys.document
        self.key = next(key for key in keys.document.keys if key.audience is MEDIA)
        self.callback_key = next(key for key in keys.document.keys if key.audience is CALLBACK)
        self.stranger = Ed25519PrivateKey.generate()
        self.header = {"alg": "EdDSA", "typ": "JWT", "kid": self.key.kid}
        self.claims = {
            "iss": "patchcord",
            "aud": "acs-media",
            "sub": "call-1",
            "tenant": "acme",
            "iat": int(START),
            "exp": int(START) + 30,
            "jti": "0123456789abcdef",
        }

    def token(self, header=None, claims=None, sign=None):
        header, claims = dict(self.header, **header or {}), dict(self.claims, **claims or {})
        header, claims = ({k: v for k, v in part.items() if v is not ...} for part in (header, claims))
        return forge(header, claims, sign or self.key.private.sign)

    @property
    def jwk(self):
        public = b64(self.stranger.public_key().public_bytes_raw())
        return {"kty": "OKP", "crv": "Ed25519", "x": public, "kid": self.key.kid}

    def hs256(self, secret):
        return self.token({"alg": "HS256"}, sign=lambda signed: hmac.digest(secret, signed, hashlib.sha256))


@pytest.fixture
def forger(keys):
    return Forger(keys)


async def test_the_forgers_tools_make_a_good_token_when_nothing_is_forged(forger, verifier):
    assert (await verifier.verify(forger.token(), MEDIA)).call_id == "call-1"


RSA = rsa_key(0)


def rs256(forger):
    return jwt.encode(forger.claims, RSA, "RS256", {"kid": forger.key.kid})


def unsigned(alg):
    return lambda f: f"{b64({**f.header, 'alg': alg})}.{b64(f.claims)}."


def stripped(token, part):
    return ".".join("" if index == part else piece for index, piece in enumerate(token.split(".")))


FORGED = {
    # the algorithm
    "alg none, no signature": (unsigned("none"), "malformed"),
    "alg none, old signature": (lambda f: f.token({"alg": "none"}), "algorithm"),
    "alg None": (lambda f: f.token({"alg": "None"}), "algorithm"),
    "alg nOnE": (lambda f: f.token({"alg": "nOnE"}), "algorithm"),
    "alg empty": (lambda f: f.token({"alg": ""}), "algorithm"),
    "alg null": (lambda f: f.token({"alg": None}), "algorithm"),
    "alg missing": (lambda f: f.token({"alg": ...}), "algorithm"),
    "alg a list": (lambda f: f.token({"alg": ["EdDSA"]}), "algorithm"),
    "alg lower case": (lambda f: f.token({"alg": "eddsa"}), "algorithm"),
    "alg Ed25519": (lambda f: f.token({"alg": "Ed25519"}), "algorithm"),
    "HS256 with the raw public key": (lambda f: f.hs256(f.key.public.public_bytes_raw()), "algorithm"),
    "HS256 with the public key as PEM": (
        lambda f: f.hs256(
            f.key.public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ),
        "algorithm",
    ),
    "HS256 with the public JWK": (lambda f: f.hs256(json.dumps(f.jwk).encode()), "algorithm"),
    "HS512": (lambda f: f.token({"alg": "HS512"}), "algorithm"),
    "RS256": (rs256, "algorithm"),
    "ES256": (lambda f: f.token({"alg": "ES256"}), "algorithm"),
    # headers that bring a key, or rules
    "jwk": (lambda f: f.token({"jwk": f.jwk}, sign=f.stranger.sign), "header"),
    "jku": (lambda f: f.token({"jku": "https://evil.example/keys"}, sign=f.stranger.sign), "header"),
    "x5u": (lambda f: f.token({"x5u": "https://evil.example/cert"}), "header"),
    "x5c": (lambda f: f.token({"x5c": ["MII"]}), "header"),
    "crit of nothing known": (lambda f: f.token({"crit": ["exp2"], "exp2": 1}), "header"),
    "b64 false": (lambda f: f.token({"b64": False, "crit": ["b64"]}), "header"),
    "zip": (lambda f: f.token({"zip": "DEF"}), "header"),
    "a header that we do not write": (lambda f: f.token({"cty": "JWT"}), "header"),
    # the key
    "kid missing": (lambda f: f.token({"kid": ...}), "unknown-key"),
    "kid null": (lambda f: f.token({"kid": None}), "unknown-key"),
    "kid a number": (lambda f: f.token({"kid": 7}), "unknown-key"),
    "kid unknown": (lambda f: f.token({"kid": "20260101-0011223344556677"}), "unknown-key"),
    "kid a path": (lambda f: f.token({"kid": "../../dev/null"}), "unknown-key"),
    "kid SQL": (lambda f: f.token({"kid": "' OR 1=1 --"}), "unknown-key"),
    "kid an address": (lambda f: f.token({"kid": "https://evil.example/k"}), "unknown-key"),
    "kid of 1,200 characters": (lambda f: f.token({"kid": "k" * 1200}), "unknown-key"),
    "signed by a stranger": (lambda f: f.token(sign=f.stranger.sign), "signature"),
    "key of the callback audience": (
        lambda f: f.token({"kid": f.callback_key.kid}, sign=f.callback_key.private.sign),
        "audience",
    ),
    "signed by the callback key under our kid": (
        lambda f: f.token(sign=f.callback_key.private.sign),
        "signature",
    ),
    "signature of zeros": (lambda f: f.token(sign=lambda signed: bytes(64)), "signature"),
    "signature too short": (
        lambda f: f.token(sign=lambda signed: f.key.private.sign(signed)[:63]),
        "signature",
    ),
    "signature too long": (
        lambda f: f.token(sign=lambda signed: f.key.private.sign(signed) + b"\0"),
        "signature",
    ),
    "signature of other claims": (
        lambda f: f.token(sign=lambda signed: f.key.private.sign(b"x" + signed)),
        "signature",
    ),
    # the form
    "empty": (lambda f: "", "missing"),
    "one part": (lambda f: "eyJhbGciOiJFZERTQSJ9", "malformed"),
    "two parts": (lambda f: f.token().rpartition(".")[0], "malformed"),
    "four parts": (lambda f: f.token() + ".AAAA", "malformed"),
    "five parts": (lambda f: f.token() + ".AAAA.AAAA", "malformed"),
    "a dot too many": (lambda f: f.token() + ".", "malformed"),
    "no header": (lambda f: stripped(f.token(), 0), "malformed"),
    "no claims": (lambda f: stripped(f.token(), 1), "malformed"),
    "no signature": (lambda f: stripped(f.token(), 2), "malformed"),
    "padding": (lambda f: f.token() + "=", "malformed"),
    "two paddings": (lambda f: f.token() + "==", "malformed"),
    "a space before": (lambda f: " " + f.token(), "malformed"),
    "a line end after": (lambda f: f.token() + "\n", "malformed"),
    "a null after": (lambda f: f.token() + "\0", "malformed"),
    "unicode dots": (lambda f: f.token().replace(".", "。"), "malformed"),
    "plain base64 letters": (lambda f: f.token() + "+/", "malformed"),
    "percent signs": (lambda f: f.token().replace(".", "%2E"), "malformed"),
    "a part of impossible length": (lambda f: "A" + f.token(), "malformed"),
    "3 KB of claims": (lambda f: f.token(claims={"x": "x" * 1500}), "malformed"),
    "100 KB of claims": (lambda f: f.token(claims={"x": "x" * 75_000}), "malformed"),
    "100 KB of dots": (lambda f: "." * 100_000, "malformed"),
    "header not JSON": (lambda f: forge(b"{", f.claims, f.key.private.sign), "malformed"),
    "header a list": (lambda f: forge([f.header], f.claims, f.key.private.sign), "malformed"),
    "header not UTF-8": (lambda f: forge(b'{"alg":"\xff"}', f.claims, f.key.private.sign), "malformed"),
    "header deeply nested": (
        lambda f: forge(b'{"alg":' + b"[" * 900 + b"]" * 900 + b"}", {}, f.key.private.sign),
        "malformed",
    ),
    "claims not JSON": (lambda f: forge(f.header, b"claims", f.key.private.sign), "malformed"),
    "claims a list": (lambda f: forge(f.header, [f.claims], f.key.private.sign), "malformed"),
    "claims NaN": (
        lambda f: forge(f.header, json.dumps(f.claims)[:-1].encode() + b',"exp":NaN}', f.key.private.sign),
        "malformed",
    ),
    "claims 1e400": (
        lambda f: forge(f.header, json.dumps(f.claims)[:-1].encode() + b',"exp":1e400}', f.key.private.sign),
        "malformed",
    ),
    # the claims, rightly signed
    "aud of callbacks": (lambda f: f.token(claims={"aud": "acs-callback"}), "audience"),
    "aud missing": (lambda f: f.token(claims={"aud": ...}), "audience"),
    "aud a list with ours": (lambda f: f.token(claims={"aud": ["acs-media", "acs-callback"]}), "audience"),
    "aud null": (lambda f: f.token(claims={"aud": None}), "audience"),
    "iss of another": (lambda f: f.token(claims={"iss": "someone"}), "claims"),
    "iss missing": (lambda f: f.token(claims={"iss": ...}), "claims"),
    "sub missing": (lambda f: f.token(claims={"sub": ...}), "claims"),
    "sub empty": (lambda f: f.token(claims={"sub": ""}), "claims"),
    "sub a number": (lambda f: f.token(claims={"sub": 5}), "claims"),
    "sub with a line end": (lambda f: f.token(claims={"sub": "a\nb"}), "claims"),
    "sub of 129 characters": (lambda f: f.token(claims={"sub": "x" * 129}), "claims"),
    "tenant missing": (lambda f: f.token(claims={"tenant": ...}), "claims"),
    "tenant null": (lambda f: f.token(claims={"tenant": None}), "claims"),
    "jti missing": (lambda f: f.token(claims={"jti": ...}), "claims"),
    "jti short": (lambda f: f.token(claims={"jti": "1"}), "claims"),
    "jti a path": (lambda f: f.token(claims={"jti": "../../../../../../x"}), "claims"),
    "jti a number": (lambda f: f.token(claims={"jti": 10**16}), "claims"),
    "exp missing": (lambda f: f.token(claims={"exp": ...}), "claims"),
    "exp null": (lambda f: f.token(claims={"exp": None}), "claims"),
    "exp text": (lambda f: f.token(claims={"exp": str(int(START) + 30)}), "claims"),
    "exp a fraction": (lambda f: f.token(claims={"exp": START + 30.5}), "claims"),
    "exp true": (lambda f: f.token(claims={"exp": True}), "claims"),
    "exp negative": (lambda f: f.token(claims={"exp": -1}), "expired"),
    "exp a second ago and the leeway": (lambda f: f.token(claims={"exp": int(START) - 3}), "expired"),
    "iat missing": (lambda f: f.token(claims={"iat": ...}), "claims"),
    "iat true": (lambda f: f.token(claims={"iat": True}), "claims"),
    "iat text": (lambda f: f.token(claims={"iat": "0"}), "claims"),
    "iat to come": (lambda f: f.token(claims={"iat": int(START) + 60, "exp": int(START) + 90}), "not-yet"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(forger, verifier, name):
    make, reason = FORGED[name]
    assert await refusal(verifier, make(forger)) == reason


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("audience", [CALLBACK, TWILIO])
async def test_no_forged_token_passes_at_another_door(forger, verifier, name, audience):
    assert await refusal(verifier, FORGED[name][0](forger), audience)


async def test_a_token_of_another_installation_is_refused(verifier, tmp_path_factory, clock):
    """Sandbox and production have different keys."""
    from tests.shared.security.support import Keys

    sandbox = Keys(tmp_path_factory.mktemp("sandbox"), clock)
    await sandbox.write()
    token = await TokenMinter(KeyRing(sandbox.signing, clock), clock).mint(MEDIA, call_id="c", tenant="t")
    assert await refusal(verifier, token) == "unknown-key"


async def test_a_token_outlives_a_rotation_but_not_its_keys_removal(minter, verifier, keys, clock):
    token = await minter.mint(CALLBACK, call_id="c", tenant="t")
    clock.time += 400
    document = rotate(keys.document, clock())
    await keys.verification.save(serialise(public_part(document)))
    clock.time += 400
    assert await verifier.verify(token, CALLBACK)
    emergency = rotate(document, clock(), overlap_s=0, lead_s=0)
    await keys.verification.save(serialise(public_part(emergency)))
    clock.time += 301
    assert await refusal(verifier, token, CALLBACK) == "unknown-key"


async def test_the_same_bytes_spelled_differently_are_refused(forger, verifier):
    """A signature of 64 bytes leaves 4 bits of its last character unused: 15 more spellings."""
    token = forger.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    signature = base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")
    others = [token[:-1] + letter for letter in alphabet if letter != token[-1]]
    same = [
        other for other in others if base64.urlsafe_b64decode(other.rpartition(".")[2] + "==") == signature
    ]
    assert len(same) == 15
    for other in others:
        assert await refusal(verifier, other) in (
            ("malformed",) if other in same else ("malformed", "signature")
        )


async def test_no_keys_is_a_passing_fault_and_no_refusal(keys, minter, verifier):
    token = await minter.mint(MEDIA, call_id="c", tenant="t")
    keys.break_sources()
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token, MEDIA)


async def test_the_public_keys_cannot_mint(keys, clock):
    with pytest.raises(KeysUnavailable):
        await TokenMinter(KeyRing(keys.verification, clock), clock).mint(MEDIA, call_id="c", tenant="t")


async def test_nothing_of_a_token_is_logged(forger, verifier, caplog):
    caplog.set_level(logging.DEBUG)
    for make, _ in FORGED.values():
        await refusal(verifier, make(forger))
    await verifier.verify(forger.token(), MEDIA)
    assert "eyJ" not in caplog.text
    assert parse_document(serialise(forger.document))


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_token_with_anything_changed_is_refused(forger, verifier, data):
    token = forger.token()
    at = data.draw(st.integers(0, len(token) - 1))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(alphabet=st.sampled_from("ABCxyz019-_.=+/ \né"), max_size=4))
    changed = token[:at] + put + token[at + cut :]
    if changed == token:
        assert await verifier.verify(changed, MEDIA)
    else:
        assert await refusal(verifier, changed)


@given(st.text(max_size=300) | st.binary(max_size=200).map(b64).map(lambda part: f"{part}.{part}.{part}"))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_text_is_refused_and_never_crashes(verifier, text):
    assert await refusal(verifier, text)
