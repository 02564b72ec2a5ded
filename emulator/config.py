"""How an emulator is set up."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.acs.auth import is_access_key
from emulator.acs.signing import ISSUER
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.topics import is_topic_key
from emulator.twilio.config import TwilioConfig
from shared.errors import ConfigurationError
from shared.settings import is_loopback


@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """How an emulator is set up.

    Attributes:
        host: loopback address to listen on.
        port: port to listen on; 0 takes a free one.
        access_key: the ACS resource's access key, base64.
        control_key: bearer key of the control API.
        resource_id: the ACS resource's immutable id: the audience of its JWTs.
        subscriptions: event subscriptions, validated at start.
        time_scale: factor on Event Grid's retry schedule and time to live; 1 is real time.
        dead_letter: folder for events that could not be delivered, or None.
        ring_timeout_s: an unanswered call is gone after this (s).
        issuer: the `iss` claim of ACS's JWTs.
        seed: of everything that is shuffled.
        numbers: phone numbers of the resource: a transfer or a call of an app to one of them is an IncomingCall, if that is
            subscribed to. Other numbers are its own when a subscription's filter on `data.to.rawId` names them. ACS users
            always are.
        tls_folder: where the certificate authority is kept; with it the emulator speaks https (see `emulator.tls`).
        trace_folder: where the wire trace of each call goes, or None for none (see `emulator.trace`).
        topics: custom Event Grid topics: access keys (base64) by name.
        twilio: a Twilio account beside the ACS resource, or None.
    """

    host: str
    port: int
    access_key: str = field(repr=False)
    control_key: str = field(repr=False)
    resource_id: str
    subscriptions: Sequence[Subscription] = ()
    time_scale: float = 1.0
    dead_letter: Path | None = None
    ring_timeout_s: float = 115.0
    issuer: str = ISSUER
    seed: int | None = None
    numbers: Sequence[str] = ()
    tls_folder: Path | None = None
    trace_folder: Path | None = None
    topics: Mapping[str, str] = field(default_factory=dict, repr=False)
    twilio: TwilioConfig | None = None

    def check(self) -> None:
        """See that an emulator can start with it.

        Raises:
            ConfigurationError: names the wrong part.
        """
        if not is_loopback(self.host):
            raise ConfigurationError("host", "a loopback address such as 127.0.0.1", self.host)
        if not is_access_key(self.access_key):
            raise ConfigurationError("access_key", "base64 of at least 16 bytes")
        if len(self.control_key) < 16:
            raise ConfigurationError("control_key", "at least 16 characters")
        if not self.resource_id:
            raise ConfigurationError("resource_id", "the ACS resource's immutable id, a GUID")
        for name, key in self.topics.items():
            if not re.fullmatch(r"[A-Za-z0-9-]{3,50}", name) or not is_topic_key(key):
                raise ConfigurationError(
                    f"topics.{name}",
                    "3 to 50 letters, digits and -, with a key of base64 of at least 16 bytes",
                )
        if self.twilio is not None:
            self.twilio.check()
        for subscription in self.subscriptions:
            subscription.check()
