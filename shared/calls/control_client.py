"""Call control: the SDK's client (imported on first use), its credentials, and one request with its bounds and errors.

Facts: acs.md section 1.1 (retries). Nothing here logs: bodies hold tokens and the `incomingCallContext`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from shared.calls.control_parts import mapped
from shared.errors import CallControlUnavailable
from shared.settings import AcsAccess
from shared.telemetry import metrics, traces

SERIALIZATION = "azure.communication.callautomation._generated._utils.serialization"


class AcsClient:
    """Asks ACS; safe for concurrent use, one per process.

    Args:
        acs: endpoint and key; an empty key takes the managed identity (or whoever runs this, locally).
        managed_identity: client id of a user-assigned identity, or "".
        timeout_s: bound of one operation with its retries (s).
        key: reads the access key when there is none in `acs`; asked before each operation, so a changed one is taken.
        options: further keywords for the SDK's client (tests: a credential, a trust store).
    """

    def __init__(
        self,
        acs: AcsAccess,
        managed_identity: str = "",
        *,
        timeout_s: float = 5.0,
        key: Callable[[], Awaitable[str]] | None = None,
        **options: Any,
    ) -> None:
        self._acs = acs
        self._identity = managed_identity
        self._timeout_s = timeout_s
        self._read_key = key
        self._key: Any = None
        self._options = options
        self._client: Any = None
        self._credential: Any = None

    def _open(self) -> Any:
        """The SDK's client, made on first use."""
        if self._client is None:
            from azure.communication.callautomation.aio import CallAutomationClient

            # The SDK (1.6.0) warns at each hold that it ignores a keyword of its own.
            logging.getLogger(SERIALIZATION).setLevel(logging.ERROR)
            options = dict(self._options)
            credential = options.pop("credential", self._key)
            if credential is None and self._acs.access_key:
                from azure.core.credentials import AzureKeyCredential

                credential = AzureKeyCredential(self._acs.access_key)
            elif credential is None:
                from azure.identity.aio import DefaultAzureCredential

                credential = self._credential = DefaultAzureCredential(
                    managed_identity_client_id=self._identity or None
                )
            # A phone is ringing: few retries, soon (acs.md 1.1 has the SDK's defaults: 10 retries, up to 120 s).
            retries = {
                "retry_total": 2,
                "retry_connect": 2,
                "retry_status": 2,
                "retry_backoff_factor": 0.2,
                "retry_backoff_max": 1,
            }
            self._client = CallAutomationClient(
                self._acs.endpoint,
                credential,
                **{"connection_timeout": 2, "read_timeout": 5} | retries | options,
            )
        return self._client

    async def close(self) -> None:
        """Give back connections; idempotent."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        for part in (client, credential):
            if part is not None:
                await part.close()

    def _connection(self, connection_id: str) -> Any:
        return self._open().get_call_connection(connection_id)

    def _take_key(self, key: str) -> None:
        from azure.core.credentials import AzureKeyCredential

        if self._key is None:
            self._key = AzureKeyCredential(key)
        elif self._key.key != key:
            self._key.update(key)

    async def _ask(self, operation: str, send: Callable[[], Awaitable[Any]]) -> Any:
        """What `send` returns, within the bound of an operation; the SDK's errors become ours."""
        from azure.core.exceptions import AzureError, HttpResponseError

        if self._read_key is not None:
            self._take_key(await self._read_key())
        try:
            with (
                traces.span(f"ACS: {operation}", kind="client"),
                metrics.ACS_SECONDS.timing(operation=operation),
            ):
                async with asyncio.timeout(self._timeout_s):
                    return await send()
        except HttpResponseError as error:
            raise mapped(operation, error) from None
        except (AzureError, TimeoutError) as error:
            raise CallControlUnavailable(f"ACS: {operation}: {type(error).__name__}") from None
