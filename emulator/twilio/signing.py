"""How Twilio signs what it sends (reference/twilio-and-transfers.md 2D). Written anew here, not with the product's validator."""

import base64
import hmac
from collections.abc import Mapping

from emulator.twilio.config import TwilioConfig

SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


class TwilioSigner:
    """Signs webhooks and WebSocket upgrades of one account.

    Args:
        config: with the account's secrets.
    """

    def __init__(self, config: TwilioConfig) -> None:
        self._key = (config.signing_key or config.auth_token).encode()
        self._digest = "sha256" if config.signing_key else "sha1"
        self._settings = (
            {SETTINGS: f"key={config.signing_key_id},algorithm=HMAC_SHA256"} if config.signing_key else {}
        )

    def headers(
        self, url: str, form: Mapping[str, str] | None = None, *, wrong: bool = False
    ) -> dict[str, str]:
        """The headers for a request to `url`, exactly as it is written in TwiML or at a number.

        Args:
            url: `http(s)://…` with its query, or `ws(s)://…` of a stream.
            form: parameters of a POST; a GET and an upgrade have none.
            wrong: sign with another key, as somebody who is not Twilio would.
        """
        text = url + "".join(name + value for name, value in sorted((form or {}).items()))
        key = b"not the account's key" if wrong else self._key
        signature = base64.b64encode(hmac.digest(key, text.encode(), self._digest)).decode()
        return {SIGNATURE: signature, **self._settings}
