"""The emulator in one object: ACS's REST interface, Event Grid, the media client and the phone, on loopback."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Self

import aiohttp
from aiohttp import web

from emulator.acs.bearer import BearerTokens
from emulator.acs.calls import Call
from emulator.acs.dialler import Dialler
from emulator.acs.door import Authenticator
from emulator.acs.events import TOPIC
from emulator.acs.exchange import Exchange
from emulator.acs.identity import Identities
from emulator.acs.operations.hearing import Hearing
from emulator.acs.operations.sources import Sounds
from emulator.acs.operations.transcription import set_up, start_with_call
from emulator.acs.recordings import Recordings
from emulator.acs.rest import MAX_BODY, RestApi
from emulator.acs.rest_body import Route
from emulator.acs.rest_identity import IdentityRoutes
from emulator.acs.rest_media import MediaRoutes
from emulator.acs.rest_recordings import RecordingRoutes
from emulator.acs.services import Services
from emulator.acs.signing import Signer
from emulator.config import EmulatorConfig
from emulator.control import VALIDATIONS, ControlApi
from emulator.event_grid.delivery import EventGrid
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.topics import Topics
from emulator.faults import Faults
from emulator.kept_calls import keep
from emulator.pacing import Ticker
from emulator.phone.call import PhoneCall
from emulator.phone.callee import CalleeScript, Phonebook, parse_callee
from emulator.phone.script import CallerScript, parse_script
from emulator.phone.scripted import ScriptedCall
from emulator.phone.speaker import RATES, Speaker, Voice
from emulator.tls import Authority, Tls, open_tls
from emulator.trace import Trace
from emulator.trace.http import client_middleware, rest_middleware
from emulator.twilio.service import Twilio
from shared.errors import ConfigurationError, InvalidInput

SHUTDOWN_S = 1.0


class Emulator:
    """Starts and stops everything; use it as an async context manager or with `start` and `close`.

    Args:
        config: how it is set up.
        faults: of all calls that are given none of their own.
        voice: the callers' synthesiser; a child process is started for the first script that speaks when it is None.
        trace: sees the traffic in place of the one that `trace_folder` makes; it is not closed with the emulator.

    Attributes:
        trace: the wire trace, or None.
        watchers: called with each new call of a telephone.
        twilio: the emulated Twilio account after `start`, if there is one.
    """

    def __init__(
        self,
        config: EmulatorConfig,
        *,
        faults: Faults | None = None,
        voice: Voice | None = None,
        trace: Trace | None = None,
    ) -> None:
        config.check()
        self.config = config
        self.trace = trace
        self.faults = faults or Faults()
        self.ticker = Ticker()
        self.calls: dict[str, ScriptedCall] = {}
        self.watchers: list[Callable[[ScriptedCall], None]] = []
        self._speaker = Speaker(voice)
        self._hearing = Hearing()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._grid: EventGrid | None = None
        self._exchange: Exchange | None = None
        self._signer: Signer | None = None
        self._rest: RestApi | None = None
        self._phones: Phonebook | None = None
        self._tls: Tls | None = None
        self._identities: Identities | None = None
        self._recordings: Recordings | None = None
        self._own_trace: Trace | None = None
        self.twilio: Twilio | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        """Start."""
        try:
            await self.start()
        except BaseException:  # also a cancelled start: nothing may stay open; raised on
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    @property
    def endpoint(self) -> str:
        """Its address: `http://127.0.0.1:PORT`, or `https://…` with `tls_folder`; known after `start`."""
        if not self._port:
            raise RuntimeError("the emulator has not been started")
        scheme = "http" if self.config.tls_folder is None else "https"
        return f"{scheme}://{self.config.host}:{self._port}"

    @property
    def connection_string(self) -> str:
        """`endpoint=…;accesskey=…`; secret."""
        return f"endpoint={self.endpoint};accesskey={self.config.access_key}"

    @property
    def authority(self) -> Authority | None:
        """The authority of its certificates, with the files that clients need; None on plain http or before `start`."""
        return self._tls.authority if self._tls else None

    @property
    def identities(self) -> Identities:
        """The resource's users; known after `start`."""
        if self._identities is None:
            raise RuntimeError("the emulator has not been started")
        return self._identities

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
            ConfigurationError: the folder of the certificate authority is not as it should be.
            SubscriptionRefused: an endpoint did not pass the validation handshake.
        """
        config = self.config
        signer = await asyncio.to_thread(Signer, config.resource_id, config.issuer)
        self._signer = signer
        if config.tls_folder is not None:
            self._tls = await asyncio.to_thread(open_tls, config.tls_folder, config.host)
        if config.trace_folder is not None and self.trace is None:
            self.trace = self._own_trace = await asyncio.to_thread(Trace, config.trace_folder)
        client_tls = self._tls.client if self._tls else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=client_tls or True),
            headers={"User-Agent": "patchcord-emulator"},
            middlewares=[client_middleware(self.trace)] if self.trace else [],
        )
        self._grid = EventGrid(
            self._session,
            TOPIC,
            config.time_scale,
            config.dead_letter,
            validation_address=lambda key: f"{self.endpoint}{VALIDATIONS}/{key}",
        )
        rng = random.Random(config.seed)  # noqa: S311  # shuffles callbacks, protects nothing
        services = Services(self._session, signer, self.ticker, rng, config.resource_id)
        services.dialler = Dialler(client_tls, self.trace)
        exchange = Exchange(services, self._grid, config.ring_timeout_s, self.faults, config.numbers)
        self._exchange = exchange
        self._phones = exchange.phones = Phonebook(exchange, self._keep)
        tokens = BearerTokens(signer, config.resource_id, config.access_key, self._base)
        door = Authenticator(config.access_key, tokens, lambda: self._base().partition("://")[2])
        sounds = services.sounds = Sounds(self._session, self._speaker.voice)
        services.on_made.append(set_up)
        if self.trace is not None:
            services.on_made.append(partial(_introduce, self.trace))
        services.on_connected.append(start_with_call)
        self._identities = Identities(config.resource_id, signer)
        self._recordings = Recordings(services, self._grid)
        routes: list[Route] = []
        routes += IdentityRoutes(self._identities).routes()
        routes += RecordingRoutes(exchange, self._recordings).routes()
        routes += MediaRoutes(exchange, sounds, self._hearing).routes()
        if config.twilio is not None:
            self.twilio = Twilio(
                config.twilio,
                ticker=self.ticker,
                dialler=services.dialler,
                sounds=sounds,
                phonebook=self._phones,
                speaker=self._speaker,
                keep=self._keep,
                base=self._base,
                tls=client_tls,
                trace=self.trace,
            )
        middlewares = [rest_middleware(self.trace)] if self.trace else []
        app = web.Application(client_max_size=MAX_BODY, middlewares=middlewares)
        tokens.add_to(app.router)
        self._rest = RestApi(exchange, door, signer, self._base, routes)
        self._rest.add_to(app.router)
        ControlApi(self, config.control_key).add_to(app.router)
        if self.twilio is not None:
            self.twilio.add_to(app.router)
        Topics(self._grid, config.topics, self._base).add_to(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        server_tls = self._tls.server if self._tls else None
        site = web.TCPSite(self._runner, config.host, config.port, ssl_context=server_tls)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        for subscription in config.subscriptions:
            await self.subscribe(subscription)

    def _base(self) -> str:
        return self.endpoint

    async def subscribe(self, subscription: Subscription) -> None:
        """Add an event subscription after its validation handshake.

        Raises:
            ConfigurationError: Event Grid would not take it, or there is no such topic.
            SubscriptionRefused: the endpoint failed the handshake.
        """
        if subscription.topic and subscription.topic not in self.config.topics:
            raise ConfigurationError(f"subscriptions.{subscription.name}.topic", "a topic of this emulator")
        await self.grid.subscribe(subscription)

    def topic_endpoint(self, name: str) -> str:
        """Where events are published to a custom topic."""
        return f"{self.endpoint}/{name}/api/events"

    async def dial(
        self, script: CallerScript | dict[str, object], *, faults: Faults | None = None
    ) -> ScriptedCall:
        """Make a scripted call; returns when it rings.

        Raises:
            InvalidInput: the script is wrong, or on a line that there is not; names the place.
            AgentUnavailable: the caller's synthesiser does not start.
        """
        if self._exchange is None:
            raise RuntimeError("the emulator has not been started")
        parsed = script if isinstance(script, CallerScript) else parse_script(script)
        if faults is None:
            faults = self.faults.copy()
            faults.set(parsed.faults)
        if parsed.line == "twilio":
            if self.twilio is None:
                raise InvalidInput("line", "acs: this emulator has no Twilio account")
            return await self.twilio.dial(parsed, faults)
        speech = await self._speaker.speech(parsed)
        call = PhoneCall(parsed, speech, self._exchange, faults)
        self._keep(call)
        call.dial()
        return call

    def _keep(self, call: ScriptedCall) -> None:
        keep(self.calls, call)
        for watcher in self.watchers:
            watcher(call)

    @property
    def phones(self) -> Phonebook:
        """The telephones that can be called; known after `start`."""
        if self._phones is None:
            raise RuntimeError("the emulator has not been started")
        return self._phones

    async def add_phone(self, script: CalleeScript | dict[str, object]) -> CalleeScript:
        """Add a telephone that apps and other telephones can call, or give it another script. Its calls are in `calls`.

        Raises:
            InvalidInput: the script is wrong; names the place.
            AgentUnavailable: the person's synthesiser does not start.
        """
        parsed = script if isinstance(script, CalleeScript) else parse_callee(script)
        rates = [rate for line, some in RATES.items() if line == "acs" or self.twilio for rate in some]
        self.phones.add(parsed, await self._speaker.speech(parsed.script, rates))
        return parsed

    async def close(self) -> None:
        """End all calls and stop; idempotent."""
        if self.twilio is not None:
            await self.twilio.close()
        if self._exchange is not None:
            await self._exchange.close()
        if self._recordings is not None:
            await self._recordings.close()
        for call in list(self.calls.values()):
            await call.ended()
        if self._grid is not None:
            await self._grid.close()
        if self._runner is not None:
            await _stop(self._runner)
        if self._session is not None:
            await self._session.close()
        if self._own_trace is not None:
            await asyncio.to_thread(self._own_trace.close)
        await self._speaker.close()
        await self._hearing.close()


def _introduce(trace: Trace, call: Call) -> None:
    """Tell the trace a connection's ids before anybody uses them: callbacks, and what an app does then, may beat the answer."""
    trace.learn(call.properties())


async def _stop(runner: web.AppRunner) -> None:
    """Stop serving; connections that clients hold open end here. With TLS they would wait half a minute for a farewell."""
    server = runner.server
    transports = [handler.transport for handler in server.connections] if server is not None else []
    await runner.cleanup()
    for transport in filter(None, transports):
        transport.abort()
    await asyncio.sleep(0)
