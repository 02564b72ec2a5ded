import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput, KeysUnavailable
from shared.security.audiences import LIFETIME_S, Audience
from shared.security.key_document import (
    LEAD_S,
    LIMIT,
    OVERLAP_S,
    Document,
    new_document,
    parse_document,
    public_part,
    rotate,
    serialise,
)
from tests.shared.security.support import START

DOCUMENT = new_document(START)
MEDIA = Audience.ACS_MEDIA


def test_a_new_document_has_one_key_in_use_for_each_audience():
    assert [key.audience for key in DOCUMENT.keys] == list(Audience)
    assert len({key.kid for key in DOCUMENT.keys}) == len(Audience)
    assert len({key.public.public_bytes_raw() for key in DOCUMENT.keys}) == len(Audience)
    for audience in Audience:
        assert DOCUMENT.to_sign_with(audience, START).audience is audience


def test_it_is_one_jwk_set_for_each_audience():
    sets = json.loads(serialise(DOCUMENT))
    assert list(sets) == ["acs-media", "acs-callback", "twilio-media"]
    [jwk] = sets["acs-media"]["keys"]
    assert {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "iat": int(START),
    }.items() <= jwk.items()
    assert set(jwk) == {"kty", "crv", "alg", "use", "kid", "x", "d", "iat", "nbf"}


def test_the_public_part_has_no_private_half():
    written = serialise(public_part(rotate(DOCUMENT, START)))
    assert '"d"' not in written
    document = parse_document(written)
    assert all(key.private is None for key in document.keys)
    assert document.to_sign_with(MEDIA, START) is None


def test_a_public_copy_cannot_sign():
    with pytest.raises(KeysUnavailable, match=DOCUMENT.keys[0].kid):
        _ = public_part(DOCUMENT).keys[0].signer
    assert DOCUMENT.keys[0].signer is DOCUMENT.keys[0].private


def test_a_private_key_does_not_show_itself():
    assert "private" not in repr(DOCUMENT)


@pytest.mark.parametrize(
    "document", [DOCUMENT, public_part(DOCUMENT), rotate(rotate(DOCUMENT, START), START + 50), Document(())]
)
def test_what_is_written_is_read_again(document):
    again = parse_document(serialise(document))
    assert serialise(again) == serialise(document)
    for key, copy in zip(
        sorted(document.keys, key=lambda k: k.kid), sorted(again.keys, key=lambda k: k.kid), strict=True
    ):
        assert (key.kid, key.created_at, key.use_from, key.expires_at) == (
            copy.kid,
            copy.created_at,
            copy.use_from,
            copy.expires_at,
        )
        assert key.public == copy.public


def test_a_rotation_lets_the_new_key_be_known_before_it_signs():
    now = START + 1000
    rotated = rotate(DOCUMENT, now)
    [old] = [key for key in rotated.keys if key.audience is MEDIA and key.created_at == START]
    [new] = [key for key in rotated.keys if key.audience is MEDIA and key.created_at == now]
    assert rotated.to_sign_with(MEDIA, now) is old
    assert rotated.to_sign_with(MEDIA, now + LEAD_S - 1) is old
    assert rotated.to_sign_with(MEDIA, now + LEAD_S) is new
    assert new.expires_at is None


def test_an_old_key_verifies_until_its_longest_token_has_expired():
    now = START + 1000
    old = rotate(DOCUMENT, now).by_kid(DOCUMENT.keys[0].kid)
    last_use = now + LEAD_S
    assert not old.expired(last_use + max(LIFETIME_S.values()) + 2)
    assert not old.expired(last_use + OVERLAP_S - 1)
    assert old.expired(last_use + OVERLAP_S)


def test_expired_keys_leave_at_the_next_rotation():
    first = rotate(DOCUMENT, START)
    later = rotate(first, START + LEAD_S + OVERLAP_S)
    assert later.by_kid(DOCUMENT.keys[0].kid) is None
    assert len(later.keys) == 2 * len(Audience)


def test_a_second_rotation_does_not_lengthen_the_life_of_the_oldest_key():
    first = rotate(DOCUMENT, START)
    second = rotate(first, START + 60)
    kid = DOCUMENT.keys[0].kid
    assert second.by_kid(kid).expires_at == first.by_kid(kid).expires_at


