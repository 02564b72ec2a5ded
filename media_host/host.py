"""The media host put together: settings in, a listening server out."""

import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import aiohttp

from media_host.agents.base import Codec, VoiceAgent
from media_host.agents.factory import AgentFactory
from media_host.agents.realtime.access import ModelAccess
from media_host.capacity import Capacity
from media_host.door import Door
from media_host.lateness import Lateness
from media_host.line_codec import pcm_codec, ulaw_line_codec
from media_host.notices import Notices, Says
from media_host.playout import Ticker
from media_host.post_call import PostCallHooks
from media_host.recorder import Recorder, RecordingWriter
from media_host.server import MediaServer
from media_host.services import AGENT_START_S, Services
from media_host.tools import ToolBox
from media_host.twilio_door import TwilioDoor
from shared.calls.controls import CallControls
from shared.calls.moving import Moves
from shared.calls.repository import Calls
from shared.config.agents import AgentConfig
from shared.config.document import load_config
from shared.errors import AgentUnavailable, ConfigurationError
from shared.publishing.outbox import Outbox
from shared.security.acs_signature import AcsSignature
from shared.security.jwks import http_fetch
from shared.security.keyring import KeyRing, open_key_source
from shared.security.secrets import Secrets
from shared.security.tokens import TokenVerifier
from shared.settings import MediaHostSettings
from shared.store import open_store
from shared.telemetry import metrics
from shared.telemetry.setup import MEDIA, start
from shared.twilio.begin import TwilioCalls

if TYPE_CHECKING:
    from media_host.speech import Speech

log = logging.getLogger(__name__)


