import hmac
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Conflict, InvalidInput, NotFound, OutOfScope, StoreUnavailable, Unauthenticated
from shared.security import tenants
from shared.security.tenants import TABLE, Scope, TenantDoor
from shared.store import open_store
from shared.store.entities import Entity
from shared.telemetry import redact

READ = Scope.CALLS_READ


@pytest.fixture
async def store(tmp_path):
    store = open_store(f"sqlite:{tmp_path}/store.db")
    yield store
    await store.close()


@pytest.fixture
def door(store, clock):
    return TenantDoor(store, "production", clock)


async def refused(door, api_id, api_secret):
    with pytest.raises(Unauthenticated) as refusal:
        await door.authenticate(api_id, api_secret, READ)
    assert (refusal.value.reason, str(refusal.value)) == ("credentials", "authentication failed")
    return True


async def test_credentials_open_the_door_for_their_tenant(door):
    acme, other = await door.issue("acme"), await door.issue("other-1")
    assert await door.authenticate(acme.api_id, acme.api_secret, READ) == "acme"
    assert await door.authenticate(other.api_id, other.api_secret, READ) == "other-1"


async def test_a_secret_has_256_random_bits_and_a_mark(door):
    secrets = [(await door.issue("acme")).api_secret for _ in range(20)]
    assert len(set(secrets)) == 20
    assert {len(secret) for secret in secrets} == {4 + 43}
    assert redact(f"secret is {secrets[0]}") == "secret is [secret]"


async def test_only_a_hash_is_stored(door, store):
    credentials = await door.issue("acme")
    entity = await store.get(TABLE, "production", credentials.api_id)
    assert credentials.api_secret not in str(entity)
    assert credentials.api_secret not in repr(credentials)
    assert len(entity.values["hash1"]) == 64


async def test_the_same_secret_has_another_hash_for_another_id():
    assert tenants._hash("pci_1", "pcs_x") != tenants._hash("pci_2", "pcs_x")


async def test_the_stored_hash_is_no_key(door, store):
    credentials = await door.issue("acme")
    entity = await store.get(TABLE, "production", credentials.api_id)
    assert await refused(door, credentials.api_id, entity.values["hash1"])


GOOD_SECRET = "pcs_" + "A" * 43
GOOD_ID = "pci_0123456789abcdef"


@pytest.mark.parametrize(
    ("api_id", "api_secret"),
    [
        (None, None),
        ("{id}", None),
        (None, "{secret}"),
        ("", ""),
        ("{id}", ""),
        ("", "{secret}"),
        ("{id}", GOOD_SECRET),
        (GOOD_ID, "{secret}"),
        (GOOD_ID, GOOD_SECRET),
        ("{id}", "{other}"),
        ("{other id}", "{secret}"),
        ("{id}, {id}", "{secret}"),
        ("{id},{other id}", "{secret}"),
        ("{id}", "{secret}, {secret}"),
        ("{id}", "{secret},{other}"),
        ("{secret}", "{id}"),
        ("{id}", "{secret}A"),
        ("{id} ", "{secret}"),
        ("{id}", "{secret}\n"),
        ("{id}", "Bearer {secret}"),
        ("{id}", "pcs_"),
        ("{id}", "\0" * 47),
        ("{id}/../{id}", "{secret}"),
        ("{ID}", "{secret}"),
        ("pci_" + "0" * 100_000, "{secret}"),
        ("pci_١١١١١١١١١١١١١١١١", "{secret}"),
    ],
)
async def test_wrong_credentials(door, api_id, api_secret):
    mine, other = await door.issue("acme"), await door.issue("other")

    def fill(text):
        for name, value in {
            "{id}": mine.api_id,
            "{ID}": mine.api_id.upper(),
            "{secret}": mine.api_secret,
            "{other}": other.api_secret,
            "{other id}": other.api_id,
        }.items():
            text = text and text.replace(name, value)
        return text

    assert await refused(door, fill(api_id), fill(api_secret))
    assert await door.authenticate(mine.api_id, mine.api_secret, READ) == "acme"


async def test_credentials_of_another_environment_do_not_exist_here(store, clock, door):
    sandbox = TenantDoor(store, "sandbox", clock)
    credentials = await sandbox.issue("acme")
    assert await sandbox.authenticate(credentials.api_id, credentials.api_secret, READ)
    assert await refused(door, credentials.api_id, credentials.api_secret)
    with pytest.raises(NotFound):
        await door.rotate(credentials.api_id)
    with pytest.raises(NotFound):
        await door.revoke(credentials.api_id, "oldest")


@pytest.mark.parametrize("known", ["wrong secret", "unknown id", "right"])
@pytest.mark.parametrize("two_secrets", [True, False])
async def test_the_same_is_done_whatever_is_right(door, store, monkeypatch, known, two_secrets):
    credentials = await door.issue("acme")
    if two_secrets:
        await door.rotate(credentials.api_id)
    work = Counter()

    class Watched:
        async def get(self, *key):
            work["get"] += 1
            return await store.get(*key)

    def compare(left, right):
        work["compare"] += 1
        return hmac.compare_digest(left, right)

    monkeypatch.setattr(tenants, "hmac", type("Hmac", (), {"compare_digest": staticmethod(compare)}))
    watched = TenantDoor(Watched(), "production", lambda: 0)
    if known == "right":
        assert await watched.authenticate(credentials.api_id, credentials.api_secret, READ) == "acme"
    else:
        assert await refused(watched, GOOD_ID if known == "unknown id" else credentials.api_id, GOOD_SECRET)
    assert work == {"get": 1, "compare": 2}


