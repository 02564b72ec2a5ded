"""Where a key document is kept: a file on one machine, a Key Vault secret in the cloud."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from shared.errors import ConfigurationError, KeysUnavailable, NotFound
from shared.security.key_document import LIMIT

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.keyvault.secrets.aio import SecretClient

logger = logging.getLogger(__name__)


class KeySource(Protocol):
    """A place for one text."""

    async def load(self) -> str:
        """The text.

        Raises:
            NotFound: there is none yet.
            KeysUnavailable: the place does not answer, or does not let us in.
        """

    async def save(self, text: str) -> None:
        """Replace the text; readers see the old one or the new one, nothing between.

        Raises:
            KeysUnavailable: the place does not answer, or does not let us in.
        """

    async def close(self) -> None:
        """Give back connections; idempotent."""


class FileKeySource:
    """A file that only its owner can read (mode 0600), replaced as a whole.

    Args:
        path: the file; its folder is created by `save`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> str:
        """The file's text.

        Raises:
            NotFound: no such file.
            KeysUnavailable: it cannot be read, or is too long to be a key document.
        """
        return await asyncio.to_thread(self._load)

    async def save(self, text: str) -> None:
        """Replace the file by way of a new one beside it.

        Raises:
            KeysUnavailable: it cannot be written.
        """
        await asyncio.to_thread(self._save, text)

    async def close(self) -> None:
        """Nothing to give back."""

    def _load(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(LIMIT + 1)
            if len(content) > LIMIT:
                raise KeysUnavailable(f"{self._path}: more than {LIMIT} bytes")
            return content.decode()
        except FileNotFoundError:
            raise NotFound(f"no key file at {self._path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeysUnavailable(f"{self._path}: {type(error).__name__}") from error

    def _save(self, text: str) -> None:
        new = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._path)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise KeysUnavailable(f"{self._path}: {type(error).__name__}") from error


class KeyVaultKeySource:
    """A secret in Azure Key Vault; each `save` makes a new version of it, readers take the newest.

    New versions carry an expiry date, so that Key Vault reports SecretNearExpiry 30 days before it: with 90 days, that
    makes a rotation every 60 (reliability.md 3A). Key Vault still hands out an expired secret.

    Args:
        vault_url: `https://NAME.vault.azure.net`.
        name: the secret's name.
        managed_identity: client id of the identity to use, or "" for whatever `DefaultAzureCredential` finds.
        timeout_s: seconds for one load or save, retries and sign-in included.
        valid_days: days until a version's expiry date.
        now: Unix time (s).
        credential: instead of `DefaultAzureCredential`.
        transport: instead of azure-core's own.
    """

    def __init__(
        self,
        vault_url: str,
        name: str,
        managed_identity: str = "",
        *,
        timeout_s: float = 5.0,
        valid_days: int = 90,
        now: Callable[[], float] = time.time,
        credential: "AsyncTokenCredential | None" = None,
        transport: "AsyncHttpTransport[HttpRequest, AsyncHttpResponse] | None" = None,
    ) -> None:
        self._vault_url = vault_url
        self._name = name
        self._managed_identity = managed_identity
        self._timeout_s = timeout_s
        self._valid = timedelta(days=valid_days)
        self._now = now
        self._credential = credential
        self._transport = transport
        self._client: SecretClient | None = None

    def _open(self) -> "SecretClient":
        """The client; made at first use, because its packages take long to import and may not be needed at all."""
        if self._client is None:
            from azure.keyvault.secrets.aio import SecretClient

            if self._credential is None:
                from azure.identity.aio import DefaultAzureCredential

                self._credential = DefaultAzureCredential(
                    managed_identity_client_id=self._managed_identity or None
                )
            options: dict[str, object] = {"retry_total": 2, "retry_backoff_factor": 0.2}
            if self._transport is not None:
                options["transport"] = self._transport
            self._client = SecretClient(self._vault_url, self._credential, **options)
        return self._client

    async def load(self) -> str:
        """The newest version's value.

        Raises:
            NotFound: no such secret.
            KeysUnavailable: Key Vault does not answer in time, or does not let us in.
        """
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            async with asyncio.timeout(self._timeout_s):
                return (await self._open().get_secret(self._name)).value or ""
        except ResourceNotFoundError:
            raise NotFound(f"no secret {self._name} in the key vault") from None
        except (AzureError, TimeoutError) as error:
            raise KeysUnavailable(f"key vault, secret {self._name}: {type(error).__name__}") from error

    async def save(self, text: str) -> None:
        """Make a new version.

        Raises:
            KeysUnavailable: Key Vault does not answer in time, or does not let us in.
        """
        from azure.core.exceptions import AzureError

        expires_on = datetime.fromtimestamp(self._now(), UTC) + self._valid
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open().set_secret(
                    self._name, text, content_type="application/json", expires_on=expires_on
                )
        except (AzureError, TimeoutError) as error:
            raise KeysUnavailable(f"key vault, secret {self._name}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the client and the credential."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        if client is not None:
            await client.close()
        if credential is not None:
            await credential.close()


def open_key_source(address: str, managed_identity: str = "") -> KeySource:
    """The source that a setting names.

    Args:
        address: `file:PATH`, or `https://NAME.vault.azure.net/secrets/SECRET`.
        managed_identity: client id of the identity for Key Vault, or "".

    Raises:
        ConfigurationError: it is neither.
    """
    if address.startswith("file:") and len(address) > len("file:"):
        return FileKeySource(Path(address.removeprefix("file:")))
    parts = urlsplit(address)
    folder, _, name = parts.path.rpartition("/")
    if parts.scheme == "https" and parts.netloc and folder == "/secrets" and name:
        return KeyVaultKeySource(f"https://{parts.netloc}", name, managed_identity)
    expected = "file:PATH, or a Key Vault secret such as https://NAME.vault.azure.net/secrets/SECRET"
    raise ConfigurationError("key source", expected, address)
