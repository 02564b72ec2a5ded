"""The media host put together: settings in, a listening server out."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import aiohttp

from media_host.agents import create_agent
from media_host.agents.base import Codec, VoiceAgent
from media_host.audio import ACS_CODECS
from media_host.capacity import Capacity
from media_host.door import Door
from media_host.notices import Notices
from media_host.playout import Ticker
from media_host.recorder import Recorder, RecordingWriter
from media_host.server import MediaServer
from media_host.services import Services
from media_host.tools import builtin_tools
from shared.calls.control import CallControl
from shared.calls.repository import Calls
from shared.config.agents import AgentConfig
from shared.config.document import load_config
from shared.errors import AgentUnavailable
from shared.security.acs_signature import AcsSignature
from shared.security.jwks import http_fetch
from shared.security.keyring import KeyRing, open_key_source
from shared.security.tokens import TokenVerifier
from shared.settings import MediaHostSettings
from shared.store import open_store

if TYPE_CHECKING:
    from media_host.speech import Speech

log = logging.getLogger(__name__)


class MediaHost:
    """One process's media host: `async with MediaHost(settings) as host`.

    Args:
        settings: where and how.
        make_agent: makes agents instead of `create_agent` (tests, benchmarks).
        now: Unix seconds.
        fast: see `websocket`.
    """

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
        self._speech: Speech | None = None
        self._make_agent = make_agent
        self._store = open_store(settings.store, settings.managed_identity)
        self._keys = KeyRing(open_key_source(settings.verification_keys, settings.managed_identity), now)
        self._control = CallControl(settings.acs, settings.managed_identity)
        self._writer = RecordingWriter()
        self._calls = Calls(self._store, now)
        self._session: aiohttp.ClientSession
        self.server = MediaServer(
            Services(
                host_id=settings.host_id,
                config=self.config,
                calls=self._calls,
                control=self._control,
                make_agent=self._agent,
                make_recorder=self._recorder,
                tools=builtin_tools(),
                notices=self.notices,
                ticker=Ticker(),
                now=now,
                max_call_s=settings.max_call_s,
            ),
            fast=fast,
        )
        self.capacity = Capacity(
            self._store,
            settings.host_id,
            settings.capacity,
            active=lambda: self.server.active,
            now=now,
        )

    async def __aenter__(self) -> Self:
        """Start: speech engines, notices, the listening socket, the heartbeat.

        Raises:
            ConfigurationError: an agent of patchcord.yaml cannot work.
            OSError: the address cannot be bound.
        """
        self._session = aiohttp.ClientSession()
        try:
            await self._start()
        except BaseException:  # nothing may stay behind of a start that failed; raised on
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        settings = self.settings
        await self._start_speech()
        signature = AcsSignature(settings.acs_jwt, http_fetch(self._session), self._now)
        door = Door(
            host_id=settings.host_id,
            store=self._store,
            calls=self._calls,
            verifier=TokenVerifier(self._keys, self._now),
            signature=signature,
            signature_required=settings.acs_jwt.required,
            now=self._now,
        )
        await self.server.start(settings.listen_host, settings.listen_port, door=door, capacity=self.capacity)
        self.capacity.start()

    async def __aexit__(self, *_: object) -> None:
        """End what is left and give everything back."""
        await self.server.close()
        await self.capacity.close()
        await self._control.close()
        self._writer.close()
        if self._speech is not None:
            await self._speech.close()
        await self._session.close()
        await self._keys.close()
        await self._store.close()

    async def drain(self) -> None:
        """Refuse new calls and wait for the others, for as long as the settings say."""
        await self.server.drain(self.settings.drain_s)

    async def _start_speech(self) -> None:
        """The engines, if there is any use for them, and the notices; then every agent once, so that a mistake shows now."""
        if self._make_agent is None:
            from media_host.speech import Speech

            self._speech = Speech()
            try:
                await self._speech.start()
            except AgentUnavailable as error:
                log.error("no speech synthesiser: %s", error)
                await self._speech.close()
                self._speech = None
            for name, config in self.config.agents.items():
                try:
                    self._agent(config)
                except AgentUnavailable as error:
                    log.error("agent %s will not answer: %s", name, error)
        codecs = {ACS_CODECS[config.audio] for config in self.config.agents.values()}
        await self.notices.prepare(self._speech.synthesiser if self._speech else None, codecs)

    def _agent(self, config: AgentConfig) -> VoiceAgent:
        if self._make_agent is not None:
            return self._make_agent(config)
        return create_agent(config, folder=self.settings.config.parent, speech=self._speech)

    def _recorder(self, call_id: str, codec: Codec) -> Recorder | None:
        folder = self.settings.recordings
        return None if folder is None else Recorder(Path(folder) / f"{call_id}.wav", codec, self._writer)
