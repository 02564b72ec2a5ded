import pytest

from shared.errors import InvalidInput, KeysUnavailable, NotFound, TokenRejected
from shared.security.audiences import Audience
from shared.security.key_document import (
    LEAD_S,
    Document,
    new_document,
    parse_document,
    public_part,
    rotate,
    serialise,
)
from shared.security.keyring import KeyRing, ensure_keys, rotate_keys
from tests.shared.security.support import START, CountingSource

MEDIA, CALLBACK = Audience.ACS_MEDIA, Audience.ACS_CALLBACK


@pytest.fixture
def ring(keys, clock):
    return KeyRing(keys.verification, clock)


def kid_of(document, audience):
    return next(key.kid for key in document.keys if key.audience is audience)


async def test_a_key_is_found_by_its_name_for_its_audience(keys, ring):
    key = await ring.verification_key(kid_of(keys.document, MEDIA), MEDIA)
    assert key.audience is MEDIA
    assert key.private is None
    assert keys.verification.loads == 1


async def test_a_key_of_another_audience_is_refused(keys, ring):
    with pytest.raises(TokenRejected) as refused:
        await ring.verification_key(kid_of(keys.document, CALLBACK), MEDIA)
    assert refused.value.reason == "audience"


async def test_an_unknown_name_makes_it_look_again_but_not_often(keys, ring, clock):
    await ring.verification_key(kid_of(keys.document, MEDIA), MEDIA)
    clock.time += 10
    for number in range(50):
        with pytest.raises(TokenRejected) as refused:
            await ring.verification_key(f"forged-{number}", MEDIA)
        assert refused.value.reason == "unknown-key"
    assert keys.verification.loads == 2


async def test_a_key_published_a_moment_ago_is_found(keys, ring, clock):
    await ring.verification_key(kid_of(keys.document, MEDIA), MEDIA)
    clock.time += 10
    rotated = rotate(keys.document, clock())
    await keys.verification.save(serialise(public_part(rotated)))
    assert await ring.verification_key(rotated.keys[-1].kid, rotated.keys[-1].audience)


async def test_a_removed_key_is_refused_within_the_ttl(keys, ring, clock):
    kid = kid_of(keys.document, MEDIA)
    await ring.verification_key(kid, MEDIA)
    await keys.verification.save(serialise(public_part(new_document(clock()))))
    clock.time += 300
    with pytest.raises(TokenRejected) as refused:
        await ring.verification_key(kid, MEDIA)
    assert refused.value.reason == "unknown-key"


async def test_an_expired_key_is_refused_while_it_still_stands_in_the_document(keys, clock):
    rotated = rotate(keys.document, clock(), overlap_s=100, lead_s=0)
    await keys.verification.save(serialise(public_part(rotated)))
    ring = KeyRing(keys.verification, clock)
    kid = kid_of(keys.document, MEDIA)
    clock.time += 99
    assert await ring.verification_key(kid, MEDIA)
    clock.time += 1
    with pytest.raises(TokenRejected) as refused:
        await ring.verification_key(kid, MEDIA)
    assert refused.value.reason == "unknown-key"


async def test_an_outage_does_not_stop_a_ring_that_has_read_once(keys, ring, clock):
    kid = kid_of(keys.document, MEDIA)
    await ring.verification_key(kid, MEDIA)
    keys.break_sources()
    clock.time += 86_400
    assert await ring.verification_key(kid, MEDIA)
    keys.mend_sources()
    clock.time += 5
    assert await ring.verification_key(kid, MEDIA)


async def test_an_outage_at_the_start_is_retryable(keys, ring):
    keys.break_sources()
    with pytest.raises(KeysUnavailable) as failed:
        await ring.verification_key("any", MEDIA)
    assert failed.value.retryable
    keys.mend_sources()
    assert await ring.verification_key(kid_of(keys.document, MEDIA), MEDIA)


@pytest.mark.parametrize("content", [None, "{", '{"acs-media": {"keys": [{"d": "hunter2"}]}}'])
async def test_a_missing_or_broken_document_is_unavailable(keys, ring, content):
    keys.public_path.unlink()
    if content is not None:
        keys.public_path.write_text(content)
    with pytest.raises(KeysUnavailable, match="no usable key document") as failed:
        await ring.signing_key(MEDIA)
    assert "hunter2" not in str(failed.value)


async def test_signing_takes_the_private_document(keys, clock):
    key = await KeyRing(keys.signing, clock).signing_key(CALLBACK)
    assert key.kid == kid_of(keys.document, CALLBACK)
    assert key.private


async def test_the_public_document_cannot_sign(ring):
    with pytest.raises(KeysUnavailable, match="no private key for acs-media"):
        await ring.signing_key(MEDIA)


async def test_a_document_that_lacks_an_audience_is_read_again(keys, clock):
    await keys.signing.save(
        serialise(Document(tuple(k for k in keys.document.keys if k.audience is not MEDIA)))
    )
    ring = KeyRing(keys.signing, clock)
    with pytest.raises(KeysUnavailable):
        await ring.signing_key(MEDIA)
    await keys.write()
    clock.time += 5
    assert await ring.signing_key(MEDIA)


