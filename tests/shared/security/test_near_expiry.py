import pytest

from shared.errors import KeysUnavailable


class Vault:
    """Two key vault secrets' place."""

    def __init__(self, text):
        self.text, self.saved = text, []

    async def load(self):
        return self.text

    async def save(self, text):
        self.text = text
        self.saved.append(text)

    async def close(self):
        pass


def near_expiry(name="signing", vault="kv", kind="Microsoft.KeyVault.SecretNearExpiry"):
    return {
        "id": "k-1",
        "eventType": kind,
        "subject": name,
        "eventTime": "2027-01-15T08:00:00Z",
        "data": {"VaultName": vault, "ObjectType": "Secret", "ObjectName": name},
    }


@pytest.fixture
async def vault(world, tmp_path):
    from dataclasses import replace

    signing = Vault((tmp_path / "signing.json").read_text())
    world.app.signing, world.app.verification = (
        signing,
        Vault((tmp_path / "verification.json").read_text()),
    )
    world.app.settings = replace(
        world.app.settings,
        signing_keys="https://kv.vault.azure.net/secrets/signing",
        verification_keys="https://kv.vault.azure.net/secrets/public",
    )
    world.clock.at += 86_400
    return signing


async def test_our_secrets_are_rotated_once(world, vault):
    assert await world.app.rotate_signing_keys(near_expiry())
    assert not await world.app.rotate_signing_keys(near_expiry("public", "KV"))
    assert len(vault.saved) == 1


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"vault": "foreign"}, {"kind": "Microsoft.KeyVault.SecretExpired"}],
)
async def test_other_secrets_are_not(world, vault, change):
    assert not await world.app.rotate_signing_keys(near_expiry(**change))
    assert vault.saved == []


async def test_a_malformed_event_is_not(world, vault):
    assert not await world.app.rotate_signing_keys({})


async def test_a_vault_that_is_away_is_raised(world, vault, monkeypatch):
    async def away():
        raise KeysUnavailable("away")

    monkeypatch.setattr(vault, "load", away)
    with pytest.raises(KeysUnavailable):
        await world.app.rotate_signing_keys(near_expiry())
