"""For Python apps that use Microsoft's SDK against the emulator: what the SDK would not do by itself (acs.md 1.2, 1.6).

* `EmulatorTransport` and `AioEmulatorTransport` bring requests for recordings, which the SDK sends to nobody but Microsoft's
  storage hosts, to the emulator: `CallAutomationClient.from_connection_string(text, transport=EmulatorTransport(endpoint))`.
  With an emulator on plain http they also undo the `https://` that `from_connection_string` puts in front of every endpoint.
* `EmulatorCredential` and `AioEmulatorCredential` get bearer tokens from the emulator:
  `CallAutomationClient(endpoint, EmulatorCredential(…))`. The SDK sends tokens over https alone. `azure-identity`'s own
  credentials work as well, see `emulator.acs.bearer`.

Nothing else of Patchcord is needed or imported here.
"""

import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import requests
from azure.core.pipeline.transport import AioHttpTransport, RequestsTransport

STORAGE_SUFFIXES = (".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us")
SCOPE = "https://communication.azure.com//.default"
TENANT = "emulator"
TIMEOUT_S = 10
EARLY_S = 60


def to_emulator(url: str, endpoint: str) -> str:
    """`url` as the emulator is to be asked: storage hosts become `endpoint`, and so does `https://` in front of its own address."""
    parts, target = urlsplit(url), urlsplit(endpoint)
    storage = (parts.hostname or "").endswith(STORAGE_SUFFIXES)
    if not storage and parts.netloc != target.netloc:
        return url
    return urlunsplit((target.scheme, target.netloc, parts.path, parts.query, parts.fragment))


class EmulatorTransport(RequestsTransport):  # type: ignore[misc]  # azure-core imports it lazily, without a type
    """The synchronous clients' transport.

    Args:
        endpoint: the emulator's address.
        options: of `RequestsTransport`.
    """

    def __init__(self, endpoint: str, **options: Any) -> None:
        super().__init__(**options)
        self._endpoint = endpoint

    def send(self, request: Any, **options: Any) -> Any:
        """Send to the emulator what is meant for it, anything else where it belongs."""
        request.url = to_emulator(request.url, self._endpoint)
        return super().send(request, **options)


class AioEmulatorTransport(AioHttpTransport):  # type: ignore[misc]  # likewise
    """The asynchronous clients' transport.

    Args:
        endpoint: the emulator's address.
        options: of `AioHttpTransport`.
    """

    def __init__(self, endpoint: str, **options: Any) -> None:
        super().__init__(**options)
        self._endpoint = endpoint

    async def send(self, request: Any, **options: Any) -> Any:
        """Send to the emulator what is meant for it, anything else where it belongs."""
        request.url = to_emulator(request.url, self._endpoint)
        return await super().send(request, **options)


class _Token(NamedTuple):
    """What azure-core calls an AccessToken."""

    token: str
    expires_on: int


class _Credential:
    def __init__(self, endpoint: str, resource_id: str, access_key: str) -> None:
        self._url = f"{endpoint}/{TENANT}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": resource_id,
            "client_secret": access_key,
            "scope": SCOPE,
        }
        self._token = _Token("", 0)

    def _fresh(self) -> _Token | None:
        return self._token if self._token.expires_on - EARLY_S > time.time() else None

    def _keep(self, body: Any) -> _Token:
        self._token = _Token(body["access_token"], int(time.time()) + int(body["expires_in"]))
        return self._token


class EmulatorCredential(_Credential):
    """A TokenCredential for synchronous clients.

    Args:
        endpoint: the emulator's address.
        resource_id: the emulated resource's immutable id.
        access_key: its access key.
    """

    def get_token(self, *_scopes: str, **_: Any) -> _Token:
        """A token; kept until it ends.

        Raises:
            requests.RequestException: the emulator does not answer, or refuses.
        """
        if (token := self._fresh()) is not None:
            return token
        response = requests.post(self._url, data=self._form, timeout=TIMEOUT_S)
        response.raise_for_status()
        return self._keep(response.json())


class AioEmulatorCredential(_Credential):
    """A TokenCredential for asynchronous clients; see `EmulatorCredential`."""

    async def get_token(self, *_scopes: str, **_: Any) -> _Token:
        """A token; kept until it ends.

        Raises:
            aiohttp.ClientError: the emulator does not answer, or refuses.
        """
        if (token := self._fresh()) is not None:
            return token
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.post(self._url, data=self._form) as response,
        ):
            return self._keep(await response.json())

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> "AioEmulatorCredential":
        """See `close`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `close`."""
