"""What the host itself says when an agent cannot.

Spoken once at start and kept, so that it needs neither agent nor synthesiser when it matters. Without a synthesiser it is a
tone: callers must never be left in silence.
"""

import asyncio
import logging
import math
import struct
from collections.abc import Iterable
from functools import cache
from typing import Protocol

from media_host.agents.base import Codec
from media_host.audio import to_pieces
from shared.errors import PatchcordError

log = logging.getLogger(__name__)

TEXTS = {
    "sorry": "I am sorry, we have a technical problem. Please call again later. Goodbye.",
    "sorry_transfer": "I am sorry, we have a technical problem. I am connecting you now.",
    "transfer_failed": "I am sorry, I could not connect you. Please call again later. Goodbye.",
    "time_limit": "I am sorry, this call has reached its time limit. Goodbye.",
    "closing": "I am sorry, this service is being restarted. Please call again in a moment. Goodbye.",
    "one_moment": "One moment, please.",
    "connecting": "I am connecting you now.",
    "not_connected": "I am sorry, I could not connect you.",
    "person_left": "The other side has left the call. Goodbye.",
    "silent": "I cannot hear you. Please call again. Goodbye.",
}

ONE_MOMENT = "one_moment"

WAITING = "waiting"
"""A notice without words: one beep, for a caller who has to wait."""

SPEAK_S = 3.0
"""How long a text that nobody prepared may take to be made (s)."""

VOICE = "en-us"


class Says(Protocol):
    """The part of a synthesiser that is used here."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        """PCM16LE mono."""


class Notices:
    """The prepared notices of a process, in every line format."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, Codec], list[bytes]] = {}
        self._synthesiser: Says | None = None

    async def prepare(self, synthesiser: Says | None, codecs: Iterable[Codec]) -> None:
        """Speak every text in every format; what cannot be spoken becomes a tone."""
        self._synthesiser = synthesiser
        for codec in codecs:
            for name, text in TEXTS.items():
                self._pieces[name, codec] = await self.speak(text, codec)
            self._pieces[WAITING, codec] = to_pieces(tone(codec.sample_rate, 1), codec)

    async def speak(self, text: str, codec: Codec) -> list[bytes]:
        """Base64 pieces of any text; a tone when it cannot be spoken."""
        pcm = b""
        if self._synthesiser is not None:
            try:
                async with asyncio.timeout(SPEAK_S):
                    pcm = await self._synthesiser.say(text, VOICE, codec.sample_rate)
            except (PatchcordError, TimeoutError) as error:
                log.error("a notice is a tone: %s", str(error) or "the synthesiser is slow")
        return to_pieces(pcm or tone(codec.sample_rate), codec)

    def pieces(self, name: str, codec: Codec) -> list[bytes]:
        """Base64 pieces of a notice, in order."""
        found = self._pieces.get((name, codec))
        return to_pieces(tone(codec.sample_rate), codec) if found is None else found


@cache
def tone(sample_rate: int, beeps: int = 3) -> bytes:
    """Low beeps of 250 ms, 250 ms apart, as PCM16LE."""
    count = sample_rate // 4
    beep = struct.pack(
        f"<{count}h", *(round(6000 * math.sin(math.tau * 420 * n / sample_rate)) for n in range(count))
    )
    return (beep + bytes(2 * count)) * beeps
