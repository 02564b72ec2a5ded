"""The agent's life in one call: started in time, told what it cannot know, closed at once when the call is over."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from media_host.agents.base import AgentHost, AgentStart, Fault, SpeechStarted, SpeechStopped, VoiceAgent
from media_host.caller_audio import CallerAudio
from media_host.tool_runs import ToolRuns
from shared.errors import AgentUnavailable, PatchcordError

if TYPE_CHECKING:
    from media_host.listening import Onsets

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""How long an agent may take to close (s)."""

LISTEN_S = 2.0
"""How long an agent may take to fall silent (s)."""

MARGIN_S = 0.5
"""An agent that bounds its attempts itself may be a little late (s)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an agent is not there: `code` for the record, `message` for people."""

    code: str
    message: str


class AgentLife:
    """One call's.

    Args:
        make: a fresh agent.
        host: the session.
        audio: the caller's audio.
        tools: the agent's tools at work.
        start_s: how long one attempt to start may take (s).
        attempts: how many agents the chain has; it bounds each attempt itself, the whole is bounded here.
        name: the call's id, for logs.

    Attributes:
        agent: None until it is made.
    """

    def __init__(
        self,
        make: Callable[[], VoiceAgent],
        host: AgentHost,
        audio: CallerAudio,
        tools: ToolRuns,
        *,
        start_s: float,
        attempts: int,
        name: str,
    ) -> None:
        self.agent: VoiceAgent | None = None
        self._make = make
        self._host = host
        self._audio = audio
        self._tools = tools
        self._start_s = start_s if attempts == 1 else start_s * attempts + MARGIN_S
        self._name = name
        self._starting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._onsets: Onsets | None = None
        self._looked_for_onsets = False

    async def start(self, start: AgentStart, over: asyncio.Future[Any]) -> Failure | None:
        """Make and start the agent; None when it is there. `over`: the call ends meanwhile."""
        if over.done():
            return Failure("agent_not_needed", "the call was over before")
        try:
            agent = self.agent = self._make()
            self._audio.to_agent(agent.send_audio)
            starting = asyncio.create_task(agent.start(start, self._host), name="agent start")
            self._starting = starting
            first: set[asyncio.Future[Any]] = {starting, over}
            await asyncio.wait(first, timeout=self._start_s, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                self.look()
                return None
        except PatchcordError as error:
            return Failure("agent_unavailable", error.message)
        except Exception as error:  # an agent's mistake must not become a caller's silence
            log.exception("call %s: the agent cannot be started", self._name)
            return Failure("agent_crashed", type(error).__name__)
        starting.cancel()  # `close` waits for it: the caller is in silence
        return Failure("agent_timeout", f"not started within {self._start_s:g} s")

    @property
    def minds_silence(self) -> bool:
        """Whether the agent itself sees to a silent caller; so does an agent that is not there."""
        return self.agent is None or self.agent.capabilities.minds_silence

    def look(self) -> None:
        """Listen for speech on behalf of an agent that does not; it may be another one by now."""
        agent = self.agent
        if agent is None or agent.capabilities.detects_speech == (self._onsets is None):
            return
        if self._onsets is not None:
            self._onsets = None
            self._audio.to_agent(agent.send_audio)
        elif not self._looked_for_onsets:
            self._looked_for_onsets = True
            self._listen(agent)

    def _listen(self, agent: VoiceAgent) -> None:
        from media_host.listening import Onsets, voice_activity  # see there

        vad = voice_activity(self._audio.codec)
        if vad is None:
            message = "nobody hears when the caller begins to speak: pocketsphinx is not installed"
            self._host.event(Fault("no_speech_detector", message, fatal=False))
            return
        host = self._host
        onsets = self._onsets = Onsets(
            vad, lambda ago_ms: host.event(SpeechStarted(ago_ms)), lambda: host.event(SpeechStopped())
        )

        def both(data: bytes) -> None:
            onsets.feed(data)
            agent.send_audio(data)

        self._audio.to_agent(both)

    def key_pressed(self) -> None:
        """A key's tone is no speech."""
        if self._onsets is not None:
            self._onsets.key_pressed()

    async def tell(self, text: str) -> None:
        """Tell the agent something that nobody said.

        Raises:
            AgentUnavailable: it could not be told.
        """
        if self.agent is None:
            raise AgentUnavailable("there is no agent")
        try:
            await self.agent.send_text(text)
        except Exception as error:  # whatever an agent cannot take, the call goes on
            log.warning("call %s: the agent was not told: %s", self._name, type(error).__name__)
            raise AgentUnavailable("the agent did not take a text") from error

    async def listen_only(self) -> None:
        """From now on it transcribes and never speaks.

        Raises:
            AgentUnavailable: it cannot.
        """
        if self.agent is None:
            raise AgentUnavailable("there is no agent")
        try:
            async with asyncio.timeout(LISTEN_S):
                await self.agent.listen_only()
        except Exception as error:  # whatever it is, people talk to each other and the agent must not
            log.warning("call %s: the agent cannot only listen: %s", self._name, type(error).__name__)
            raise AgentUnavailable("the agent cannot only listen") from error

    def close(self) -> asyncio.Task[None]:
        """End it, whatever it is doing; idempotent, done in a few seconds at most."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="agent close")
        return self._closing

    async def _close(self) -> None:
        await self._tools.close("the call is over")
        if self._starting is not None:
            self._starting.cancel()
            done, _ = await asyncio.wait({self._starting}, timeout=CLOSE_S)
            await asyncio.gather(*done, return_exceptions=True)
        if self.agent is not None:
            try:
                await asyncio.wait_for(self.agent.close(), CLOSE_S)
            except Exception:  # a time-out, or the agent's mistake: the call is over either way
                log.exception("call %s: the agent did not close", self._name)
