"""A realtime model as the voice agent: one conversation, and the sessions that carry it one after the other.

The caller's base64 goes to the model as it came, the model's goes to the caller as it came. Sessions end, by age or by
accident (realtime.md section 11): a new one is opened, told what was said, and takes over between two frames.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from media_host.agents import prompting
from media_host.agents.base import AgentCapabilities, AgentHost, AgentStart, Delayed, Heard
from media_host.agents.realtime.access import ModelAccess
from media_host.agents.realtime.conversation import Conversation
from media_host.agents.realtime.dialect import dialect_of
from media_host.agents.realtime.endpoints import address
from media_host.agents.realtime.errors import close_class
from media_host.agents.realtime.hearing import MISSED_S
from media_host.agents.realtime.renewal import PAUSES_S, WITHIN_S, Losses, Renewal
from media_host.agents.realtime.session import ModelSession, SessionRefused
from media_host.agents.realtime.session_setup import McpTool, codecs_of, session_of
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import AgentUnavailable, PatchcordError

log = logging.getLogger(__name__)

OPEN_S = 5.0
"""How long a session may take to be there (s)."""
FRAME_S = 0.02
EARLY_FRAMES = 100
"""Caller frames (2 s) kept until the first session is configured, the newest ones."""
LOST_FRAMES = 150
"""Caller frames (3 s) kept while a lost session is replaced."""
LOOK_S = 0.1
"""How often a quiet moment is looked for (s)."""
KEPT_EVENTS = 64

type McpSupplier = Callable[[], Awaitable[Sequence[McpTool]]]


async def no_mcp() -> Sequence[McpTool]:
    """No MCP servers."""
    return ()


class RealtimeAgent:
    """One call's agent.

    Args:
        config: its entry in patchcord.yaml.
        access: how the process is let in.
        mcp: gives the MCP servers that the model's service may use.
        now: Unix seconds.
    """

    def __init__(
        self,
        config: RealtimeAgentConfig,
        access: ModelAccess,
        *,
        mcp: McpSupplier = no_mcp,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._access = access
        self._mcp_supplier = mcp
        self._now = now
        self._dialect = dialect_of(config)
        self._mcp: Sequence[McpTool] = ()
        self._start: AgentStart
        self._host: AgentHost
        self._talk: Conversation | None = None
        self._session: ModelSession | None = None
        self._shadow: ModelSession | None = None
        self._conversation_id = ""
        self._early: deque[bytes] = deque()
        self._early_room = EARLY_FRAMES
        self._missed = 0
        self._unsent: deque[bytes] = deque(maxlen=KEPT_EVENTS)
        self._dropped = 0
        self._losses = Losses()
        self._news = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> AgentCapabilities:
        """The formats that its service takes untouched; it detects speech; Voice Live says texts word for word."""
        return AgentCapabilities(
            codecs_of(self._config), detects_speech=True, exact_say=self._dialect.name == "flat"
        )

    @property
    def dropped(self) -> int:
        """Frames and events that the model was too slow to take."""
        return self._dropped + (0 if self._session is None else self._session.dropped)

    # --- life ------------------------------------------------------------------------------------------------

    async def start(self, start: AgentStart, host: AgentHost) -> None:
        """Connect, configure, check that the model took our audio format, and let it greet the caller.

        Raises:
            AgentUnavailable: refused, too slow, or not the format we asked for.
        """
        self._start, self._host = start, host
        self._mcp = await self._mcp_supplier()
        talk = self._talk = Conversation(
            self._config,
            self._dialect,
            start,
            host,
            mcp=self._mcp,
            send=self._send,
            expired=self._expired,
        )
        session = await self._open(OPEN_S)
        if talk.over:  # closed in the meantime
            await session.close()
            raise AgentUnavailable("the call has ended")
        self._session = session
        if session.differs:
            talk.fault("session_differs", "; ".join(session.differs)[:500])
        for frame in talk.replay():
            session.send(frame)
        talk.begin(manual=session.manual)
        session.use(talk)
        self._flush(session)
        self._keeper = asyncio.create_task(self._keep(), name="realtime session")

    async def close(self) -> None:
        """End the session, within a second; idempotent."""
        if self._talk is not None and not self._talk.over:
            self._talk.close()
        for session in (self._session, self._shadow):
            if session is not None:
                self._discard(session)
        self._session = self._shadow = None
        ending = list(self._closing)
        if self._keeper is not None:
            self._keeper.cancel()
            ending.append(self._keeper)
        if ending:
            await asyncio.wait(ending)

    async def _open(self, within_s: float) -> ModelSession:
        """A session of its own, configured; nobody uses it yet.

        Raises:
            AgentUnavailable: there is none to be had; `SessionRefused` says whether to try again.
        """
        assert self._talk is not None  # noqa: S101  # made by start
        config, manual = self._config, self._talk.manual
        session = ModelSession(
            self._dialect,
            self._start.codec,
            manual=manual,
            continued=bool(self._conversation_id),
            on_end=self._ended,
            now=self._now,
        )
        wanted = session_of(
            config,
            instructions=prompting.instructions(config.instructions, self._start.variables),
            tools=self._start.tools,
            mcp=self._mcp,
            codec=self._start.codec,
            manual_turns=manual,
        )
        thread = self._conversation_id
        try:
            async with asyncio.timeout(within_s):
                headers = await self._access.headers(config)
                self._access.admit(config)
                await session.open(address(config, thread), headers, wanted)
        except TimeoutError as error:
            raise SessionRefused("the realtime model did not answer in time", again=True) from error
        except SessionRefused as error:
            if (
                thread and not error.again
            ):  # it may be the thread that is refused: go on without it, by the history
                self._conversation_id = ""
                raise SessionRefused(error.message, again=True) from error
            raise
        if not session.alive:  # ended before we were told that it had begun
            raise SessionRefused("the realtime model hung up at once", again=True)
        return session

    # --- the caller's audio ----------------------------------------------------------------------------------

    def send_audio(self, data: bytes) -> None:
        """Hand 20 ms of the caller's audio on, untouched; while there is no session the newest seconds are kept."""
        session = self._session
        if session is not None:
            session.append(data)
            return
        early = self._early
        early.append(data)
        if len(early) > self._early_room:
            early.popleft()
            self._missed += 1

    def _flush(self, session: ModelSession) -> None:
        for frame in self._early:
            session.append(frame)
        self._early.clear()

    def _send(self, frame: bytes) -> None:
        """A client event; what comes while there is no session is kept for the next one."""
        if self._session is not None:
            self._session.send(frame)
        else:
            self._unsent.append(frame)

    # --- sessions come and go --------------------------------------------------------------------------------

    def _ended(self, session: ModelSession, code: int) -> None:
        """The model closed a connection; whatever the code, we did not ask for it."""
        if session is self._shadow:
            self._shadow = None
        if session is not self._session:
            return
        self._lose(f"close code {code}", final=close_class(code) == "fatal")

    def _expired(self) -> None:
        """The model said that the session has reached its age; it will close it, or not."""
        session = self._session
        if session is not None:
            self._lose("session_expired", final=False)
            self._discard(session)

    def _lose(self, why: str, *, final: bool) -> None:
        talk = self._talk
        assert talk is not None  # noqa: S101  # there was a session
        self._retire()
        self._early_room, self._missed = LOST_FRAMES, 0
        log.info("realtime model: session lost (%s)", why)
        if final or self._losses.too_many(self._now()):
            talk.fault("agent_lost", f"the realtime model hung up ({why})", fatal=True)
        elif not talk.over:
            self._host.event(Delayed("agent_reconnecting"))
        self._news.set()

    def _retire(self) -> None:
        """The present session is no longer used."""
        session, self._session = self._session, None
        if session is not None:
            session.leave()
            self._dropped += session.dropped
            if self._config.foundry_agent is not None:
                self._conversation_id = session.conversation_id
        if self._talk is not None:
            self._talk.leave()

    def _discard(self, session: ModelSession) -> None:
        task = asyncio.create_task(session.close(), name="realtime session close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _switch(self, session: ModelSession, *, missed_s: float) -> None:
        """`session` takes over, between two frames of the caller's audio."""
        talk = self._talk
        assert talk is not None  # noqa: S101  # there was a session
        for frame in talk.replay(history=not session.continued):
            session.send(frame)
        self._session = session
        for frame in self._unsent:
            session.send(frame)
        self._unsent.clear()
        session.use(talk)
        talk.go_on(manual=session.manual, missed=missed_s > MISSED_S)
        self._flush(session)

    async def _keep(self) -> None:
        """Always have a session, or say that there is none."""
        talk = self._talk
        assert talk is not None  # noqa: S101  # made by start
        try:
            await self._keep_session(talk)
        except Exception:  # whatever it is, the caller must not be left with an agent that is not there
            log.exception("realtime model: the session could not be kept")
            talk.fault("agent_crashed", "the session could not be kept", fatal=True)

    async def _keep_session(self, talk: Conversation) -> None:
        """A younger session in time, another one when it is lost."""
        while not talk.over:
            session = self._session
            if session is None:
                await self._reconnect(talk)
                continue
            plan = Renewal(session.opened, session.expires, self._config.max_session_s)
            self._news.clear()
            try:
                async with asyncio.timeout(max(0.0, plan.due - self._now())):
                    await self._news.wait()
            except TimeoutError:
                await self._renew(talk, plan)

    async def _renew(self, talk: Conversation, plan: Renewal) -> None:
        """Open the next session beside the present one, and change over in a quiet moment."""
        while (old := self._session) is not None and not talk.over:
            forced = self._now() >= plan.latest
            if not (talk.quiet or forced):
                await asyncio.sleep(LOOK_S)
            elif self._shadow is None:
                try:
                    self._shadow = await self._open(OPEN_S)
                except PatchcordError as error:
                    talk.fault("renewal_failed", error.message)
                    await asyncio.sleep(OPEN_S)
            else:
                shadow, self._shadow = self._shadow, None
                log.info(
                    "realtime model: session renewed%s",
                    "" if talk.quiet else ", though not in a quiet moment",
                )
                self._retire()
                self._switch(shadow, missed_s=0)
                await old.close()
                return

    async def _reconnect(self, talk: Conversation) -> None:
        """A new session in place of a lost one, soon; otherwise that was the agent's last word."""
        session, self._shadow = self._shadow, None
        reason = ""
        try:
            async with asyncio.timeout(WITHIN_S):
                for pause in () if session is not None else PAUSES_S:
                    await asyncio.sleep(pause)
                    try:
                        session = await self._open(WITHIN_S)
                        break
                    except PatchcordError as error:
                        reason = error.message
                        if not (isinstance(error, SessionRefused) and error.again):
                            break
        except TimeoutError:
            reason = "no new session in time"
        if session is None:
            talk.fault("agent_lost", f"the realtime model is gone: {reason}", fatal=True)
        else:
            self._switch(session, missed_s=self._missed * FRAME_S)

    # --- from the host ---------------------------------------------------------------------------------------

    def send_key(self, key: str) -> None:
        """Collected until `#` or a pause, then told as text: models have no event for keys."""
        if self._talk is not None and not self._talk.over:
            self._talk.send_key(key)

    def flushed(self, heard: Sequence[Heard]) -> None:
        """After a barge-in: the model stops, and its memory is cut to what was heard."""
        if self._talk is not None and not self._talk.over:
            self._talk.flushed(heard)

    def played(self, turn: str) -> None:
        """All of `turn` has been heard."""
        if self._talk is not None and not self._talk.over:
            self._talk.played(turn)

    async def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """Give the model a function's result and let it go on."""
        if self._talk is not None and not self._talk.over:
            self._talk.tool_result(id, output)

    async def send_text(self, text: str) -> None:
        """Tell the model something that nobody said; it answers."""
        if self._talk is not None and not self._talk.over:
            self._talk.tell(text)

    async def listen_only(self) -> None:
        """From now on transcribe and never speak."""
        if self._talk is not None and not self._talk.over:
            self._talk.listen_only()

    async def say(self, text: str) -> None:
        """Speak this as soon as it is done with what it says now: Voice Live word for word, others nearly so.

        Raises:
            AgentUnavailable: it does not speak (any more).
        """
        if self._talk is None or self._talk.over:
            raise AgentUnavailable("the agent does not speak")
        self._talk.say(text)