async def test_a_rotation_publishes_before_it_signs(keys, clock):
    order = []

    class Spy(CountingSource):
        async def save(self, text):
            order.append((self._path.name, '"d"' in text))
            await super().save(text)

    clock.time += 3600
    assert await rotate_keys(Spy(keys.private_path), Spy(keys.public_path), clock())
    assert order == [("verification.json", False), ("signing.json", True)]


async def test_tokens_stay_good_through_a_rotation(keys, clock):
    """Every key that signs, at any moment around a rotation, is one that a host with an old copy of the document knows."""
    signer, verifier = KeyRing(keys.signing, clock), KeyRing(keys.verification, clock)
    seen = set()
    for second in range(0, 1200, 60):
        clock.time = START + 3600 + second
        if second == 120:
            assert await rotate_keys(keys.signing, keys.verification, clock())
        kid = (await signer.signing_key(MEDIA)).kid
        seen.add(kid)
        assert await verifier.verification_key(kid, MEDIA)
    assert len(seen) == 2
    assert keys.verification.loads <= 6  # one every 300 s, and the rotation's own


async def test_rotating_twice_for_one_reason_does_nothing_the_second_time(keys, clock):
    clock.time += 3600
    assert await rotate_keys(keys.signing, keys.verification, clock())
    once = keys.private_path.read_text()
    assert not await rotate_keys(keys.signing, keys.verification, clock() + 5)
    assert keys.private_path.read_text() == once
    assert await rotate_keys(keys.signing, keys.verification, clock() + 5, min_age_s=0)


async def test_a_rotation_in_an_emergency_ends_the_old_keys_at_once(keys, clock):
    clock.time += 1
    assert await rotate_keys(keys.signing, keys.verification, clock(), overlap_s=0, lead_s=0, min_age_s=0)
    ring = KeyRing(keys.verification, clock)
    with pytest.raises(TokenRejected):
        await ring.verification_key(kid_of(keys.document, MEDIA), MEDIA)
    assert await ring.verification_key((await KeyRing(keys.signing, clock).signing_key(MEDIA)).kid, MEDIA)


async def test_a_rotation_that_broke_off_is_repaired_by_the_next(keys, clock):
    clock.time += 3600
    abandoned = rotate(keys.document, clock())
    await keys.verification.save(serialise(public_part(abandoned)))  # and the process died here
    assert await rotate_keys(keys.signing, keys.verification, clock() + 1)
    private, public = (
        parse_document(keys.private_path.read_text()),
        parse_document(keys.public_path.read_text()),
    )
    assert serialise(public_part(private)) == serialise(public)
    assert LEAD_S > 300


async def test_two_rotations_at_once_leave_two_documents_that_agree(keys, clock):
    class Slow(CountingSource):
        """Lets another rotation go through before its own private document is written."""

        async def save(self, text):
            await rotate_keys(keys.signing, keys.verification, clock())
            await super().save(text)

    clock.time += 3600
    await rotate_keys(Slow(keys.private_path), keys.verification, clock())
    private, public = (
        parse_document(keys.private_path.read_text()),
        parse_document(keys.public_path.read_text()),
    )
    assert serialise(public_part(private)) == serialise(public)


async def test_keys_are_made_only_where_there_are_none(tmp_path, clock):
    private, public = CountingSource(tmp_path / "a" / "p.json"), CountingSource(tmp_path / "b" / "q.json")
    assert await ensure_keys(private, public, clock())
    text = await private.load()
    assert serialise(public_part(parse_document(text))) == await public.load()
    assert not await ensure_keys(private, public, clock())
    assert await private.load() == text


@pytest.mark.parametrize("content", [None, "{}"])
async def test_a_lost_public_document_is_published_again(keys, clock, content):
    before = keys.public_path.read_text()
    keys.public_path.unlink()
    if content:
        keys.public_path.write_text(content)
    assert not await ensure_keys(keys.signing, keys.verification, clock())
    assert keys.public_path.read_text() == before


async def test_a_private_document_that_cannot_be_read_is_left_alone(keys, clock):
    keys.private_path.write_text("{broken")
    with pytest.raises(InvalidInput):
        await ensure_keys(keys.signing, keys.verification, clock())
    assert keys.private_path.read_text() == "{broken"


async def test_there_is_nothing_to_rotate_without_keys(tmp_path, clock):
    with pytest.raises(NotFound):
        await rotate_keys(CountingSource(tmp_path / "p"), CountingSource(tmp_path / "q"), clock())


async def test_closing_the_ring_closes_its_source(keys, clock):
    closed = []

    class Spy(CountingSource):
        async def close(self):
            closed.append(True)

    await KeyRing(Spy(keys.public_path), clock).close()
    await KeyRing(keys.verification, clock).close()
    assert closed == [True]
