"""The emulator's authority: kept, private, trusted by whoever names its file and by nobody else."""

import asyncio
import ssl
import stat

import pytest

from emulator.tls import Authority, open_tls
from shared.errors import ConfigurationError


async def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes:
    """What arrives over TLS from a server on loopback that is called `name`."""

    async def greet(_, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "emulator.test"])
async def test_the_certificate_is_good_for_loopback_and_more(tmp_path, name):
    authority = Authority(tmp_path / "ca")
    assert (
        await handshake(authority.server_context("emulator.test"), authority.client_context(), name)
        == b"hello"
    )


async def test_another_authority_is_not_trusted(tmp_path):
    mine, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(mine.server_context(), other.client_context(), "localhost")


async def test_the_authority_stays_the_same_between_runs(tmp_path):
    first = Authority(tmp_path / "ca")
    client = ssl.create_default_context(cafile=first.ca_file)
    again = open_tls(tmp_path / "ca", "127.0.0.1")
    assert await handshake(again.server, client, "127.0.0.1") == b"hello"


async def test_an_apps_own_certificate(tmp_path):
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("app", "app.test")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    assert await handshake(server, authority.client_context(), "app.test") == b"hello"


def test_the_keys_are_for_their_owner_only(tmp_path):
    folder = tmp_path / "ca"
    _, key = Authority(folder).issue("app")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = [file.name for file in folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]
    assert sorted(secret) == ["app-key.pem", "ca-private.pem"]
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in secret} == {0o600}
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(tmp_path):
    Authority(tmp_path)
    (tmp_path / "ca-private.pem").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Authority(tmp_path)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN nonsense", b"no PEM at all"])
def test_a_damaged_file_is_named(tmp_path, content):
    Authority(tmp_path)
    (tmp_path / "ca-private.pem").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"ca-private\.pem"):
        Authority(tmp_path)


def test_the_bundle_holds_the_systems_authorities_once_and_ours_once(tmp_path, monkeypatch):
    system = tmp_path / "system.pem"
    system.write_bytes(b"-----BEGIN CERTIFICATE-----\nsystem\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    authority = Authority(tmp_path / "ca")
    bundle = authority.bundle_file.read_bytes()
    assert bundle == system.read_bytes() + authority.ca_file.read_bytes()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle_file))  # as a user does who follows the docs
    assert Authority(tmp_path / "ca").bundle_file.read_bytes() == bundle


@pytest.mark.parametrize("name", ["", "../app", "ca", "ca-private", ".hidden", "a/b"])
def test_names_that_would_write_elsewhere(tmp_path, name):
    with pytest.raises(ValueError, match="plain file name"):
        Authority(tmp_path).issue(name)
