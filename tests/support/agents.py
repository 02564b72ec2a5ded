"""Voice agents for tests of the media host: small, and told by the test what to do."""

import asyncio
import base64

from media_host.agents.base import AgentCapabilities, Codec, Ended, TransferType, TurnEnded, TurnStarted
from shared.errors import AgentUnavailable

CAPABILITIES = AgentCapabilities((Codec.PCM16_24K, Codec.PCM16_16K), detects_speech=True, exact_say=False)


class PuppetAgent:
    """Does what the test says, and keeps what the host tells it."""

    capabilities = CAPABILITIES

    def __init__(self, *, fail=None, hang=False, echo=False, slow_cancel_s=0.0) -> None:
        self.fail, self.hang, self.echo, self.slow_cancel_s = fail, hang, echo, slow_cancel_s
        self.heard, self.keys, self.flushes, self.turns, self.results = [], [], [], [], []
        self.started, self.closed, self.moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.crash = None
        self.texts, self.only_listens = [], False
        self.host = self.start_args = None

    async def start(self, start, host) -> None:
        self.start_args = start
        if self.hang:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(self.slow_cancel_s)
        if self.fail:
            raise self.fail
        self.host = host
        self.codec = start.codec
        if self.echo:
            host.event(TurnStarted("echo"))
        self.started.set()

    def send_audio(self, data: bytes) -> None:
        if self.crash:
            raise self.crash
        self.heard.append(data)
        self.moved.set()
        if self.echo and self.host:
            self.host.audio("echo", data)

    def send_key(self, key: str) -> None:
        self.keys.append(key)
        self.moved.set()

    def flushed(self, heard) -> None:
        self.flushes.append(list(heard))

    def played(self, turn: str) -> None:
        self.turns.append(turn)
        self.moved.set()

    async def tool_result(self, id: str, output) -> None:
        self.results.append((id, dict(output)))
        self.moved.set()

    async def send_text(self, text: str) -> None:
        self.texts.append(text)
        self.moved.set()

    async def listen_only(self) -> None:
        self.only_listens = True

    async def say(self, text: str) -> None:
        raise AgentUnavailable("not in this test")

    async def close(self) -> None:
        self.closed.set()

    # --- for the test

    def speak(self, ms: float, turn="t1", fill=1, end=True) -> bytes:
        """Give the host `ms` of audio at once; returns the samples."""
        pcm = bytes([fill]) * int(ms * self.codec.bytes_per_ms)
        self.host.event(TurnStarted(turn))
        self.host.audio(turn, base64.b64encode(pcm))
        if end:
            self.host.event(TurnEnded(turn))
        return pcm

    def finish(self, outcome=TransferType.SYSTEM, reason="goodbye", **more) -> None:
        self.host.event(Ended(outcome, reason, **more))
