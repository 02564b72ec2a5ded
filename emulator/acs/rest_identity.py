"""REST routes of identities (acs.md 1.3)."""

from aiohttp import web

from emulator.acs.identity import Identities
from emulator.acs.rest_body import Route, read_body, reply

ONE = "/identities/{user:[^/]+}"


class IdentityRoutes:
    """The routes.

    Args:
        identities: the resource's users.
    """

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def routes(self) -> list[Route]:
        """To be handed to `RestApi`."""
        return [
            Route("POST", "/identities", "createIdentity", self._create),
            Route("POST", f"{ONE}/:issueAccessToken", "issueAccessToken", self._issue),
            Route("POST", f"{ONE}/:revokeAccessTokens", "revokeAccessTokens", self._revoke),
            Route("DELETE", ONE, "deleteIdentity", self._delete),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        scopes = body.get("createTokenWithScopes") or None
        return reply(201, self._identities.create(scopes, body.get("expiresInMinutes")))

    async def _issue(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        user = request.match_info["user"]
        return reply(200, self._identities.issue(user, body.get("scopes"), body.get("expiresInMinutes")))

    async def _revoke(self, request: web.Request) -> web.Response:
        self._identities.revoke(request.match_info["user"])
        return reply(204)

    async def _delete(self, request: web.Request) -> web.Response:
        self._identities.delete(request.match_info["user"])
        return reply(204)
