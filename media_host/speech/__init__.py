"""Speech synthesis and recognition in child processes."""

import logging
from typing import Self

from media_host.speech.recogniser import Recogniser
from media_host.speech.synthesiser import Synthesiser
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)


class Speech:
    """Both engines of a process: the synthesiser, which must start, and the recogniser, which may be missing."""

    def __init__(self) -> None:
        self.synthesiser = Synthesiser()
        self.recogniser: Recogniser | None = Recogniser()
        """None after `start` when it cannot run: agents then work by keys alone, and say so."""

    async def start(self) -> None:
        """Start both children.

        Raises:
            AgentUnavailable: there is no synthesiser.
        """
        await self.synthesiser.start()
        if self.recogniser is not None:
            try:
                await self.recogniser.start()
            except AgentUnavailable as error:
                log.warning("no speech recognition, callers need their keys: %s", error)
                self.recogniser = None

    async def close(self) -> None:
        """End both children; idempotent."""
        await self.synthesiser.close()
        if self.recogniser is not None:
            await self.recogniser.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