def test_keys_that_became_known_are_thrown_away_at_once():
    rotated = rotate(DOCUMENT, START + 1, overlap_s=0, lead_s=0)
    assert not {key.kid for key in rotated.keys} & {key.kid for key in DOCUMENT.keys}
    assert rotated.to_sign_with(MEDIA, START + 1).created_at == START + 1


def test_signing_passes_over_an_expired_key():
    rotated = rotate(DOCUMENT, START)
    only_old = Document(tuple(key for key in rotated.keys if key.expires_at is not None))
    assert only_old.to_sign_with(MEDIA, START)
    assert only_old.to_sign_with(MEDIA, START + LEAD_S + OVERLAP_S) is None


@given(st.lists(st.integers(0, 20_000), max_size=6))
@example([0, 630, 10_800])  # two rotations within a second
@settings(max_examples=40, deadline=None)
def test_whatever_the_rotations_a_token_outlives_its_key_never(steps):
    """What signs at some moment still verifies when the longest token signed then expires; and something always signs."""
    document, now, signed = DOCUMENT, START, []
    for step in steps:
        document = rotate(document, now)
        now += step
        key = document.to_sign_with(MEDIA, now)
        signed.append((key.kid, now))
        for kid, moment in signed:
            if now <= moment + max(LIFETIME_S.values()):
                assert not document.by_kid(kid).expired(now)
    assert len(serialise(document)) < LIMIT


def jwk_with(**changes):
    sets = json.loads(serialise(DOCUMENT))
    jwk = sets["acs-media"]["keys"][0]
    jwk.update(changes)
    sets["acs-media"]["keys"][0] = {key: value for key, value in jwk.items() if value is not ...}
    return json.dumps(sets)


OTHER = json.loads(serialise(DOCUMENT))["acs-callback"]["keys"][0]


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("", "keys"),
        ("[]", "keys"),
        ("x" * (LIMIT + 1), "keys"),
        ('{"acs-media": []}', "acs-media"),
        ('{"acs-media": {}}', "acs-media.keys"),
        ('{"acs-media": {"keys": {}}}', "acs-media.keys"),
        ('{"acs-media": {"keys": [5]}}', "acs-media.keys[0]"),
        (jwk_with(kty="RSA"), "acs-media.keys[0].crv"),
        (jwk_with(kty="oct"), "acs-media.keys[0].crv"),
        (jwk_with(crv="Ed448"), "acs-media.keys[0].crv"),
        (jwk_with(kid=...), "acs-media.keys[0].kid"),
        (jwk_with(kid="../etc"), "acs-media.keys[0].kid"),
        (jwk_with(kid="x" * 65), "acs-media.keys[0].kid"),
        (jwk_with(x=...), "acs-media.keys[0].x"),
        (jwk_with(x="AAAA"), "acs-media.keys[0].x"),
        (jwk_with(x="!" * 43), "acs-media.keys[0].x"),
        (jwk_with(d=5), "acs-media.keys[0].d"),
        (jwk_with(d=OTHER["d"]), "acs-media.keys[0].d"),
        (jwk_with(exp="never"), "acs-media.keys[0].exp"),
        (jwk_with(nbf=1.5), "acs-media.keys[0].nbf"),
        (jwk_with(kid=OTHER["kid"]), "kid"),
    ],
    ids=lambda value: value if len(value) < 32 else "document",
)
def test_a_wrong_document_names_the_place_and_shows_no_key(written, field):
    with pytest.raises(InvalidInput) as refused:
        parse_document(written)
    assert refused.value.field == field
    assert OTHER["d"] not in str(refused.value)


def test_an_audience_of_the_future_is_left_out():
    sets = json.loads(serialise(DOCUMENT))
    sets["fax"] = {"keys": [{"kty": "new"}]}
    assert len(parse_document(json.dumps(sets)).keys) == len(Audience)


def test_an_audience_that_an_older_writer_did_not_know_has_no_keys():
    sets = json.loads(serialise(DOCUMENT))
    del sets["twilio-media"]
    assert parse_document(json.dumps(sets)).to_sign_with(Audience.TWILIO_MEDIA, START) is None


def test_lifetimes_are_those_of_the_design():
    assert dict(LIFETIME_S) == {
        Audience.ACS_MEDIA: 30,
        Audience.ACS_CALLBACK: 10_800,
        Audience.TWILIO_MEDIA: 300,
    }
