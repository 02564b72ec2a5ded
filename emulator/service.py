"""The emulator in one object: ACS's REST interface, Event Grid, the media client and the phone, on loopback."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from emulator.acs.auth import is_access_key
from emulator.acs.calls import Services
from emulator.acs.events import TOPIC
from emulator.acs.exchange import Exchange
from emulator.acs.rest import MAX_BODY, RestApi
from emulator.acs.signing import ISSUER, Signer
from emulator.control import ControlApi
from emulator.event_grid.delivery import EventGrid
from emulator.event_grid.subscriptions import Subscription
from emulator.faults import Faults
from emulator.pacing import Ticker
from emulator.phone.call import PhoneCall, Voice, render
from emulator.phone.script import CallerScript, parse_script
from media_host.speech.synthesiser import Synthesiser
from shared.errors import ConfigurationError
from shared.settings import is_loopback

KEPT_CALLS = 1000
SHUTDOWN_S = 1.0


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
        for subscription in self.subscriptions:
            subscription.check()


class Emulator:
    """Starts and stops everything; use it as an async context manager or with `start` and `close`.

    Args:
        config: how it is set up.
        faults: of all calls that are given none of their own.
        voice: the callers' synthesiser; a child process is started for the first script that speaks when it is None.
    """

    def __init__(
        self, config: EmulatorConfig, *, faults: Faults | None = None, voice: Voice | None = None
    ) -> None:
        config.check()
        self.config = config
        self.faults = faults or Faults()
        self.ticker = Ticker()
        self.calls: dict[str, PhoneCall] = {}
        self._voice = voice
        self._own_voice: Synthesiser | None = None
        self._voice_lock = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._grid: EventGrid | None = None
        self._exchange: Exchange | None = None
        self._signer: Signer | None = None
        self._rest: RestApi | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        """Start."""
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    @property
    def endpoint(self) -> str:
        """Its address: `http://127.0.0.1:PORT`, known after `start`."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        return f"http://{self.config.host}:{self._port}"

    @property
    def connection_string(self) -> str:
        """`endpoint=…;accesskey=…`; secret."""
        return f"endpoint={self.endpoint};accesskey={self.config.access_key}"

    @property
    def jwks_url(self) -> str:
        """Where the public keys of ACS's JWTs are."""
        return f"{self.endpoint}/calling/keys"

    @property
    def issuer(self) -> str:
        """The `iss` claim of ACS's JWTs."""
        return self.config.issuer

    @property
    def grid(self) -> EventGrid:
        """Event Grid, for tests that look at deliveries; known after `start`."""
        if self._grid is None:
            raise RuntimeError("the emulator has not been started")
        return self._grid

    @property
    def signer(self) -> Signer:
        """ACS's signing key, for tests that play ACS; known after `start`."""
        if self._signer is None:
            raise RuntimeError("the emulator has not been started")
        return self._signer

    @property
    def operations(self) -> Counter[tuple[str, int]]:
        """How often each REST operation was carried out or refused: `("answer", 200)`; repeats from memory do not count."""
        return self._rest.operations if self._rest is not None else Counter()

    async def start(self) -> None:
        """Listen, then subscribe what the configuration names.

        Raises:
            OSError: the port is taken.
            SubscriptionRefused: an endpoint did not pass the validation handshake.
        """
        config = self.config
        signer = await asyncio.to_thread(Signer, config.resource_id, config.issuer)
        self._signer = signer
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"User-Agent": "patchcord-emulator"},
        )
        self._grid = EventGrid(self._session, TOPIC, config.time_scale, config.dead_letter)
        rng = random.Random(config.seed)  # noqa: S311  # shuffles callbacks, protects nothing
        services = Services(self._session, signer, self.ticker, rng, config.resource_id)
        self._exchange = Exchange(services, self._grid, config.ring_timeout_s)
        app = web.Application(client_max_size=MAX_BODY)
        self._rest = RestApi(self._exchange, config.access_key, signer, lambda: self.endpoint)
        self._rest.add_to(app.router)
        ControlApi(self, config.control_key).add_to(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, config.host, config.port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        for subscription in config.subscriptions:
            await self.subscribe(subscription)

    async def subscribe(self, subscription: Subscription) -> None:
        """Add an event subscription after its validation handshake.

        Raises:
            ConfigurationError: Event Grid would not take it.
            SubscriptionRefused: the endpoint failed the handshake.
        """
        await self.grid.subscribe(subscription)

    async def dial(
        self, script: CallerScript | dict[str, object], *, faults: Faults | None = None
    ) -> PhoneCall:
        """Make a scripted call; returns when it rings.

        Raises:
            InvalidInput: the script is wrong; names the place.
            AgentUnavailable: the caller's synthesiser does not start.
        """
        if self._exchange is None:
            raise RuntimeError("the emulator has not been started")
        parsed = script if isinstance(script, CallerScript) else parse_script(script)
        voice = await self._speaker() if parsed.texts() else None
        speech = await render(parsed, voice)
        call = PhoneCall(parsed, speech, self._exchange, faults or self.faults)
        self.calls[call.id] = call
        while len(self.calls) > KEPT_CALLS:
            del self.calls[next(iter(self.calls))]
        call.dial()
        return call

    async def _speaker(self) -> Voice:
        if self._voice is not None:
            return self._voice
        async with self._voice_lock:
            if self._own_voice is None:
                synthesiser = Synthesiser()
                await synthesiser.start()
                self._own_voice = synthesiser
        return self._own_voice

    async def close(self) -> None:
        """End all calls and stop; idempotent."""
        if self._exchange is not None:
            await self._exchange.close()
        for call in self.calls.values():
            await call.ended()
        if self._grid is not None:
            await self._grid.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        if self._own_voice is not None:
            await self._own_voice.close()
            self._own_voice = None
