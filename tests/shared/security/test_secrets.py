import logging

import pytest

from emulator.key_vault import VAULT_URL, KeyVaultEmulator
from shared.errors import ConfigurationError, KeysUnavailable
from shared.security.key_sources import KeyVaultKeySource
from shared.security.secrets import RETRY_S, TTL_S, Secrets
from tests.support.timing import patience
from tests.support.tls import tls_for

TLS = tls_for("emulator.vault.azure.net")
REFERENCE = f"{VAULT_URL}/secrets/crm-key"
SECRET = "s3cr3t-of-the-crm"


@pytest.fixture
async def vault():
    vault = KeyVaultEmulator(TLS.server)
    await vault.start()
    yield vault
    await vault.close()


@pytest.fixture
async def from_vault(vault, clock):
    """Secrets whose Key Vault is the emulator, over TLS, by the real SDK; `identities` asked for are kept."""
    identities = []

    def open_source(address, managed_identity):
        identities.append(managed_identity)
        vault_url, _, name = address.rpartition("/secrets/")
        return KeyVaultKeySource(
            vault_url,
            name,
            timeout_s=patience(10),
            credential=vault.credential(),
            transport=vault.transport(TLS.client),
        )

    secrets = Secrets("the-identity", clock, {}, open_source=open_source)
    secrets.identities = identities
    yield secrets
    await secrets.close()
    await secrets.close()


async def put(vault, value, name="crm-key"):
    source = KeyVaultKeySource(
        VAULT_URL, name, credential=vault.credential(), transport=vault.transport(TLS.client)
    )
    await source.save(value)
    await source.close()


async def test_the_environment_is_read_each_time():
    environment = {"CRM": f" {SECRET}\n"}
    secrets = Secrets(environment=environment)
    assert await secrets.get("env:CRM") == SECRET
    environment["CRM"] = "new"
    assert await secrets.get("env:CRM") == "new"
    await secrets.close()


async def test_a_file_is_read_without_its_last_line_end(tmp_path, clock):
    (tmp_path / "key").write_text(f"{SECRET}\n")
    secrets = Secrets(now=clock)
    assert await secrets.get(f"file:{tmp_path / 'key'}") == SECRET
    (tmp_path / "key").write_text("new\n")
    assert await secrets.get(f"file:{tmp_path / 'key'}") == SECRET
    clock.time += TTL_S
    assert await secrets.get(f"file:{tmp_path / 'key'}") == "new"
    await secrets.close()


async def test_key_vault_is_asked_once_in_ten_minutes(vault, from_vault, clock):
    await put(vault, SECRET)
    vault.requests.clear()
    for _ in range(3):
        assert await from_vault.get(REFERENCE) == SECRET
        clock.time += TTL_S / 4
    assert vault.requests.count("GET /secrets/crm-key/ 200") == 1
    assert from_vault.identities == ["the-identity"]
    await put(vault, "rotated")
    clock.time += TTL_S / 4
    assert await from_vault.get(REFERENCE) == "rotated"


async def test_an_outage_of_key_vault_is_ridden_out(vault, from_vault, clock, caplog):
    await put(vault, SECRET)
    assert await from_vault.get(REFERENCE) == SECRET
    vault.failing = 503
    clock.time += 10 * TTL_S
    assert await from_vault.get(REFERENCE) == SECRET
    vault.failing = None
    await put(vault, "rotated")
    clock.time += RETRY_S
    assert await from_vault.get(REFERENCE) == "rotated"
    assert "the last known state stays in use" in caplog.text


async def test_an_outage_before_the_first_read_is_a_passing_fault(vault, from_vault):
    await put(vault, SECRET)
    vault.failing = 503
    with pytest.raises(KeysUnavailable):
        await from_vault.get(REFERENCE)
    vault.failing = None
    assert await from_vault.get(REFERENCE) == SECRET


async def test_what_is_missing_or_empty_is_named(vault, from_vault, tmp_path):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigurationError, match="crm-key: expected a secret that exists"):
        await from_vault.get(REFERENCE)
    secrets = Secrets(environment={"EMPTY": " "})
    for reference in ("env:NOWHERE", "env:EMPTY", f"file:{tmp_path}/empty", f"file:{tmp_path}/nowhere"):
        with pytest.raises(ConfigurationError, match=f"{reference}: expected a secret that"):
            await secrets.get(reference)
    await secrets.close()


async def test_no_secret_is_in_a_log_or_an_error(vault, from_vault, clock, caplog):
    caplog.set_level(logging.DEBUG)
    await put(vault, SECRET)
    await from_vault.get(REFERENCE)
    vault.failing = 403
    clock.time += TTL_S
    await from_vault.get(REFERENCE)
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(from_vault))
