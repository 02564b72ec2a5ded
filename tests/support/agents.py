"""Voice agents for tests of the media host: small, and told by the test what to do."""

import asyncio
import base64

from media_host.agents.base import AgentCapabilities, Codec, Ended, TransferType, TurnEnded, TurnStarted
from shared.errors import AgentUnavailable

CODECS = (Codec.PCM16_24K, Codec.PCM16_16K)


class PuppetAgent:
    """Does what the test says, and keeps what the host tells it. `says_ms`: what it is told to say takes so long."""

    def __init__(
        self,
        *,
        fail=None,
        hang=False,
        echo=False,
        slow_cancel_s=0.0,
        says_ms=0,
        detects_speech=True,
        exact_say=False,
        minds_silence=False,
        starts_after_s=0.0,
    ) -> None:
        self.fail, self.hang, self.echo, self.slow_cancel_s = fail, hang, echo, slow_cancel_s
        self.capabilities = AgentCapabilities(CODECS, detects_speech, exact_say, minds_silence)
        self.says_ms, self.said, self.starts_after_s = says_ms, [], starts_after_s
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
        if self.starts_after_s:
            await asyncio.sleep(self.starts_after_s)
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
        self._say()

    async def listen_only(self) -> None:
        self.only_listens = True

    async def say(self, text: str) -> None:
        if not self.says_ms:
            raise AgentUnavailable("not in this test")
        self.said.append(text)
        self._say()

    def _say(self) -> None:
        if self.says_ms:
            self.speak(self.says_ms, f"s{len(self.texts) + len(self.said)}", fill=9)

    async def close(self) -> None:
        self.closed_at = asyncio.get_running_loop().time() * 1000
        self.closed.set()

    # --- for the test

    def speak(self, ms: float, turn="t1", fill=1, end=True, barge_in="speech") -> bytes:
        """Give the host `ms` of audio at once; returns the samples."""
        pcm = bytes([fill]) * int(ms * self.codec.bytes_per_ms)
        self.host.event(TurnStarted(turn, barge_in))
        self.host.audio(turn, base64.b64encode(pcm))
        if end:
            self.host.event(TurnEnded(turn))
        return pcm

    def finish(self, outcome=TransferType.SYSTEM, reason="goodbye", **more) -> None:
        self.host.event(Ended(outcome, reason, **more))
