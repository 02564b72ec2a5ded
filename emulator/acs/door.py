"""What stands before every operation: a request is signed with the access key, or carries a bearer token (acs.md 1.2)."""

import time
from collections.abc import Callable

from aiohttp import web

from emulator.acs.auth import HmacVerifier
from emulator.acs.bearer import BearerTokens
from emulator.acs.errors import RestError


class Authenticator:
    """Lets through who has the key.

    Args:
        access_key: the resource's key, base64.
        tokens: who issues bearer tokens.
        own_host: returns the emulator's host and port.
    """

    def __init__(self, access_key: str, tokens: BearerTokens, own_host: Callable[[], str]) -> None:
        self._verifier = HmacVerifier(access_key)
        self._tokens = tokens
        self._own_host = own_host

    async def check(self, request: web.Request) -> None:
        """See who asks.

        Raises:
            RestError: 401 with 7501 (token) or 7509 (signature, or nothing at all); the sub-codes are documented, that they
                are the body's `code` is guessed.
        """
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if not self._tokens.accepts(credentials.strip()):
                raise RestError(401, "7501", "The access token is invalid.")
            return
        body = await request.read()
        if not self._verifier.verify(
            request.method, request.raw_path, request.headers, body, time.time(), self._own_host()
        ):
            raise RestError(401, "7509", "HMAC authentication failed.")