class MediaHost:
    """One process's media host: `async with MediaHost(settings) as host`.

    Args:
        settings: where and how.
        make_agent: makes agents instead of `AgentFactory` (tests, benchmarks).
        now: Unix seconds.
        fast: see `websocket`.

    Attributes:
        server: what listens, once this has started.
    """

    server: MediaServer

    def __init__(
        self,
        settings: MediaHostSettings,
        *,
        make_agent: Callable[[AgentConfig], VoiceAgent] | None = None,
        now: Callable[[], float] = time.time,
        fast: bool = True,
    ) -> None:
        self.settings = settings
        self.config = load_config(settings.config)
        self.notices = Notices()
        self._now = now
        self._fast = fast
        self._make_agent = make_agent
        self._store = open_store(settings.store, settings.managed_identity)
        self._keys = KeyRing(open_key_source(settings.verification_keys, settings.managed_identity), now)
        self._writer = RecordingWriter()
        outbox = Outbox(self._store, now) if settings.events_topic else None
        self._calls = Calls(self._store, now, outbox)
        self._stack = AsyncExitStack()
        self._synthesiser: Says | None = None
        self.capacity = Capacity(
            self._store, settings.host_id, settings.capacity, active=lambda: self.server.active, now=now
        )

    async def __aenter__(self) -> Self:
        """Start: speech engines, notices, tools, agents, the listening socket, the heartbeat.

        Raises:
            ConfigurationError: an agent or a tool of patchcord.yaml cannot work.
            OSError: the address cannot be bound.
        """
        try:
            await self._start()
        except BaseException:  # nothing may stay behind of a start that failed; raised on
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        """What is opened first is given back last."""
        settings, give_back = self.settings, self._stack.push_async_callback
        telemetry = start(
            settings.telemetry, service=MEDIA, instance=settings.host_id, environment=settings.environment
        )
        if telemetry is not None:
            give_back(telemetry.close)
        give_back(self._store.close)
        give_back(self._keys.close)
        self._stack.callback(self._writer.close)
        secrets = Secrets(settings.managed_identity, self._now)
        give_back(secrets.close)
        controls = CallControls.from_config(
            settings.acs, settings.managed_identity, self.config.tenants, secrets
        )
        give_back(controls.close)
        http = await self._stack.enter_async_context(aiohttp.ClientSession())
        access = ModelAccess(secrets, settings.managed_identity, self._now)
        give_back(access.close)
        tools = ToolBox.from_config(self.config, secrets, http)
        give_back(tools.close)
        await tools.check()
        make_agent = self._make_agent or await self._agents(secrets, access, tools)
        post_call = PostCallHooks(self.config, self._calls, secrets, http)
        give_back(post_call.close)
        give_back(self.capacity.close)
        signature = AcsSignature(settings.acs_jwt, http_fetch(http), self._now, own=self.config.acs_resources)
        verifier = TokenVerifier(self._keys, self._now)
        door = Door(
            host_id=settings.host_id,
            store=self._store,
            calls=self._calls,
            verifier=verifier,
            signature=signature,
            signature_required=settings.acs_jwt.required,
            now=self._now,
        )
        services = Services(
            host_id=settings.host_id,
            config=self.config,
            calls=self._calls,
            control=controls.shared,
            moves=Moves(self.config, self._store, self._calls, self._now),
            own_controls=controls.own,
            make_agent=make_agent,
            make_recorder=self._recorder,
            tools=tools,
            post_call=post_call,
            notices=self.notices,
            ticker=Ticker(),
            now=self._now,
            max_call_s=settings.max_call_s,
            path_delay_ms=settings.path_delay_ms,
        )
        self.server = MediaServer(services, fast=self._fast)
        give_back(self.server.close)
        await self.notices.prepare(self._synthesiser, self._codecs())
        await self.server.start(
            settings.listen_host,
            settings.listen_port,
            door=door,
            capacity=self.capacity,
            twilio=self._twilio_door(verifier, secrets),
        )
        self.capacity.start()
        metrics.ACTIVE.watch(self.capacity, lambda capacity: capacity.active)
        metrics.CAPACITY.watch(self.capacity, lambda capacity: capacity.places)
        if metrics.on():
            await self._stack.enter_async_context(Lateness())

    async def __aexit__(self, *_: object) -> None:
        """End what is left and give everything back."""
        await self._stack.aclose()

    async def drain(self) -> None:
        """Refuse new calls and wait for the others, for as long as the settings say."""
        await self.server.drain(self.settings.drain_s)

    async def _agents(
        self, secrets: Secrets, access: ModelAccess, tools: ToolBox
    ) -> Callable[[AgentConfig], VoiceAgent]:
        """The factory of agents, after every agent was made once, so that a mistake shows now."""
        factory = AgentFactory(
            self.config,
            folder=self.settings.config.parent,
            speech=await self._start_speech(),
            secrets=secrets,
            access=access,
            tools=tools,
            start_s=AGENT_START_S,
        )
        factory.check()
        return factory.make

    async def _start_speech(self) -> "Speech | None":
        """The engines; None when they cannot be started."""
        from media_host.speech import Speech

        speech = Speech()
        try:
            await speech.start()
        except AgentUnavailable as error:
            log.error("no speech synthesiser: %s", error)
            await speech.close()
            return None
        self._stack.push_async_callback(speech.close)
        self._synthesiser = speech.synthesiser
        return speech

    def _codecs(self) -> set[Codec]:
        """In which calls of this host may run."""
        agents = self.config.agents
        codecs = {pcm_codec(agent) for agent in agents.values()}
        if self.config.twilio:
            codecs |= {ulaw_line_codec(agent, agents) for agent in agents.values()}
        return codecs

    def _twilio_door(self, verifier: TokenVerifier, secrets: Secrets) -> TwilioDoor | None:
        """None when no tenant has a Twilio account."""
        settings = self.settings
        if not self.config.twilio:
            return None
        if not settings.media_base:
            raise ConfigurationError(
                "CALLBACK_URI_HOST",
                "the media hosts' public address, wss://…: Twilio signs it (twilio: is configured)",
            )
        calls = TwilioCalls(
            self._store,
            self.config,
            self._calls,
            settings.environment,
            settings.max_concurrent_calls,
            self._now,
        )
        return TwilioDoor(
            media_base=settings.media_base,
            accounts=self.config.twilio,
            verifier=verifier,
            secrets=secrets,
            calls=calls,
        )

    def _recorder(self, call_id: str, codec: Codec) -> Recorder | None:
        folder = self.settings.recordings
        return None if folder is None else Recorder(Path(folder) / f"{call_id}.wav", codec, self._writer)