async def test_two_secrets_live_at_once_and_no_third(door, clock):
    first = await door.issue("acme")
    clock.time += 1
    second = await door.rotate(first.api_id)
    for credentials in (first, second):
        assert await door.authenticate(credentials.api_id, credentials.api_secret, READ) == "acme"
    with pytest.raises(Conflict):
        await door.rotate(first.api_id)


@pytest.mark.parametrize(("which", "left"), [("oldest", 1), ("newest", 0)])
async def test_one_secret_is_revoked_and_the_other_stays(door, clock, which, left):
    both = [await door.issue("acme")]
    clock.time += 1
    both.append(await door.rotate(both[0].api_id))
    await door.revoke(both[0].api_id, which)
    assert await door.authenticate(both[left].api_id, both[left].api_secret, READ) == "acme"
    assert await refused(door, both[1 - left].api_id, both[1 - left].api_secret)


async def test_rotation_again_and_again(door, clock):
    current = await door.issue("acme")
    for _ in range(4):
        clock.time += 1
        replacement = await door.rotate(current.api_id)
        await door.revoke(current.api_id, "oldest")
        assert await refused(door, current.api_id, current.api_secret)
        assert await door.authenticate(replacement.api_id, replacement.api_secret, READ) == "acme"
        current = replacement


async def test_the_last_secret_can_be_revoked_and_nothing_else_opens(door):
    credentials = await door.issue("acme")
    await door.revoke(credentials.api_id, "newest")
    assert await refused(door, credentials.api_id, credentials.api_secret)
    with pytest.raises(NotFound):
        await door.revoke(credentials.api_id, "newest")
    again = await door.rotate(credentials.api_id)
    assert await door.authenticate(again.api_id, again.api_secret, READ) == "acme"


async def test_a_whole_id_is_revoked(door, clock):
    both = [await door.issue("acme")]
    clock.time += 1
    both.append(await door.rotate(both[0].api_id))
    await door.revoke(both[0].api_id, "all")
    for credentials in both:
        assert await refused(door, credentials.api_id, credentials.api_secret)


@pytest.mark.parametrize("scope", Scope)
async def test_credentials_open_only_the_doors_that_they_were_made_for(door, scope):
    one = await door.issue("acme", [scope])
    for wanted in Scope:
        if wanted is scope:
            assert await door.authenticate(one.api_id, one.api_secret, wanted) == "acme"
            continue
        with pytest.raises(OutOfScope, match=wanted.value) as refused_:
            await door.authenticate(one.api_id, one.api_secret, wanted)
        assert refused_.value.code == "403-02"
    rotated = await door.rotate(one.api_id)
    with pytest.raises(OutOfScope):
        await door.authenticate(rotated.api_id, rotated.api_secret, next(s for s in Scope if s != scope))


async def test_a_wrong_secret_is_never_told_about_scopes(door):
    one = await door.issue("acme", [Scope.EVENTS])
    assert await refused(door, one.api_id, GOOD_SECRET)


async def test_credentials_of_before_there_were_scopes_open_every_door(door, store):
    one = await door.issue("acme")
    row = await store.get(TABLE, "production", one.api_id)
    values = {name: value for name, value in row.values.items() if name != "scopes"}
    await store.replace(TABLE, Entity(row.partition, row.row, values, row.etag))
    for scope in Scope:
        assert await door.authenticate(one.api_id, one.api_secret, scope) == "acme"


@pytest.mark.parametrize("api_id", [GOOD_ID, "", "x/y", "a" * 2000])
async def test_nothing_to_change_for_an_unknown_id(door, api_id):
    with pytest.raises(NotFound):
        await door.rotate(api_id)
    with pytest.raises(NotFound):
        await door.revoke(api_id, "oldest")


@pytest.mark.parametrize("tenant", ["", "Acme", "a b", "-a", "a" * 64, "a/b", "ä"])
async def test_a_tenants_name_is_simple(door, tenant):
    with pytest.raises(InvalidInput, match="tenant"):
        await door.issue(tenant)


async def test_two_changes_at_once_both_count(door, store, clock):
    """Somebody else's secret is added between our reading and our writing."""
    first = await door.issue("acme")
    clock.time += 1
    await door.rotate(first.api_id)
    await door.revoke(first.api_id, "oldest")
    raced = []

    class Racing:
        async def get(self, *key):
            entity = await store.get(*key)
            if not raced:
                raced.append(await door.rotate(first.api_id))
            return entity

        replace = store.replace

    with pytest.raises(Conflict):
        await TenantDoor(Racing(), "production", clock).rotate(first.api_id)
    assert await door.authenticate(first.api_id, raced[0].api_secret, READ) == "acme"


async def test_endless_races_end(door, store, clock):
    credentials = await door.issue("acme")

    class Racing:
        async def get(self, *key):
            entity = await store.get(*key)
            await store.replace(TABLE, Entity(entity.partition, entity.row, entity.values, entity.etag))
            return entity

        replace = store.replace

    with pytest.raises(Conflict, match="by somebody else"):
        await TenantDoor(Racing(), "production", clock).rotate(credentials.api_id)


async def test_a_store_that_does_not_answer_is_no_refusal(tmp_path, clock):
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    store = open_store(f"sqlite:{tmp_path}/store.db")
    with pytest.raises(StoreUnavailable):
        await TenantDoor(store, "production", clock).authenticate(GOOD_ID, GOOD_SECRET, READ)
    await store.close()


@given(st.text(max_size=60) | st.none(), st.text(max_size=60) | st.none())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_two_texts_are_refused(door, api_id, api_secret):
    assert await refused(door, api_id, api_secret)
