import asyncio

import pytest

from media_host.speech.synthesiser import Synthesiser

PHRASES = ("where is my order", "stop that is enough", "goodbye")


@pytest.fixture(scope="session")
def spoken():
    """What a caller says, by its text: PCM16LE at 24 kHz with a second of silence behind it. The synthesiser runs once."""

    async def speak():
        async with Synthesiser() as synthesiser:
            return {
                text: bytes(9600) + await synthesiser.say(text, "en-us+f3", 24000) + bytes(48000)
                for text in PHRASES
            }

    return asyncio.run(speak())
