"""How a realtime model lets us in: keys, tokens of Microsoft Entra, and how many connections a minute (realtime.md 1, 11).

One object for all calls of the process. Keys and tokens travel in headers only, and never in an address, a log or an error.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from media_host.agents.realtime.endpoints import address, resource
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import AgentUnavailable, ConfigurationError
from shared.security.secrets import Secrets

log = logging.getLogger(__name__)

ENTRA_SCOPE = "https://ai.azure.com/.default"
"""What a token is asked for; `https://cognitiveservices.azure.com/.default` is the older one."""

FETCH_S = 2.5
"""How long a call waits for a token when none is valid (s); a caller hears something within 3 s."""
SPARE_S = 60.0
"""A token that ends sooner is of no use (s)."""
RETRY_S = 30.0
"""Between attempts to renew a token that is still valid (s)."""
MINUTE_S = 60.0


class ModelAccess:
    """Keys, tokens and the number of connections.

    Args:
        secrets: resolves references to keys.
        managed_identity: client id of the user-assigned identity; "" is whatever identity `DefaultAzureCredential` finds.
        now: the time in seconds (Unix, for it is compared with the expiry of tokens).
        scope: of the tokens.
    """

    def __init__(
        self,
        secrets: Secrets,
        managed_identity: str = "",
        now: Callable[[], float] = time.time,
        *,
        scope: str = ENTRA_SCOPE,
    ) -> None:
        self._secrets = secrets
        self._now = now
        self._tokens = EntraTokens(managed_identity, scope, now)
        self._admitted: dict[str, deque[float]] = {}  # by resource; as many as patchcord.yaml names

    async def headers(self, config: RealtimeAgentConfig) -> dict[str, str]:
        """What lets us in: the headers of the handshake.

        Raises:
            AgentUnavailable: no token was to be had.
            ConfigurationError: the key is missing, or is no text for a header.
            KeysUnavailable: the key could not be read.
        """
        if config.auth == "none":
            return {}
        if config.auth == "entra":
            return {"Authorization": f"Bearer {await self._tokens.get()}"}
        key = await self._secrets.get(config.key)
        if not re.fullmatch("[!-~]+", key):  # a line break would be a header of somebody else's making
            raise ConfigurationError(config.key, "a key: visible ASCII characters on one line")
        return {"Authorization": f"Bearer {key}"} if config.service == "openai" else {"api-key": key}

    def admit(self, config: RealtimeAgentConfig) -> None:
        """Count a new connection; to be asked before every handshake, renewals too.

        Never more than `connections_per_minute` in any 60 s, for one resource of which several agents may be served.

        Raises:
            AgentUnavailable: the resource has had all that this minute allows.
        """
        now, where = self._now(), resource(address(config))
        made = self._admitted.setdefault(where, deque())
        while made and not 0 <= now - made[0] < MINUTE_S:
            made.popleft()
        if len(made) >= config.connections_per_minute:
            raise AgentUnavailable(
                f"{where} has had its {config.connections_per_minute} connections per minute"
            )
        made.append(now)

    async def close(self) -> None:
        """Let go of the credential; idempotent."""
        await self._tokens.close()


class EntraTokens:
    """One token, renewed when half of its life is over, while calls go on with the one that is there.

    Args:
        managed_identity: see `ModelAccess`.
        scope: see `ModelAccess`.
        now: see `ModelAccess`.
    """

    def __init__(self, managed_identity: str, scope: str, now: Callable[[], float]) -> None:
        self._identity = managed_identity
        self._scope = scope
        self._now = now
        self._credential: Any = None
        self._token = ""
        self._expires_at = self._renew_at = float("-inf")
        self._renewal: asyncio.Task[None] | None = None

    async def get(self) -> str:
        """A valid token; waits for one only if there is none.

        Raises:
            AgentUnavailable: Entra, or the machine's identity service, gave none in time.
        """
        now, renewal = self._now(), self._renewal
        valid = now < self._expires_at - SPARE_S
        if renewal is None and (not valid or now >= self._renew_at):
            renewal = self._renewal = asyncio.create_task(self._renew())
        if valid or renewal is None:
            return self._token
        await asyncio.wait({renewal})  # not awaited itself: a call that ends leaves the others their token
        if self._now() >= self._expires_at - SPARE_S:
            raise AgentUnavailable("no Microsoft Entra token for the realtime model")
        return self._token

    async def close(self) -> None:
        """Give up what is under way, and the credential."""
        if (renewal := self._renewal) is not None:
            renewal.cancel()
            await asyncio.wait({renewal})
        if (credential := self._credential) is not None:
            self._credential = None
            await credential.close()

    async def _renew(self) -> None:
        now = self._now()
        self._renew_at = now + RETRY_S
        try:
            async with asyncio.timeout(FETCH_S):
                token = await self._open().get_token(self._scope)
            self._token, self._expires_at = token.token, float(token.expires_on)
            self._renew_at = now + max((self._expires_at - now) / 2, RETRY_S)
        except Exception as failure:  # the SDK's, aiohttp's, the system's: a token that is valid stays in use whatever it was
            # Only the kind is logged: the SDK's text quotes what it sent and got.
            log.warning("no Microsoft Entra token for realtime models: %s", type(failure).__name__)
        finally:
            self._renewal = None

    def _open(self) -> Any:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential

            self._credential = DefaultAzureCredential(managed_identity_client_id=self._identity or None)
        return self._credential
