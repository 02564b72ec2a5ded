import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets.aio import SecretClient

from emulator.key_vault import VAULT_URL, EmulatorCredential, KeyVaultEmulator
from tests.support.tls import tls_for

TLS = tls_for("emulator.vault.azure.net")


@pytest.fixture
async def vault():
    vault = KeyVaultEmulator(TLS.server)
    await vault.start()
    yield vault
    await vault.close()
    await vault.close()


@pytest.fixture
async def client(vault):
    async with SecretClient(
        VAULT_URL, vault.credential(), transport=vault.transport(TLS.client), retry_total=0
    ) as client:
        yield client


async def test_the_real_client_sets_and_gets_secrets(client):
    first = await client.set_secret("keys", "one", content_type="text/plain")
    second = await client.set_secret("keys", "two")
    assert (await client.get_secret("keys")).value == "two"
    old = await client.get_secret("keys", first.properties.version)
    assert (old.value, old.properties.content_type) == ("one", "text/plain")
    assert old.properties.created_on == old.properties.updated_on
    assert first.properties.version != second.properties.version
    assert first.id == f"{VAULT_URL}/secrets/keys/{first.properties.version}"


async def test_the_client_is_challenged_before_it_shows_its_token(vault, client):
    await client.set_secret("keys", "one")
    challenged, accepted = vault.requests[-2:] if len(vault.requests) > 1 else (None, vault.requests[-1])
    assert accepted == "PUT /secrets/keys 200"
    assert challenged in (
        None,
        "PUT /secrets/keys 401",
    )  # None: the SDK remembers a challenge for the whole process


async def test_a_secret_or_version_that_is_not_there(client):
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await client.get_secret("keys")
    await client.set_secret("keys", "one")
    with pytest.raises(ResourceNotFoundError):
        await client.get_secret("keys", "0" * 32)


async def test_a_value_has_a_bound(client):
    await client.set_secret("keys", "x" * 25_000)
    with pytest.raises(HttpResponseError, match="at most 25k"):
        await client.set_secret("keys", "x" * 25_001)


async def test_another_token_is_refused(vault):
    stranger = EmulatorCredential("wrong")
    async with SecretClient(
        VAULT_URL, stranger, transport=vault.transport(TLS.client), retry_total=0
    ) as client:
        with pytest.raises(ClientAuthenticationError):
            await client.get_secret("keys")


async def test_the_credential_is_for_this_scope_only(vault):
    async with vault.credential() as credential:
        assert (await credential.get_token("https://vault.azure.net/.default")).token
        with pytest.raises(ValueError, match="key vault only"):
            await credential.get_token("https://storage.azure.com/.default")


async def test_trouble_on_request(vault, client):
    vault.failing = 503
    with pytest.raises(HttpResponseError) as failed:
        await client.get_secret("keys")
    assert failed.value.status_code == 503


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"value": 5}'])
async def test_requests_that_the_client_would_not_send(vault, body):
    token = (await vault.credential().get_token("https://vault.azure.net/.default")).token
    headers = {"Authorization": f"Bearer {token}"}
    url = f"https://127.0.0.1:{vault._port}/secrets/keys"
    async with aiohttp.ClientSession() as session:
        options = {"ssl": TLS.client, "server_hostname": "emulator.vault.azure.net", "data": body}
        for suffix, headers_ in (("?api-version=7.4", headers), ("", headers)):
            async with session.put(url + suffix, headers=headers_, **options) as response:
                assert response.status == 400
        async with session.put(url + "?api-version=7.4", **options) as response:
            assert response.status == 401
            assert 'resource="https://vault.azure.net"' in response.headers["WWW-Authenticate"]
    assert vault.secrets == {}


async def test_values_do_not_show_themselves(vault, client):
    await client.set_secret("keys", "hunter2")
    assert "hunter2" not in repr(vault.secrets)
