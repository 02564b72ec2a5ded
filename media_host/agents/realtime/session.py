"""One session with a realtime model: a connection, from its handshake to its end (realtime.md sections 1, 5 and 11)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from websockets.exceptions import InvalidStatus, WebSocketException

from media_host.agents.base import Codec
from media_host.agents.realtime import server_events as model
from media_host.agents.realtime.audio_frames import audio_start
from media_host.agents.realtime.dialect import APPEND, APPEND_END, Dialect
from media_host.agents.realtime.errors import refusal_class
from media_host.agents.realtime.session_echo import accepts_audio, differences
from media_host.framing import Limits
from media_host.websocket import WebSocketConnection, connect
from shared.errors import AgentUnavailable, InvalidInput

log = logging.getLogger(__name__)

EARLY_EVENTS = 64
"""What a session says before it is used: its MCP servers' tools."""

LIMITS = Limits(max_message=4 << 20, ping_timeout_s=30.0, close_s=0.8)
"""A delta is some kB, a list of tools may be some hundred kB; a stalled loop must not cost us calls (livekit#1128);
and the model's socket is gone within a second of the caller."""


class SessionRefused(AgentUnavailable):
    """No session was to be had; `again` when another attempt may succeed."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


class SessionOwner(Protocol):
    """Who uses a session. All of it is called from the connection's own callbacks."""

    def audio(self, frame: bytes, start: int) -> None:
        """An audio delta in the usual shape; its base64 text begins at `start`."""

    def handle(self, event: model.ServerEvent) -> None:
        """Any other event."""

    def bad_frame(self, what: str) -> None:
        """A frame that is no event."""


class ModelSession:
    """One connection. Until `use` its events are kept to itself.

    Args:
        dialect: the service's.
        codec: the line's.
        manual: how it is configured: see `turn_taking`.
        continued: it goes on with a thread that the service keeps (Foundry agents), and knows what was said.
        on_end: called once with the close code when a configured session has ended without our doing.

    Attributes:
        opened: when it was configured (Unix seconds, by `now`).
        expires: when the service will end it, if it said so.
        conversation_id: of a Foundry agent's thread, if it said so.
        differs: what it did not take of our configuration.
    """

    def __init__(
        self,
        dialect: Dialect,
        codec: Codec,
        *,
        manual: bool,
        continued: bool = False,
        on_end: Callable[["ModelSession", int], None],
        now: Callable[[], float],
    ) -> None:
        self.manual = manual
        self.continued = continued
        self.opened = now()
        self.expires: float | None = None
        self.conversation_id = ""
        self.differs: list[str] = []
        self._dialect = dialect
        self._codec = codec
        self._on_end = on_end
        self._now = now
        self._mark = dialect.audio_delta_mark
        self._owner: SessionOwner | None = None
        self._early: list[model.ServerEvent] = []
        self._asked: Mapping[str, Any] = {}
        self._configured: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection: WebSocketConnection | None = None
        self._closed = False

    async def open(self, url: str, headers: Mapping[str, str], session: Mapping[str, Any]) -> None:
        """Connect, configure, and see that the model took our audio format.

        Raises:
            SessionRefused: it did not.
        """
        try:
            self._connection = connection = await connect(
                url,
                headers=headers,
                on_text=self._on_text,
                on_close=self._on_close,
                limits=LIMITS,
            )
            self._asked = session
            connection.send_text(self._dialect.session_update(session, "cfg_1"), must=True)
            await self._configured
        except TimeoutError as error:
            await self.close()
            raise SessionRefused("the realtime model did not answer in time", again=True) from error
        except (OSError, WebSocketException) as error:
            await self.close()
            status = error.response.status_code if isinstance(error, InvalidStatus) else 0
            raise SessionRefused(
                f"the realtime model refused the connection ({status or type(error).__name__})",
                again=refusal_class(status) == "retry",
            ) from error
        except BaseException:  # cancelled, or SessionRefused itself: no socket is left behind; raised on
            await self.close()
            raise

    def use(self, owner: SessionOwner) -> None:
        """From now on `owner` gets what the model says."""
        self._owner = owner
        early, self._early = self._early, []
        for event in early:
            owner.handle(event)

    def leave(self) -> None:
        """What it still says is of no interest."""
        self._owner = None

    @property
    def alive(self) -> bool:
        """Whether it is configured and not ended."""
        return self._configured.done() and not self._closed

    @property
    def dropped(self) -> int:
        """Messages that the model was too slow to take."""
        return 0 if self._connection is None else self._connection.dropped

    def append(self, data: bytes) -> None:
        """The caller's audio, base64, as it came."""
        self._connection.send_text(APPEND + data + APPEND_END)  # type: ignore[union-attr]  # opened before it is used

    def send(self, frame: bytes) -> None:
        """A client event."""
        if self._connection is not None and not self._connection.send_text(frame, must=True):
            log.debug("realtime model: an event could not be sent")

    async def close(self) -> None:
        """End it, within a second; idempotent."""
        self._closed = True
        self._owner = None
        if not self._configured.done():
            self._configured.cancel()
        connection = self._connection
        if connection is None or connection.closed.is_set():
            return
        connection.close()
        try:
            await asyncio.wait_for(connection.wait_closed(), LIMITS.close_s)
        except TimeoutError:
            connection.abort()

    # --- from the model --------------------------------------------------------------------------------------

    def _on_text(self, frame: bytes) -> None:
        start = audio_start(frame, self._mark)
        owner = self._owner
        if start >= 0:
            if owner is not None:
                owner.audio(frame, start)
            return
        try:
            event = self._dialect.parse(frame)
        except InvalidInput as error:
            log.info("realtime model: a frame that is no event: %s", error.field)
            if owner is not None:
                owner.bad_frame(error.field)
            return
        if event is not None:
            self._learn(event)
            if owner is not None:
                owner.handle(event)
            elif self._configured.done() and len(self._early) < EARLY_EVENTS:
                self._early.append(event)

    def _learn(self, event: model.ServerEvent) -> None:
        match event:
            case model.SessionCreated() | model.SessionUpdated():
                self.expires = event.expires_at or self.expires
                self.conversation_id = event.conversation_id or self.conversation_id
                if isinstance(event, model.SessionUpdated):
                    self._check(event.session)
            case model.ItemAdded() | model.McpTools():  # they may come before the configuration is confirmed
                if not self._configured.done() and len(self._early) < EARLY_EVENTS:
                    self._early.append(event)
            case model.ModelError():
                # By its code, never by its text: that may quote our key, so it goes nowhere.
                if not self._configured.done():
                    again = event.code in ("server_error", "rate_limit_exceeded")
                    self._refuse(f"the realtime model refused the session ({event.code})", again=again)

    def _check(self, echoed: Mapping[str, Any]) -> None:
        if self._configured.done():
            return
        if accepts_audio(echoed, self._codec):
            self.differs = differences(self._asked, echoed)
            self.opened = self._now()
            self._configured.set_result(None)
        else:
            self._refuse("the realtime model took another audio format", again=False)

    def _refuse(self, message: str, *, again: bool) -> None:
        self._configured.set_exception(SessionRefused(message, again=again))

    def _on_close(self, code: int, reason: str) -> None:
        if not self._configured.done():
            self._refuse(f"the realtime model hung up (close code {code})", again=True)
        elif not self._closed:
            self._closed = True
            self._on_end(self, code)
