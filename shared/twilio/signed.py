"""Which tenant's Twilio account has signed a request?

The account that a form names says whose secret is tried; only the signature proves it. The signed address is our own: base and
path as we have handed them out, the query as it was sent; no header of the request has a say in it (twilio-and-transfers.md 2D).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.document import Config
from shared.config.twilio import TwilioConfig
from shared.errors import ConfigurationError, InvalidInput, PatchcordError, SignatureRejected, Unavailable
from shared.http import Request
from shared.security.secrets import Secrets
from shared.wire.twilio_params import account_sid, form_params
from shared.wire.twilio_signature import request_signed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that holds: whose account has signed it, and its form's fields ("params", empty for other bodies)."""

    tenant: str
    entry: TwilioConfig
    params: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Signatures:
    """Checks requests.

    Args:
        base: public base address of the function app, which Twilio was told.
        config: patchcord.yaml.
        secrets: where the accounts' tokens are.
    """

    base: str
    config: Config
    secrets: Secrets

    async def form(self, path: str, asked: Request) -> Signed:
        """A webhook about a call: a form that names its account.

        Raises:
            SignatureRejected: for every reason.
            Unavailable: the account's secret cannot be read, so nobody can know.
        """
        try:
            params = form_params(asked.body)
            account = account_sid(params)
        except InvalidInput:  # what it is like is nobody's business before it is known who asks
            raise SignatureRejected("account") from None
        tenant = self.config.twilio_tenant(account)
        if tenant is None:
            raise SignatureRejected("account")
        return await self._check(tenant, path, asked, params, None)

    async def any_body(self, path: str, asked: Request, *, is_json: bool) -> Signed:
        """A request of a Studio widget, whose fields its author chose: the account may be missing, and the body JSON.

        An account that it does name must be the one that has signed it.

        Raises:
            SignatureRejected: no account has signed it.
            Unavailable: none whose secret can be read has, so nobody can know.
        """
        try:
            params = [] if is_json else form_params(asked.body)
        except InvalidInput:
            raise SignatureRejected("account") from None
        if any(name == "AccountSid" for name, _ in params):
            return await self.form(path, asked)
        body = asked.body if is_json else None
        refused: PatchcordError = SignatureRejected("signature")
        for tenant in self.config.twilio:
            try:
                return await self._check(tenant, path, asked, params, body)
            except SignatureRejected as rejected:
                logger.debug("not signed by the account of %s: %s", tenant, rejected.reason)
            except Unavailable as error:
                refused = error
        raise refused

    async def _check(
        self, tenant: str, path: str, asked: Request, params: Sequence[tuple[str, str]], body: bytes | None
    ) -> Signed:
        entry = self.config.twilio[tenant]
        try:
            auth_token = "" if entry.signing_key else await self.secrets.get(entry.auth_token)
            signing_key = await self.secrets.get(entry.signing_key) if entry.signing_key else ""
        except (
            ConfigurationError
        ) as error:  # whoever asks is unknown, and must not learn where a secret would be
            logger.error("tenant %s: %s", tenant, error.message)
            raise Unavailable("a signature cannot be checked now") from None
        request_signed(
            f"{self.base}{path}" + (f"?{asked.query}" if asked.query else ""),
            params,
            asked.headers,
            auth_token=auth_token,
            signing_key=signing_key,
            body=body,
        )
        return Signed(tenant, entry, params)
