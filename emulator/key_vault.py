"""Azure Key Vault's secrets on loopback, as much of it as keeps a key document.

Over TLS, with the sign-in challenge, so that the real `azure.keyvault.secrets.aio.SecretClient` works against it, all its
checks on: the vault keeps its public name (`https://emulator.vault.azure.net`), `transport()` makes that name lead here.

What it does: `PUT /secrets/NAME` makes a version, `GET /secrets/NAME/` gives the newest, `GET /secrets/NAME/VERSION` one of
them. Without a token it answers 401 with the challenge that a vault sends. Values are at most 25 kB. Written from the
service's REST reference (learn.microsoft.com, "Key Vault REST API", Secrets) and from what the SDK sends and reads.

What it leaves out: deletion, listing, access policies, back-up, throttling by itself (set `failing` for that).
"""

import json
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.typedefs import Handler
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport

VAULT_URL = "https://emulator.vault.azure.net"
_RESOURCE = "https://vault.azure.net"
_LIMIT = 25_000  # bytes of a value
_TENANT = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret; the value is hidden from `repr`.

    Attributes:
        id: 32 hexadecimal digits.
        value: the secret.
        content_type: what the writer called it, or "".
        attributes: `enabled`, `created`, `updated` and, if set, `exp` and `nbf` (Unix time, s).
    """

    id: str
    value: str = field(repr=False)
    content_type: str
    attributes: dict[str, object]


class KeyVaultEmulator:
    """A key vault in this process.

    Args:
        certificate: a server-side TLS context for `emulator.vault.azure.net`.

    Attributes:
        secrets: all versions by name, oldest first; may be changed from outside.
        failing: answer every request with this HTTP status, as a vault under load (429) or in trouble (503) does.
        requests: `GET /secrets/NAME/ 200` and so on, in order.
    """

    def __init__(self, certificate: ssl.SSLContext) -> None:
        self.secrets: dict[str, list[Version]] = {}
        self.failing: int | None = None
        self.requests: list[str] = []
        self._certificate = certificate
        self._token = secrets.token_urlsafe(32)
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application(middlewares=[self._gate])
        app.router.add_get("/secrets/{name}/", self._get)
        app.router.add_get("/secrets/{name}/{version}", self._get)
        app.router.add_put("/secrets/{name}", self._put)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._certificate)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening; idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def credential(self) -> "EmulatorCredential":
        """A credential that this vault accepts."""
        return EmulatorCredential(self._token)

    def transport(self, trust: ssl.SSLContext) -> AioHttpTransport:
        """A transport for the SDK's clients that finds the vault's name here; to be called inside the running loop.

        Args:
            trust: a client-side TLS context that trusts the vault's certificate.
        """
        connector = aiohttp.TCPConnector(resolver=_Loopback(self._port), ssl=trust)
        return AioHttpTransport(session=aiohttp.ClientSession(connector=connector, trust_env=False))

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The trouble that was asked for, then the challenge, then the request."""
        if self.failing is not None:
            response: web.StreamResponse = _error(self.failing, "Failing", "as asked for")
        elif request.headers.get("Authorization") != f"Bearer {self._token}":
            response = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            response.headers["WWW-Authenticate"] = (
                f'Bearer authorization="https://login.microsoftonline.com/{_TENANT}", resource="{_RESOURCE}"'
            )
        elif "api-version" not in request.query:
            response = _error(400, "BadParameter", "api-version must be specified")
        else:
            response = await handler(request)
        self.requests.append(f"{request.method} {request.path} {response.status}")
        return response

    async def _get(self, request: web.Request) -> web.Response:
        name, wanted = request.match_info["name"], request.match_info.get("version", "")
        for version in reversed(self.secrets.get(name, [])):
            if wanted in ("", version.id):
                return _bundle(name, version)
        return _error(
            404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault."
        )

    async def _put(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
            value = body["value"]
        except (json.JSONDecodeError, TypeError, KeyError):
            return _error(400, "BadParameter", "value must be specified")
        if not isinstance(value, str) or len(value.encode()) > _LIMIT:
            return _error(400, "BadParameter", "value must be text of at most 25k bytes")
        moment = int(time.time())
        attributes = {"enabled": True, "created": moment, "updated": moment, **body.get("attributes", {})}
        version = Version(secrets.token_hex(16), value, body.get("contentType", ""), attributes)
        name = request.match_info["name"]
        self.secrets.setdefault(name, []).append(version)
        return _bundle(name, version)


class EmulatorCredential:
    """What `DefaultAzureCredential` is in the cloud: hands out the vault's token, for the vault's scope only."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """The token, good for an hour.

        Raises:
            ValueError: a token for something else was asked for.
        """
        if scopes != (f"{_RESOURCE}/.default",):
            raise ValueError("this credential is for a key vault only")
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to give back."""

    async def __aenter__(self) -> "EmulatorCredential":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Loopback(AbstractResolver):
    """Every name, on every port, is the emulator."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=family or socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        """Nothing to give back."""


def _bundle(name: str, version: Version) -> web.Response:
    return web.json_response(
        {
            "value": version.value,
            "contentType": version.content_type,
            "id": f"{VAULT_URL}/secrets/{name}/{version.id}",
            "attributes": {"recoveryLevel": "Recoverable+Purgeable", **version.attributes},
        }
    )


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
