"""Digits that the caller keys in and that neither the agent, nor the recording, nor any log gets to know.

They are kept in this call's memory only, for the tools that need them (`{secure.NAME}`), and forgotten at its end. A key's
tone tells the key: while digits are collected, and a little longer, nobody hears the caller and the recording is silent.
"""

import asyncio
from collections.abc import Mapping

from media_host.caller_audio import CallerAudio
from media_host.keys import Keys
from media_host.voice import HostVoice
from shared.config.agent import SecureDigits as Wanted

TAIL_S = 0.5
"""After the last key its tone may still be on the way (s)."""

AGAIN = "*"
"""The key that begins anew."""

DONE = "#"


class SecureDigits:
    """One call's.

    Args:
        wanted: what may be collected, by name.
        audio: the caller's audio.
        keys: the caller's keys.
        voice: says the prompt.

    Attributes:
        values: what was collected, by name.
    """

    def __init__(
        self, wanted: Mapping[str, Wanted], audio: CallerAudio, keys: Keys, voice: HostVoice
    ) -> None:
        self.values: dict[str, str] = {}
        self._wanted = wanted
        self._audio = audio
        self._keys = keys
        self._voice = voice
        self._busy = False

    async def collect(self, name: str) -> Mapping[str, object]:
        """Let the caller key in the digits `name`; the result says how many there were, never which."""
        wanted = self._wanted.get(name)
        if wanted is None:
            return {"error": "no such digits"}
        if self._busy:
            return {"error": "the caller is keying in digits already"}
        self._busy = True
        self._audio.keep_secret(True)
        try:
            pressed = await self._pressed(wanted)
            await asyncio.sleep(TAIL_S)
        finally:
            self._audio.keep_secret(False)
            self._busy = False
        if len(pressed) < wanted.min_digits:
            return {"error": "too few digits" if pressed else "no digits", "digits": len(pressed)}
        self.values[name] = pressed
        return {"status": "collected", "digits": len(pressed)}

    def forget(self) -> None:
        """The call is over."""
        self.values.clear()

    async def _pressed(self, wanted: Wanted) -> str:
        """What was keyed in; the first key ends the prompt, and the time runs from its end."""
        entry = _Entry(wanted.max_digits)
        with self._keys.taken_by(entry.press):
            prompt = self._voice.announce(wanted.prompt) if wanted.prompt else self._voice.play_out()
            tasks = {
                asyncio.create_task(prompt, name="prompt for digits"),
                asyncio.create_task(entry.pressed.wait(), name="first digit"),
            }
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            while not entry.complete:
                entry.pressed.clear()
                try:
                    async with asyncio.timeout(wanted.timeout_s):
                        await entry.pressed.wait()
                except TimeoutError:
                    break
        return entry.digits


class _Entry:
    def __init__(self, most: int) -> None:
        self.digits = ""
        self.complete = False
        self.pressed = asyncio.Event()
        self._most = most

    def press(self, key: str) -> None:
        if self.complete:
            return
        if key == AGAIN:
            self.digits = ""
        elif key.isdecimal():
            self.digits += key
        self.complete = key == DONE or len(self.digits) == self._most
        self.pressed.set()
