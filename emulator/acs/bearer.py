"""Bearer authentication: tokens that look like Microsoft Entra's, issued and accepted by the emulator alone (acs.md 1.2).

Two doors give them out, so that `azure-identity` works unmodified:

* `/{tenant}/oauth2/v2.0/token` takes a client's id and secret (`ClientSecretCredential`, or any small `TokenCredential`). The
  client's id is the ACS resource's id and its secret the access key: whoever has the key may have a token.
* `/msi/token` is App Service's door for a managed identity (`ManagedIdentityCredential`, `DefaultAzureCredential`): the header
  `X-IDENTITY-HEADER` must be the access key.

Roles are not emulated: every token may do everything (which roles ACS asks for is unverified, acs.md 1.2).
"""

import hmac
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from emulator.acs.signing import Signer

type Json = dict[str, Any]

AUDIENCE = "https://communication.azure.com"
TENANT = "00000000-0000-4000-8000-00000000ac50"
LIFETIME_S = 3600
TOKEN_PATH = "/{tenant:[0-9A-Za-z.-]+}/oauth2/v2.0/token"  # noqa: S105  # a path
DISCOVERY_PATH = "/{tenant:[0-9A-Za-z.-]+}/v2.0/.well-known/openid-configuration"
MANAGED_PATH = "/msi/token"


class BearerTokens:
    """Issues and checks the tokens.

    Args:
        signer: the emulator's key; tokens of another purpose have another audience.
        client_id: whoever may ask: the ACS resource's id.
        secret: what it has to know: the access key.
        base: returns the emulator's own address.
        now: Unix time (s).
    """

    def __init__(
        self,
        signer: Signer,
        client_id: str,
        secret: str,
        base: Callable[[], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._signer = signer
        self._client_id = client_id
        self._secret = secret.encode()
        self._base = base
        self._now = now

    def issue(self, lifetime_s: int = LIFETIME_S) -> str:
        """A token for Call Automation and identities."""
        return self._signer.sign(
            {
                "aud": AUDIENCE,
                "iss": self._issuer,
                "tid": TENANT,
                "oid": self._client_id,
                "appid": self._client_id,
                "ver": "1.0",
            },
            lifetime_s,
        )

    @property
    def _issuer(self) -> str:
        return f"{self._base()}/{TENANT}/"

    def accepts(self, token: str) -> bool:
        """Whether `token` is one of ours, for this purpose, and valid now."""
        return self._signer.verify(token, audience=AUDIENCE, issuer=self._issuer) is not None

    # --- the doors ---

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(TOKEN_PATH, self._client_credentials)
        router.add_get(DISCOVERY_PATH, self._discovery)
        router.add_get(MANAGED_PATH, self._managed_identity)

    async def _client_credentials(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _refusal(400, "unsupported_grant_type")
        if not str(form.get("scope", "")).startswith(AUDIENCE):
            return _refusal(400, "invalid_scope")
        if form.get("client_id") != self._client_id or not self._knows(form.get("client_secret")):
            return _refusal(401, "invalid_client")
        body = {"token_type": "Bearer", "expires_in": LIFETIME_S, "access_token": self.issue()}
        return web.json_response({**body, "ext_expires_in": LIFETIME_S})

    async def _discovery(self, request: web.Request) -> web.Response:
        here = f"{self._base()}/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{here}/v2.0",
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "jwks_uri": f"{self._base()}/calling/keys",
            }
        )

    async def _managed_identity(self, request: web.Request) -> web.Response:
        if not self._knows(request.headers.get("X-IDENTITY-HEADER")):
            return _refusal(401, "unauthorized_client")
        if not request.query.get("resource", "").startswith(AUDIENCE):
            return _refusal(400, "invalid_resource")
        expires = str(int(self._now()) + LIFETIME_S)
        body = {"access_token": self.issue(), "expires_on": expires, "resource": AUDIENCE}
        return web.json_response({**body, "token_type": "Bearer", "client_id": self._client_id})

    def _knows(self, secret: object) -> bool:
        return isinstance(secret, str) and hmac.compare_digest(secret.encode(), self._secret)


def _refusal(status: int, error: str) -> web.Response:
    """OAuth 2.0's error body (RFC 6749, 5.2)."""
    body = {"error": error, "error_description": "see emulator/acs/bearer.py"}
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
