"""An emulated Twilio account: its numbers, Studio flows and queues."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.errors import ConfigurationError

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class TwilioNumber:
    """What happens when one of the account's numbers is called; `voice_url` or `flow`.

    Attributes:
        voice_url: asked for TwiML when a call comes in.
        voice_method: `POST` or `GET`.
        status_callback: told when the call has ended.
        flow: name of the Studio flow that answers instead.
    """

    voice_url: str = ""
    voice_method: str = "POST"
    status_callback: str = ""
    flow: str = ""


@dataclass(frozen=True, slots=True)
class StudioFlow:
    """A Studio flow of three widgets: TwiML Redirect, then a request (Run Function or Make HTTP Request), then TwiML.

    Attributes:
        redirect: address of the Redirect widget; its TwiML sends the call back with `FlowEvent=return`.
        request: asked with a form that holds CallSid when the call is back; "" for none.
        headers: of that request.
        then: TwiML by the `transferType` in the JSON that answers it; `""` for an answer without one, or none.
            A type that is not named hangs up.
    """

    redirect: str
    request: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    then: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TwilioConfig:
    """An account.

    Attributes:
        account_sid: `AC…`.
        auth_token: signs requests with HMAC-SHA1.
        signing_key: secret of a shared key: requests are signed with HMAC-SHA256 and it instead.
        signing_key_id: its public name, in the header beside the signature.
        numbers: of the account, by E.164 number.
        flows: Studio flows by name.
        queues: by a queue's name the telephone (of `Emulator.add_phone`) that takes its callers; others wait for ever.
        action_after_hang_up: a caller who hangs up in a stream ends `<Connect>` like any other end: `action` is asked with
            CallStatus `completed` (guessed: the documentation does not say).
    """

    account_sid: str
    auth_token: str = field(repr=False)
    signing_key: str = field(default="", repr=False)
    signing_key_id: str = "webhooks_sharedkey_emulated"
    numbers: Mapping[str, TwilioNumber] = field(default_factory=dict)
    flows: Mapping[str, StudioFlow] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    action_after_hang_up: bool = True

    def check(self) -> None:
        """See that an account can be emulated with it.

        Raises:
            ConfigurationError: names the wrong part.
        """
        if not ACCOUNT_SID.fullmatch(self.account_sid):
            raise ConfigurationError("twilio.account_sid", "AC and 32 hexadecimal digits", self.account_sid)
        if len(self.auth_token) < 16:
            raise ConfigurationError("twilio.auth_token", "at least 16 characters")
        for at, number in self.numbers.items():
            check_number(at, number, self.flows)
        for name, flow in self.flows.items():
            check_flow(name, flow)


def check_number(at: str, number: TwilioNumber, flows: Mapping[str, StudioFlow]) -> None:
    """See that a number leads somewhere.

    Raises:
        ConfigurationError: names the wrong part.
    """
    place = f"twilio.numbers.{at}"
    if not NUMBER.fullmatch(at):
        raise ConfigurationError(place, "a number such as +18005550000")
    if bool(number.voice_url) == bool(number.flow):
        raise ConfigurationError(place, "voice_url or flow")
    if number.flow and number.flow not in flows:
        raise ConfigurationError(f"{place}.flow", "one of " + ", ".join(sorted(flows)), number.flow)
    if number.voice_method not in ("GET", "POST"):
        raise ConfigurationError(f"{place}.voice_method", "GET or POST", number.voice_method)
    for name, address in (("voice_url", number.voice_url), ("status_callback", number.status_callback)):
        if address:
            _check_address(f"{place}.{name}", address)


def check_flow(name: str, flow: StudioFlow) -> None:
    """See that a flow can run.

    Raises:
        ConfigurationError: names the wrong part.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", name):
        raise ConfigurationError(f"twilio.flows.{name}", "a name of letters, digits and -")
    _check_address(f"twilio.flows.{name}.redirect", flow.redirect)
    if flow.request:
        _check_address(f"twilio.flows.{name}.request", flow.request)


def _check_address(place: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(place, "an http or https address")
