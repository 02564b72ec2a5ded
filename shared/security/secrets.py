"""Secrets that patchcord.yaml refers to: an environment variable, a file, or a Key Vault secret; read when first needed.

Files and Key Vault are read again every ten minutes, so a secret that was changed there needs no restart; what was read
once survives an outage of its place (`cached`).
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from shared.errors import ConfigurationError, NotFound
from shared.security.cached import Cached
from shared.security.key_sources import KeySource, open_key_source

TTL_S = 600.0
"""Seconds after which a secret is read again."""

RETRY_S = 10.0
"""Seconds between attempts while its place does not answer."""


class Secrets:
    """Secrets by reference (`shared.config.checks.SECRET`); one object serves a process.

    Args:
        managed_identity: client id of the identity for Key Vault, or "" for whatever `DefaultAzureCredential` finds.
        now: the time in seconds.
        environment: where `env:` looks; read each time.
        open_source: opens a file or a Key Vault secret, given its address and the identity.
    """

    def __init__(
        self,
        managed_identity: str = "",
        now: Callable[[], float] = time.time,
        environment: Mapping[str, str] = os.environ,
        *,
        open_source: Callable[[str, str], KeySource] = open_key_source,
    ) -> None:
        self._managed_identity = managed_identity
        self._now = now
        self._environment = environment
        self._open_source = open_source
        self._sources: dict[str, KeySource] = {}
        self._values: dict[str, Cached[str]] = {}

    async def get(self, reference: str) -> str:
        """The secret, without white space around it.

        Raises:
            ConfigurationError: there is none by this reference, or it is empty; the text names the reference only.
            KeysUnavailable: its place does not answer, and it was never read.
        """
        try:
            value = await self._read(reference)
        except NotFound:
            raise ConfigurationError(reference, "a secret that exists") from None
        if not value.strip():
            raise ConfigurationError(reference, "a secret that is set and not empty")
        return value.strip()

    async def close(self) -> None:
        """Give back connections; idempotent."""
        sources = list(self._sources.values())
        self._sources.clear()
        self._values.clear()
        await asyncio.gather(*(source.close() for source in sources))

    async def _read(self, reference: str) -> str:
        if reference.startswith("env:"):
            return self._environment.get(reference.removeprefix("env:"), "")
        known = self._values.get(reference)
        if known is None:
            source = self._sources[reference] = self._open_source(reference, self._managed_identity)
            known = self._values[reference] = Cached(
                source.load, self._now, name=f"secret {reference}", ttl_s=TTL_S, retry_s=RETRY_S
            )
        return await known.get()
