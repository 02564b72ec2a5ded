"""https and wss for the emulator: a certificate authority of its own that stays the same between runs.

A folder holds it: `ca.pem` is what clients trust, `ca-bundle.pem` is the same together with the system's authorities (for
variables that replace a client's whole list, such as `SSL_CERT_FILE`), and `ca-private.pem` (0600) holds the private key.
Whoever has that key can pretend to be any host to a client that trusts `ca.pem`: the folder is for one person on one machine.
"""

import contextlib
import ipaddress
import os
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    import trustme

ORGANISATION = "Patchcord emulator"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
PRIVATE_FILE = "ca-private.pem"
CA_FILE = "ca.pem"
BUNDLE_FILE = "ca-bundle.pem"
LEAF_LIFETIME = timedelta(days=397)
"""Some clients refuse certificates that are valid for longer."""
KEY_MARK = b"-----BEGIN "


class Authority:
    """The certificate authority in a folder; made there the first time. Blocks for some milliseconds.

    Args:
        folder: where it is kept; created with access for its owner only.

    Attributes:
        ca_file: the authority's certificate, PEM.
        bundle_file: the system's authorities and this one, PEM.

    Raises:
        ConfigurationError: `trustme` is missing, or the folder does not hold what it should.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = folder / CA_FILE
        self.bundle_file = folder / BUNDLE_FILE
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ca = self._load(folder / PRIVATE_FILE)
        certificate = self._ca.cert_pem.bytes()
        _replace(self.ca_file, certificate, 0o644)
        # `SSL_CERT_FILE` may name the bundle of an earlier run: this authority must not be in it twice.
        system = _system_authorities().replace(certificate, b"")
        _replace(self.bundle_file, system + certificate, 0o644)

    @staticmethod
    def _load(file: Path) -> "trustme.CA":
        try:
            import trustme
        except ImportError:
            raise ConfigurationError("tls_folder", "the package trustme (pip install trustme)") from None
        if not file.exists():
            made = trustme.CA(organization_name=ORGANISATION, organization_unit_name=secrets.token_hex(4))
            # Two emulators may start at once: the one whose file is there first is right for both.
            _create(file, made.private_key_pem.bytes() + made.cert_pem.bytes())
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise ConfigurationError(str(file), "a private key that only its owner can read (chmod 600)")
        key, mark, certificate = file.read_bytes().rpartition(KEY_MARK)
        try:
            return trustme.CA.from_pem(cert_bytes=mark + certificate, private_key_bytes=key)
        except (ValueError, TypeError):
            raise ConfigurationError(str(file), "the authority's key and certificate; delete it") from None

    def _leaf(self, names: tuple[str, ...]) -> "trustme.LeafCert":
        now = datetime.now(UTC)
        return self._ca.issue_cert(
            *_names(names),
            organization_name=ORGANISATION,
            not_before=now - timedelta(days=1),
            not_after=now + LEAF_LIFETIME,
        )

    def client_context(self) -> ssl.SSLContext:
        """For outgoing connections: trusts the system's authorities and this one."""
        context = ssl.create_default_context()
        context.load_verify_locations(self.ca_file)
        return context

    def server_context(self, *names: str) -> ssl.SSLContext:
        """For a server on loopback, with a fresh certificate for `localhost`, `127.0.0.1`, `::1` and more `names`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._leaf(names).configure_cert(context)
        return context

    def issue(self, name: str, *names: str) -> tuple[Path, Path]:
        """A certificate for an app's own server, so that its `https://` and `wss://` addresses can be called.

        Args:
            name: names the files `NAME.pem` and `NAME-key.pem` (0600) in the folder; replaced when they exist.
            names: host names and addresses besides `localhost`, `127.0.0.1` and `::1`.

        Returns:
            The certificate (with its chain) and the private key.

        Raises:
            ValueError: `name` is no plain file name.
        """
        if not name or Path(name).name != name or name.startswith((".", "ca")):
            raise ValueError("a plain file name, not beginning with a dot or `ca`")
        leaf = self._leaf(names)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        _replace(key, leaf.private_key_pem.bytes(), 0o600)
        _replace(certificate, b"".join(part.bytes() for part in leaf.cert_chain_pems), 0o644)
        return certificate, key


@dataclass(frozen=True, slots=True)
class Tls:
    """What a running emulator needs.

    Attributes:
        authority: issued the certificate; knows the files that clients need.
        server: for its own port.
        client: for callbacks, Event Grid and WebSockets.
    """

    authority: Authority
    server: ssl.SSLContext
    client: ssl.SSLContext


def open_tls(folder: Path, host: str) -> Tls:
    """The authority in `folder` and contexts for an emulator that listens on `host`; blocks, see `Authority`."""
    authority = Authority(folder)
    return Tls(authority, authority.server_context(host), authority.client_context())


def _names(more: tuple[str, ...]) -> list[str]:
    """Loopback's names and more, each once; addresses in their normal form."""
    names: dict[str, None] = {}
    for name in (*LOOPBACK_NAMES, *more):
        with contextlib.suppress(ValueError):
            name = str(ipaddress.ip_address(name.strip("[]")))
        names[name] = None
    return list(names)


def _system_authorities() -> bytes:
    """The authorities that OpenSSL trusts by default (`SSL_CERT_FILE` counts), or certifi's; empty when there are none."""
    files = [ssl.get_default_verify_paths().cafile]
    with contextlib.suppress(ImportError):
        import certifi

        files.append(certifi.where())
    for file in filter(None, files):
        with contextlib.suppress(OSError):
            return Path(file).read_bytes().rstrip(b"\n") + b"\n"
    return b""


def _temporary(file: Path, data: bytes, mode: int) -> Path:
    path = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    return path


def _create(file: Path, data: bytes) -> None:
    """Create whole, for the owner only; leaves a file that is there as it is."""
    path = _temporary(file, data, 0o600)
    try:
        os.link(path, file)
    except FileExistsError:
        pass
    finally:
        path.unlink()


def _replace(file: Path, data: bytes, mode: int) -> None:
    """Write whole or not at all."""
    os.replace(_temporary(file, data, mode), file)
