"""Our adapter and the vendors' SDKs, each taking the caller's base64 and giving base64 for the line: the same work."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from azure.ai.voicelive.aio import connect as voicelive_connect
from azure.core.credentials import AzureKeyCredential
from openai import AsyncOpenAI

from media_host.agents.base import AgentEvent, AgentStart, Codec, Heard, Said
from media_host.agents.realtime import create
from media_host.agents.realtime.access import ModelAccess
from media_host.agents.realtime.agent import RealtimeAgent
from shared.config.realtime import RealtimeAgentConfig
from shared.security.secrets import Secrets

TOGETHER = 10
"""Frames sent before the loop has its turn: sockets are read and written, as in a call."""

type DialectName = Literal["GA", "flat"]


class Contender(Protocol):
    """Somebody's client of a realtime model.

    Attributes:
        heard: bytes of base64 text that were given for the line.
    """

    heard: int

    async def open(self, port: int, dialect: DialectName, piece_ms: int) -> None:
        """Connect; the model answers with deltas of `piece_ms`."""

    async def up(self, frames: Sequence[bytes]) -> None:
        """Send the caller's frames, base64."""

    async def down(self, deltas: int) -> None:
        """Let the model respond, and take so many audio deltas."""

    async def close(self) -> None:
        """The end."""


class Ours:
    """Patchcord's own adapter, whole: it parses, filters, keeps the turns."""

    def __init__(self) -> None:
        self.heard = 0
        self.quiet = True
        self._left = 0
        self._done = asyncio.Event()
        self._agent: RealtimeAgent

    async def open(self, port: int, dialect: DialectName, piece_ms: int) -> None:
        """See `Contender`."""
        config = RealtimeAgentConfig(
            service="openai" if dialect == "GA" else "voice-live",
            endpoint=f"ws://127.0.0.1:{port}",
            auth="none",
            model=f"bench-{piece_ms}",
            connections_per_minute=10_000,
        )
        self._agent = create(config, ModelAccess(Secrets()))
        await self._agent.start(AgentStart("bench", Codec.PCM16_24K), self)

    async def up(self, frames: Sequence[bytes]) -> None:
        """See `Contender`."""
        for at in range(0, len(frames), TOGETHER):
            for frame in frames[at : at + TOGETHER]:
                self._agent.send_audio(frame)
            await asyncio.sleep(0)

    async def down(self, deltas: int) -> None:
        """See `Contender`."""
        self._left = deltas
        self._done.clear()
        await self._agent.send_text("Go on.")
        await self._done.wait()

    async def close(self) -> None:
        """See `Contender`."""
        await self._agent.close()

    def audio(self, turn: str, data: bytes) -> None:
        """For the line (the agent's host)."""
        self.heard += len(data)
        self._left -= 1
        if not self._left:
            self._done.set()

    def event(self, event: AgentEvent) -> None:
        """Nothing of interest."""

    def interrupt(self) -> Sequence[Heard]:
        """Nobody does."""
        return ()

    def history(self) -> Sequence[Said]:
        """Nothing was said."""
        return ()


class _Sdk:
    """What both SDKs have in common: a connection that is iterated.

    Args:
        delta: type of the events that carry audio.
        to_base64: makes base64 of what such an event gives.
    """

    def __init__(self, delta: str, to_base64: Callable[[Any], bytes]) -> None:
        self._delta = delta
        self._to_base64 = to_base64
        self.heard = 0
        self._connection: Any  # each SDK has its own types for the same few names
        self._manager: Any

    async def up(self, frames: Sequence[bytes]) -> None:
        """See `Contender`."""
        append = self._connection.input_audio_buffer.append
        for at in range(0, len(frames), TOGETHER):
            for frame in frames[at : at + TOGETHER]:
                await append(audio=frame.decode())
            await asyncio.sleep(0)

    async def down(self, deltas: int) -> None:
        """See `Contender`."""
        await self._connection.response.create()
        wanted, to_base64 = self._delta, self._to_base64
        async for event in self._connection:
            if event.type == wanted:
                self.heard += len(to_base64(event.delta))
                deltas -= 1
            elif event.type == "response.done":
                break
        assert not deltas, "the model's deltas did not all come"

    async def close(self) -> None:
        """See `Contender`."""
        await self._manager.__aexit__(None, None, None)


class OpenAi(_Sdk):
    """`openai`, which gives the delta's text."""

    def __init__(self) -> None:
        super().__init__("response.output_audio.delta", str.encode)

    async def open(self, port: int, dialect: DialectName, piece_ms: int) -> None:
        """See `Contender`."""
        client = AsyncOpenAI(api_key="none", websocket_base_url=f"ws://127.0.0.1:{port}/openai/v1")
        self._manager = client.realtime.connect(model=f"bench-{piece_ms}")
        self._connection = await self._manager.__aenter__()


class VoiceLive(_Sdk):
    """`azure-ai-voicelive`, which gives the delta's bytes."""

    def __init__(self) -> None:
        super().__init__("response.audio.delta", base64.b64encode)

    async def open(self, port: int, dialect: DialectName, piece_ms: int) -> None:
        """See `Contender`."""
        self._manager = voicelive_connect(
            credential=AzureKeyCredential("none"),
            endpoint=f"ws://127.0.0.1:{port}",
            model=f"bench-{piece_ms}",
        )
        self._connection = await self._manager.__aenter__()
