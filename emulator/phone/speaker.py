"""Who speaks for the people in scripts: the given voice, or a synthesiser of our own that is started for the first who speaks."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from emulator.phone.audio import read_wav
from emulator.phone.caller import StepFailed
from emulator.phone.script import CallerScript
from media_host.speech.synthesiser import Synthesiser


class Voice(Protocol):
    """A speech synthesiser."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        """`text` as PCM16LE mono."""


RATES: Mapping[str, Sequence[int]] = {"acs": (16000, 24000), "twilio": (8000,)}
"""Sample rates (Hz) of each line."""


async def render(
    script: CallerScript, voice: Voice | None, rates: Sequence[int] = RATES["acs"]
) -> Mapping[int, Mapping[str, bytes]]:
    """All that the caller will say, by sample rate (Hz), so that nothing waits for the synthesiser during the call."""
    speech: dict[int, dict[str, bytes]] = {rate: {} for rate in rates}
    for text in script.texts():
        if voice is None:
            raise StepFailed("this script speaks, and there is no synthesiser")
        for rate, texts in speech.items():
            texts[text] = await voice.say(text, script.voice, rate)
    for file in script.files():
        for rate, texts in speech.items():
            texts[file] = await asyncio.to_thread(read_wav, Path(file), rate)
    return speech


class Speaker:
    """Belongs to one emulator.

    Args:
        voice: speaks; None for a synthesiser of its own (a child process).
    """

    def __init__(self, voice: Voice | None) -> None:
        self._given = voice
        self._own: Synthesiser | None = None
        self._lock = asyncio.Lock()

    async def voice(self) -> Voice:
        """The voice, ready to speak.

        Raises:
            AgentUnavailable: the synthesiser does not start.
        """
        if self._given is not None:
            return self._given
        async with self._lock:
            if self._own is None:
                synthesiser = Synthesiser()
                await synthesiser.start()
                self._own = synthesiser
        return self._own

    async def speech(
        self, script: CallerScript, rates: Sequence[int] = RATES["acs"]
    ) -> Mapping[int, Mapping[str, bytes]]:
        """All that the person of the script will say; see `render`.

        Raises:
            AgentUnavailable: the synthesiser does not start.
        """
        return await render(script, await self.voice() if script.texts() else None, rates)

    async def close(self) -> None:
        """Stop the synthesiser; idempotent."""
        own, self._own = self._own, None
        if own is not None:
            await own.close()
