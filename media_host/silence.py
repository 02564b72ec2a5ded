"""A caller who says nothing is reminded, and at last told goodbye (realtime.md section 9).

The time runs only while nothing at all happens: nobody speaks, no tool works, nobody is being transferred.
"""

import asyncio
import logging
from collections.abc import Callable

from media_host.agent_life import AgentLife
from media_host.voice import HostVoice
from shared.config.agent import Silence as Wanted
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)


class Silence:
    """One call's.

    Args:
        wanted: how long, how often.
        busy: whether anything is going on.
        agent: asks whether anybody is there.
        voice: says goodbye when the agent cannot.
        end: ends the conversation.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        busy: Callable[[], bool],
        agent: AgentLife,
        voice: HostVoice,
        end: Callable[[], None],
    ) -> None:
        self._wanted = wanted
        self._busy = busy
        self._agent = agent
        self._voice = voice
        self._end = end
        self._reminded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._on = False
        self._counting = False
        self._acting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on the time may run."""
        self._on = self._wanted.after_s > 0
        self.changed()

    def changed(self) -> None:
        """Something has begun or ended; what has not been silence does not count."""
        if not self._on:
            return
        busy = self._busy() or self._is_acting
        if busy or not self._counting:
            self._cancel_timer()
            self._counting = not busy
            # Whoever is busy tells when that is over; a look from time to time costs little and forgets nobody.
            then = self.changed if busy else self._passed
            self._timer = asyncio.get_running_loop().call_later(self._wanted.after_s, then)

    def caller_is_there(self) -> None:
        """Speech or a key: all begins anew."""
        self._reminded = 0
        self._cancel()
        self.changed()

    async def close(self) -> None:
        """No more reminders."""
        self._on = False
        self._cancel()
        if self._acting is not None and self._acting is not asyncio.current_task():
            await asyncio.wait({self._acting})

    def stop(self) -> None:
        """As `close`, without waiting."""
        self._on = False
        self._cancel()

    @property
    def _is_acting(self) -> bool:
        return self._acting is not None and not self._acting.done()

    def _passed(self) -> None:
        self._cancel_timer()
        if not self._busy():
            act = self._remind if self._reminded < self._wanted.prompts else self._say_goodbye
            self._reminded += 1
            said = f"[The caller has said nothing for {self._wanted.after_s * self._reminded:g} seconds"
            self._acting = asyncio.create_task(act(said), name="silence")
            self._acting.add_done_callback(lambda _: self.changed())
        self.changed()

    async def _remind(self, said: str) -> None:
        try:
            await self._agent.tell(f"{said}. Ask in one short sentence whether they are still there.]")
        except AgentUnavailable as error:
            log.warning("nobody has reminded a silent caller: %s", error)

    async def _say_goodbye(self, said: str) -> None:
        """Ends the conversation, unless the caller comes back meanwhile: then this is cancelled."""
        told = self._agent.tell(f"{said}, and the call is over. Say goodbye in one short sentence.]")
        await self._voice.prompt(told, "silent")
        await self._voice.play_out()
        self._end()

    def _cancel(self) -> None:
        self._cancel_timer()
        if self._acting is not None and self._acting is not asyncio.current_task():
            self._acting.cancel()

    def _cancel_timer(self) -> None:
        self._counting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
