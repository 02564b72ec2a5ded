"""Who may open a Twilio media stream: every check before the upgrade, and of the stream's own description after it.

Before: the token in the path is ours, and Twilio has signed exactly the address that we handed out, with the secret of the
token's tenant. A signature holds no time and can be sent again; so after the upgrade the start message must name that
tenant's account and, unless the token is for any call, that call, and each call opens one stream with a token
(`shared.twilio.begin`; twilio-and-transfers.md 2D). Nothing of an agent exists before all of that is so.
"""

import logging
from collections.abc import Mapping

from websockets.datastructures import Headers

from shared.calls.record import CallRecord
from shared.config.twilio import TwilioConfig
from shared.errors import ConfigurationError, TokenRejected, Unavailable
from shared.security.secrets import Secrets
from shared.security.tokens import Audience, Claims, TokenVerifier
from shared.twilio.begin import TwilioCalls
from shared.wire.twilio_media import Start
from shared.wire.twilio_signature import upgrade_signed

log = logging.getLogger(__name__)

PATH = "/twilio/"


class TwilioDoor:
    """Checks upgrades and start messages.

    Args:
        media_base: the public address of the media hosts, as the function app knows it: `wss://host`.
        accounts: the tenants' Twilio accounts.
        verifier: our tokens.
        secrets: where the accounts' secrets come from.
        calls: begins their calls.
    """

    def __init__(
        self,
        *,
        media_base: str,
        accounts: Mapping[str, TwilioConfig],
        verifier: TokenVerifier,
        secrets: Secrets,
        calls: TwilioCalls,
    ) -> None:
        self._address = media_base + PATH
        self._accounts = accounts
        self._verifier = verifier
        self._secrets = secrets
        self._calls = calls

    async def check(self, token: str, headers: Headers) -> Claims:
        """Let the upgrade pass, or raise.

        Raises:
            TokenRejected, SignatureRejected: with `reason`, for the log alone.
            Unavailable: keys or secrets cannot be read, so nobody can know.
        """
        claims = await self._verifier.verify(token, Audience.TWILIO_MEDIA)
        account = self._accounts.get(claims.tenant)
        if account is None:
            raise TokenRejected("tenant")
        try:
            auth_token = "" if account.signing_key else await self._secrets.get(account.auth_token)
            signing_key = await self._secrets.get(account.signing_key) if account.signing_key else ""
        except ConfigurationError as error:  # it is read only when somebody uses it
            log.error("tenant %s: %s", claims.tenant, error)
            raise Unavailable("a secret of the tenant cannot be read") from None
        upgrade_signed(self._address + token, headers, auth_token=auth_token, signing_key=signing_key)
        return claims

    async def begin(self, claims: Claims, start: Start) -> CallRecord:
        """Let the call in that the start message describes; see `TwilioCalls.begin`."""
        return await self._calls.begin(claims, start)
