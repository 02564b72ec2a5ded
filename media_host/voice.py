"""What the host itself says and hears in a call: notices, announcements, and whether a person has answered.

It speaks through the same playout as the agent, so there is never more than one voice at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Literal

from media_host.agents.base import Codec
from media_host.caller_audio import CallerAudio
from media_host.floor import Floor
from media_host.keys import Keys
from media_host.notices import WAITING, Notices

log = logging.getLogger(__name__)

BEGIN_S = 3.0
"""An agent that was asked to say something begins within this time, or the host says it (s)."""

PLAY_OUT_S = 8.0
"""Nobody waits longer than this for an agent that talks on (s)."""

ANNOUNCE_S = 60.0
"""The longest announcement that is played to its end (s)."""

GAP_S = 0.7
"""A pause of this length within a turn counts as its end (s)."""

HANDOVER = "handover"


class HostVoice:
    """One call's; it is what a handover needs (`handover.HandoverVoice`).

    Args:
        floor: the way to the caller.
        notices: what is prepared.
        codec: the line's format.
        audio: the caller's audio.
        keys: the caller's keys.
        gone: the line is closed.
        say: has the agent say something; raises when it cannot.
    """

    def __init__(
        self,
        floor: Floor,
        notices: Notices,
        codec: Codec,
        *,
        audio: CallerAudio,
        keys: Keys,
        gone: asyncio.Event,
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        self._floor = floor
        self._notices = notices
        self._codec = codec
        self._audio = audio
        self._keys = keys
        self._gone = gone
        self._say = say

    def notice(self, name: str) -> None:
        """Say a prepared notice, after what is being said."""
        self._floor.notice(name, self._notices.pieces(name, self._codec))

    async def announce(self, text: str) -> None:
        """Have `text` said; returns when it was heard. When cancelled, it is cut."""
        try:
            await self.say(text)
            await self._heard(ANNOUNCE_S)
        except asyncio.CancelledError:
            self._floor.flush()
            raise

    async def say(self, text: str) -> None:
        """Have the agent say `text`, or say it for the agent; returns when its sound has begun."""
        if not await self._agent_does(self._say(text)) and not self._gone.is_set():
            self._floor.notice("announcement", await self._notices.speak(text, self._codec))

    async def prompt(self, asked: Awaitable[None], otherwise: str) -> None:
        """Wait for the agent to say what it is `asked` for, or say the notice `otherwise` for it."""
        if not await self._agent_does(asked) and not self._gone.is_set():
            self.notice(otherwise)

    async def _agent_does(self, asked: Awaitable[None]) -> bool:
        """Whether the agent has begun to speak."""
        self._floor.agent_began.clear()
        try:
            async with asyncio.timeout(BEGIN_S):
                await asked
                await self._floor.agent_began.wait()
        except TimeoutError:
            return False
        except Exception as error:  # whatever the agent cannot do, the caller hears something all the same
            log.warning("an agent did not say what it was asked to: %s", type(error).__name__)
            return False
        return True

    async def play_out(self) -> None:
        """Until what is being said has been heard, 8 s at most."""
        await self._heard(PLAY_OUT_S)

    async def _heard(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                gap = 0.0
                while not self._gone.is_set() and not self._floor.playout.idle and gap < GAP_S:
                    left_s = self._floor.playout.left_ms / 1000
                    gap = 0.0 if left_s else gap + 0.02
                    await self.gone_within(left_s or 0.02)
        except TimeoutError:
            log.warning("what was being said was longer than %g s", within_s)

    def deafen(self) -> None:
        """The agent hears nothing from now on, neither speech nor keys."""
        self._audio.deafen(HANDOVER)

    def undeafen(self) -> None:
        """The agent hears again."""
        self._audio.undeafen(HANDOVER)

    async def confirmation(self, kind: Literal["key", "voice"], within_s: float) -> bool:
        """Whether somebody confirms: by any key, or (`voice`) by a short answer when nothing of ours is being heard."""
        confirmed = asyncio.Event()
        with ExitStack() as stack:
            stack.enter_context(self._keys.taken_by(lambda _key: confirmed.set(), callers=False))
            if kind == "voice":
                from media_host.listening import ShortAnswer, voice_activity  # see there

                if (vad := voice_activity(self._codec)) is not None:
                    answer = ShortAnswer(vad, self._codec, lambda: not self._floor.silent, confirmed.set)
                    stack.enter_context(self._audio.overheard(answer.feed))
            try:
                async with asyncio.timeout(within_s):
                    return await confirmed.wait()
            except TimeoutError:
                return False

    def beep(self) -> None:
        """Let the caller hear that it is not over."""
        if self._floor.silent:
            self.notice(WAITING)

    async def gone_within(self, seconds: float) -> bool:
        """Wait so long (s); True as soon as the line is closed."""
        try:
            async with asyncio.timeout(seconds):
                return await self._gone.wait()
        except TimeoutError:
            return False
