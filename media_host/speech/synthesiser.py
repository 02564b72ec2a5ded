"""Text to speech: espeak-ng in a child process. A robotic voice, but it starts in milliseconds and needs no account."""

import importlib.util
import re
from collections import OrderedDict
from typing import Self

from media_host.speech.child import Child
from shared.errors import AgentUnavailable, InvalidInput

VOICE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,12}){0,3}(?:\+[A-Za-z0-9_]{1,20})?")
MAX_TEXT = 2000
CACHE_BYTES = 32 * 1024 * 1024
SAMPLE_RATES = (8000, 16000, 24000)
RATE_WPM = 165
LOWEST_WPM, HIGHEST_WPM = 80, 450


class Synthesiser:
    """The client of the synthesiser's child, shared by all calls of a process.

    `async with Synthesiser() as synthesiser: pcm = await synthesiser.say("hello", voice="en-us+f3")`. Prompts are kept in
    memory, least recently used first to go, up to `cache_bytes`.
    """

    def __init__(self, *, cache_bytes: int = CACHE_BYTES, wait_s: float = 10.0) -> None:
        self._child = Child("media_host.speech.synthesiser_child", work_s=5.0, wait_s=wait_s)
        self._cache: OrderedDict[tuple[str, str, int, int], bytes] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._cached = 0

    @staticmethod
    def installed() -> bool:
        """Whether the package with espeak-ng is there (it is not loaded into this process)."""
        return importlib.util.find_spec("espeakng_loader") is not None

    @property
    def child(self) -> Child:
        """The child process, for its health."""
        return self._child

    async def start(self) -> None:
        """Start the child.

        Raises:
            AgentUnavailable: espeakng-loader is not installed, or its library does not load.
        """
        await self._child.start()

    async def close(self) -> None:
        """End the child; idempotent."""
        await self._child.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def say(
        self, text: str, voice: str = "en-us", sample_rate: int = 24000, rate: int = RATE_WPM
    ) -> bytes:
        """Speak `text`.

        Args:
            text: plain text, at most 2000 characters.
            voice: an espeak-ng voice, with an optional variant (`en-us`, `en-us+f3`).
            sample_rate: 8000, 16000 or 24000 Hz.
            rate: words per minute, 80 to 450.

        Returns:
            PCM16LE mono, peak at -9 dBFS; b"" when there is nothing to say.

        Raises:
            InvalidInput: an argument is out of bounds.
            AgentUnavailable: the child does not answer, or knows no such voice.
        """
        if len(text) > MAX_TEXT or "\0" in text:
            raise InvalidInput("text", f"at most {MAX_TEXT} characters without NUL")
        if not VOICE.fullmatch(voice):
            raise InvalidInput("voice", "an espeak-ng voice such as en-us+f3")
        if sample_rate not in SAMPLE_RATES:
            raise InvalidInput("sample_rate", "8000, 16000 or 24000 Hz")
        if not LOWEST_WPM <= rate <= HIGHEST_WPM:
            raise InvalidInput("rate", f"{LOWEST_WPM} to {HIGHEST_WPM} words per minute")
        if not text.strip():
            return b""
        key = (text, voice, sample_rate, rate)
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        request: dict[str, object] = {"text": text, "voice": voice, "rate": rate, "sample_rate": sample_rate}
        pcm = await self._ask(request)
        self._keep(key, pcm)
        return pcm

    async def _ask(self, request: dict[str, object]) -> bytes:
        restarts = self._child.restarts
        pid = self._child.pid
        try:
            return (await self._child.request(request))[1]
        except AgentUnavailable:
            if self._child.pid == pid and self._child.restarts == restarts:
                raise  # the engine itself said no
        return (await self._child.request(request))[1]  # the child died over it or under it: once more

    def _keep(self, key: tuple[str, str, int, int], pcm: bytes) -> None:
        if key in self._cache or len(pcm) > self._cache_bytes:
            return
        self._cache[key] = pcm
        self._cached += len(pcm)
        while self._cached > self._cache_bytes:
            _, dropped = self._cache.popitem(last=False)
            self._cached -= len(dropped)
