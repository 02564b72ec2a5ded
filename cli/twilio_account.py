"""The Twilio account that is emulated: of a stack, that of its configuration with its numbers at our doors; or any app's."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from emulator.twilio.config import StudioFlow, TwilioConfig, TwilioNumber
from shared.config.document import load_config
from shared.errors import ConfigurationError, InvalidInput

ACCOUNT = "AC00000000000000000000000000000001"
"""Where the configuration names none."""
NUMBER = "+18005550000"
STUDIO_NUMBER = "+18005550009"
"""Answered by the Studio flow, and by our doors only from there."""
FLOW = "desk"
TOKEN_VARIABLE = "TWILIO_AUTH_TOKEN"  # noqa: S105  # the name of a variable, as patchcord.yaml has it
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def twilio_account(config: Path, functions: str) -> TwilioConfig:
    """The emulated account, with an auth token of its own.

    Every number that a route names is one of the account's, too, and is answered by `engage`; `STUDIO_NUMBER` is answered by a
    flow that sends its callers there and gets them back, asks for the transfer's state, and lets the caller hear what came of it.

    Args:
        config: patchcord.yaml.
        functions: address of the function app.

    Raises:
        ConfigurationError: the configuration is wrong.
    """
    loaded = load_config(config)
    named = {to for route in loaded.routes for to in route.to if E164.fullmatch(to)}
    engage = f"{functions}/api/twilio/engage"
    number = TwilioNumber(engage)
    flow = StudioFlow(
        f"{engage}?FlowEvent=return",
        f"{functions}/api/twilio/transfer-state",
        then={
            kind: f"<Response><Say>{words}</Say><Hangup/></Response>"
            for kind, words in (
                ("AGENT", "The flow would call a person now."),
                ("SYSTEM", "The flow goes on."),
                ("", "The flow knows nothing of this call."),
            )
        },
    )
    return TwilioConfig(
        account_sid=next((entry.account_sid for entry in loaded.twilio.values()), ACCOUNT),
        auth_token=secrets.token_hex(16),
        numbers={at: number for at in (named | {NUMBER}) - {STUDIO_NUMBER}}
        | {STUDIO_NUMBER: TwilioNumber(flow=FLOW)},
        flows={FLOW: flow},
    )


def app_account(numbers: Sequence[str], keys: Mapping[str, str]) -> TwilioConfig | None:
    """The account for an app of somebody's own; None without numbers.

    Args:
        numbers: `NUMBER=URL` each: a number, and the address that is asked for TwiML when it is called.
        keys: of `cli.run_files.emulator_keys`: account and auth token are made from them, so an app keeps its settings.

    Raises:
        InvalidInput: one of `numbers` is none.
    """
    if not numbers:
        return None
    account = hashlib.sha256(keys["resource_id"].encode()).hexdigest()[:32]
    token = hmac.digest(keys["access_key"].encode(), b"twilio", "sha256").hex()[:32]
    known = {}
    for text in numbers:
        at, mark, url = text.partition("=")
        if not mark:
            raise InvalidInput("--twilio", "NUMBER=URL, for example +18005550000=http://127.0.0.1:8080/voice")
        known[at.strip()] = TwilioNumber(url.strip())
    config = TwilioConfig(account_sid=f"AC{account}", auth_token=token, numbers=known)
    try:
        config.check()
    except ConfigurationError as error:
        raise InvalidInput("--twilio", error.message) from None
    return config
