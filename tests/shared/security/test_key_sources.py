import asyncio
import socket
import ssl
import stat

import azure.identity.aio
import pytest
from azure.core.credentials import AccessToken

from emulator.key_vault import VAULT_URL, KeyVaultEmulator
from shared.errors import ConfigurationError, KeysUnavailable, NotFound
from shared.security.audiences import Audience
from shared.security.key_document import LIMIT
from shared.security.key_sources import FileKeySource, KeyVaultKeySource, open_key_source
from shared.security.keyring import KeyRing, ensure_keys, rotate_keys
from tests.support.timing import patience
from tests.support.tls import tls_for

START = 1_800_000_000
TLS = tls_for("emulator.vault.azure.net")


async def test_a_file_keeps_what_was_saved(tmp_path):
    source = FileKeySource(tmp_path / "new" / "keys.json")
    with pytest.raises(NotFound):
        await source.load()
    await source.save("one")
    await source.save("zwei 😀")
    assert await source.load() == "zwei 😀"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["keys.json"]
    await source.close()


async def test_only_its_owner_can_read_the_file(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text("old")
    path.chmod(0o644)
    await FileKeySource(path).save("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    source = FileKeySource(tmp_path / "keys.json")
    texts = {letter * 20_000 for letter in "abcd"}
    await source.save("a" * 20_000)

    async def write():
        for text in sorted(texts) * 3:
            await source.save(text)

    writing = asyncio.create_task(write())
    async with asyncio.timeout(patience(20)):
        while not writing.done():
            assert await source.load() in texts
    await writing


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (LIMIT + 1)])
async def test_a_file_that_is_no_key_document(tmp_path, content):
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(KeysUnavailable):
        await FileKeySource(tmp_path / "keys.json").load()


async def test_a_place_that_cannot_be_read_or_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(KeysUnavailable, match="IsADirectoryError"):
        await FileKeySource(tmp_path / "folder").load()
    with pytest.raises(KeysUnavailable, match="IsADirectoryError"):
        await FileKeySource(tmp_path / "folder").save("x")
    with pytest.raises(KeysUnavailable):
        await FileKeySource(tmp_path / "file" / "below").save("x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.fixture
async def vault():
    vault = KeyVaultEmulator(TLS.server)
    await vault.start()
    yield vault
    await vault.close()


@pytest.fixture
async def open_secret(vault):
    """Opens a Key Vault source by a secret's name; closes all at the end."""
    opened = []

    def open_source(name, **options):
        options.setdefault("credential", vault.credential())
        options["transport"] = vault.transport(options.pop("trust", TLS.client))
        opened.append(
            KeyVaultKeySource(VAULT_URL, name, now=lambda: START, timeout_s=patience(10), **options)
        )
        return opened[-1]

    yield open_source
    for source in opened:
        await source.close()
        await source.close()


async def test_a_key_vault_keeps_what_was_saved(vault, open_secret):
    source = open_secret("signing-keys")
    with pytest.raises(NotFound):
        await source.load()
    await source.save("one")
    await source.save("zwei 😀")
    assert await source.load() == "zwei 😀"
    assert [version.value for version in vault.secrets["signing-keys"]] == ["one", "zwei 😀"]
    assert vault.secrets["signing-keys"][-1].content_type == "application/json"


async def test_a_version_expires_in_90_days_so_that_key_vault_asks_for_a_rotation_after_60(
    vault, open_secret
):
    await open_secret("signing-keys").save("one")
    assert vault.secrets["signing-keys"][0].attributes["exp"] == START + 90 * 86_400


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_key_vault_in_trouble_is_a_passing_fault(vault, open_secret, status):
    source = open_secret("signing-keys")
    vault.failing = status
    with pytest.raises(KeysUnavailable, match="key vault, secret signing-keys"):
        await source.load()
    with pytest.raises(KeysUnavailable, match="key vault, secret signing-keys"):
        await source.save("x")
    vault.failing = None
    await source.save("x")
    assert await source.load() == "x"


async def test_a_vault_that_wants_another_token(open_secret):
    class Stranger:
        async def get_token(self, *scopes, **options):
            return AccessToken("wrong", 2**31)

        async def close(self):
            pass

    with pytest.raises(KeysUnavailable, match="ClientAuthenticationError"):
        await open_secret("signing-keys", credential=Stranger()).load()


async def test_a_certificate_that_is_not_trusted(vault, open_secret):
    with pytest.raises(KeysUnavailable, match="ServiceRequestError"):
        await open_secret("signing-keys", trust=ssl.create_default_context()).load()
    assert vault.requests == []


async def test_a_vault_that_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vault = KeyVaultEmulator(TLS.server)
        vault._port = silent.getsockname()[1]
        source = KeyVaultKeySource(
            VAULT_URL,
            "keys",
            timeout_s=0.2,
            credential=vault.credential(),
            transport=vault.transport(TLS.client),
        )
        for attempt in (source.load(), source.save("x")):
            async with asyncio.timeout(patience(10)):
                with pytest.raises(KeysUnavailable, match="TimeoutError"):
                    await attempt
        await source.close()


async def test_keys_live_and_rotate_in_a_key_vault(open_secret, clock):
    signing, verification = open_secret("signing-keys"), open_secret("verification-keys")
    assert await ensure_keys(signing, verification, clock())
    before = await KeyRing(signing, clock).signing_key(Audience.ACS_MEDIA)
    clock.time += 3600
    assert await rotate_keys(signing, verification, clock())
    clock.time += 400
    after = await KeyRing(signing, clock).signing_key(Audience.ACS_MEDIA)
    ring = KeyRing(verification, clock)
    assert before.kid != after.kid
    for key in (before, after):
        assert (await ring.verification_key(key.kid, Audience.ACS_MEDIA)).private is None


async def test_by_default_the_identity_of_the_machine_signs_in(monkeypatch):
    made = []

    class Identity:
        def __init__(self, **options):
            made.append(options)

        async def get_token(self, *scopes, **options):
            raise azure.identity.CredentialUnavailableError("no identity here")

        async def close(self):
            made.append("closed")

    monkeypatch.setattr(azure.identity.aio, "DefaultAzureCredential", Identity)
    for identity in ("", "client-id"):
        source = KeyVaultKeySource(VAULT_URL, "keys", identity)
        source._open()
        await source.close()
    assert made == [
        {"managed_identity_client_id": None},
        "closed",
        {"managed_identity_client_id": "client-id"},
        "closed",
    ]


async def test_addresses(tmp_path):
    file = open_key_source(f"file:{tmp_path}/keys.json")
    await file.save("x")
    assert (tmp_path / "keys.json").read_text() == "x"
    secret = open_key_source("https://acme.vault.azure.net/secrets/signing-keys", "client-id")
    assert isinstance(secret, KeyVaultKeySource)
    assert (secret._vault_url, secret._name, secret._managed_identity) == (
        "https://acme.vault.azure.net",
        "signing-keys",
        "client-id",
    )
    await secret.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "file:",
        "keys.json",
        "http://acme.vault.azure.net/secrets/k",
        "https://acme.vault.azure.net/keys/k",
        "https:///secrets/k",
        "https://acme.vault.azure.net/secrets/",
        "https://acme.vault.azure.net/secrets/k/v1",
    ],
)
def test_other_addresses_are_named(address):
    with pytest.raises(ConfigurationError, match="key source"):
        open_key_source(address)
