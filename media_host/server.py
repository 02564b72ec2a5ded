"""The media host's listening side: two questions for the platform, and one door for audio.

`GET /healthz` 200 · `GET /readyz` 200 or 503 · `GET /acs/{token}`, `GET /twilio/{token}` upgrade. Refusals: no upgrade 400,
unknown path 404, not let in 401 (one text for every reason), full, draining or without its store 503. Whose call a Twilio stream
is, it says only after the upgrade (`arrival`): then refusals are close codes, 1008, or 1013 for want of room.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from websockets.frames import CloseCode
from websockets.http11 import Request

from media_host.arrival import Arrival
from media_host.capacity import Capacity
from media_host.door import Door, Entry
from media_host.ending import End, EndKind
from media_host.framing import SERVER_LIMITS, Limits
from media_host.line_codec import pcm_codec, ulaw_line_codec
from media_host.lines.acs import AcsLine
from media_host.lines.base import Line
from media_host.services import Services
from media_host.session import Session
from media_host.twilio_door import TwilioDoor
from media_host.websocket import WebSocketConnection, serve_protocol
from shared.calls.record import CallRecord
from shared.errors import SignatureRejected, TokenRejected, Unavailable
from shared.telemetry import metrics

log = logging.getLogger(__name__)

AUTH_S = 8.0
"""All checks of one request together may take this long (s)."""

MAX_PENDING = 64
"""Requests being checked at the same time; more are refused, so that strangers cannot pile up work."""

MAX_STRANGERS = 512
"""TCP connections that have not been let in; more are cut."""

LAST_WORDS_S = 30.0
"""After the drain's deadline, how long the calls may take to move, or to say so and end (s)."""

ONE_BY_ONE_S = 0.05
"""Calls that are handed over begin so far apart (s): a hundred at once would all wait for the last one."""

_MEDIA = re.compile(r"/(acs|twilio)/([^/?#]{1,2048})")

type _Check = Callable[[WebSocketConnection, Request, str], Awaitable[None]]


class MediaServer:
    """Accepts connections and keeps the sessions.

    Args:
        services: what calls share.
        limits: what a line may do.
        fast: see `websocket`.

    Attributes:
        sessions: by call id.
        refused: counts by reason, for people who look after the host.
    """

    def __init__(self, services: Services, *, limits: Limits = SERVER_LIMITS, fast: bool = True) -> None:
        self.sessions: dict[str, Session] = {}
        self.refused: dict[str, int] = {}
        self._services = services
        self._limits = limits
        self._fast = fast
        self._door: Door
        self._twilio: TwilioDoor | None = None
        self._capacity: Capacity
        self._server: asyncio.Server | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._strangers: set[WebSocketConnection] = set()

    @property
    def active(self) -> int:
        """Calls of now."""
        return len(self.sessions)

    @property
    def port(self) -> int:
        """The port that it listens on; 0 when it does not."""
        sockets = () if self._server is None else self._server.sockets
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def start(
        self, host: str, port: int, *, door: Door, capacity: Capacity, twilio: TwilioDoor | None = None
    ) -> None:
        """Listen. The port may be shared with another media host on this machine. `twilio`: the door for its streams, if any.

        Raises:
            OSError: the address cannot be bound.
        """
        self._door, self._capacity, self._twilio = door, capacity, twilio
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, host, port, reuse_port=port != 0 or None, backlog=256
        )

    async def drain(self, within_s: float) -> None:
        """Take no more calls; let those of now end, and hand over what is left after `within_s` seconds.

        It listens no more: with the port shared by several hosts, or a platform that has not noticed yet, a new call must
        reach another one, and a connection that is refused is tried there, which one that is answered 503 is not.
        """
        self._capacity.drain()
        if self._server is not None:
            self._server.close()
        log.info("draining: %d calls", self.active)
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=AUTH_S)
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=within_s)
        for session in list(self.sessions.values()):
            session.end(End(EndKind.DRAIN, "drain_deadline"))
            await asyncio.sleep(ONE_BY_ONE_S)
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=LAST_WORDS_S)

    async def close(self) -> None:
        """Stop listening and end everything that is left."""
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions.values()):
            session.end(End(EndKind.LINE, "host_closed"))
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=LAST_WORDS_S)
        tasks = [*self._checks, *self._arriving, *self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stranger in list(self._strangers):
            stranger.abort()
        if self._server is not None:
            await self._server.wait_closed()

    # --- requests --------------------------------------------------------------------------------------------

    def _connection(self) -> WebSocketConnection:
        connection = serve_protocol(self._request, limits=self._limits, fast=self._fast)
        if len(self._strangers) >= MAX_STRANGERS:
            connection.abort()
            self._count("strangers")
        self._strangers.add(connection)
        connection.on_lost = lambda: self._strangers.discard(connection)
        return connection

    def _request(self, connection: WebSocketConnection, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path == "/healthz":
            connection.refuse(HTTPStatus.OK, "ok")
        elif path == "/readyz" and self._capacity.ready:
            connection.refuse(HTTPStatus.OK, "ready")
        elif path == "/readyz":
            connection.refuse(HTTPStatus.SERVICE_UNAVAILABLE, self._capacity.refusal or "starting")
        elif (found := _MEDIA.fullmatch(path)) is None or (found[1] == "twilio" and self._twilio is None):
            connection.refuse(HTTPStatus.NOT_FOUND, "not found")
        elif request.headers.get("upgrade", "").lower() != "websocket":
            connection.refuse(HTTPStatus.BAD_REQUEST, "a WebSocket is expected here")
        elif refusal := self._capacity.refusal_beside(len(self._arriving)):
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, refusal)
        elif len(self._checks) >= MAX_PENDING:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "busy")
        else:
            check = self._check if found[1] == "acs" else self._check_stream
            task = asyncio.create_task(self._guard(check, connection, request, found[2]), name="door")
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _guard(
        self, check: _Check, connection: WebSocketConnection, request: Request, token: str
    ) -> None:
        """Whatever a check raises, nobody comes in by it."""
        try:
            await check(connection, request, token)
        except (TokenRejected, SignatureRejected) as rejected:
            log.warning("refused: %s", rejected.reason)
            self._refuse(connection, HTTPStatus.UNAUTHORIZED, "unauthorized", rejected.reason)
        except (Unavailable, TimeoutError) as error:
            log.error("refused, because nobody can know: %s", error)
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        except Exception:  # whatever is wrong at the door, it stays closed
            log.exception("the door failed")
            self._refuse(connection, HTTPStatus.INTERNAL_SERVER_ERROR, "internal")

    async def _check(self, connection: WebSocketConnection, request: Request, token: str) -> None:
        async with asyncio.timeout(AUTH_S):
            entry = await self._door.check(token, request.headers)
        self._enter(connection, request, entry)

    def _enter(self, connection: WebSocketConnection, request: Request, entry: Entry) -> None:
        record = entry.record
        if record.call_id in self.sessions:
            self._refuse(connection, HTTPStatus.UNAUTHORIZED, "unauthorized", "connected")
            return
        if refusal := self._capacity.refusal_beside(len(self._arriving)):
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, refusal)
            return
        if (agent := self._services.config.agents.get(record.agent)) is None:
            log.error("call %s: no agent %r in this host's patchcord.yaml", record.call_id, record.agent)
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "agent")
            return
        control = self._services.of(record.tenant).control
        line = AcsLine(
            pcm_codec(agent), connection_id=entry.connection_id, control=control, name=record.call_id
        )
        line.attach(connection)
        session = self._begin(record, entry.connection_id, line, resumed=entry.resumed)
        if connection.accept(request, session.on_text, session.on_close):
            self._strangers.discard(connection)
        else:
            session.on_close(1006, "")  # gone, or no proper upgrade: the token is used up all the same

    async def _check_stream(self, connection: WebSocketConnection, request: Request, token: str) -> None:
        door = self._twilio
        assert door is not None  # noqa: S101  # the path is not known without it
        async with asyncio.timeout(AUTH_S):
            claims = await door.check(token, request.headers)
        if refusal := self._capacity.refusal_beside(len(self._arriving)):
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, refusal)
            return
        arrival = Arrival(connection, door, claims)
        task = asyncio.create_task(self._arrive(connection, request, arrival), name="arrival")
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _arrive(self, connection: WebSocketConnection, request: Request, arrival: Arrival) -> None:
        """The stream's session, once it has said whose call it is; it is let in here or closed."""
        try:
            record = await arrival.record(request)
            if record is None:
                self._count(arrival.refused)
                metrics.TWILIO_STREAMS.add(result=arrival.refused)
                return
            agents = self._services.config.agents
            if (agent := agents.get(record.agent)) is None:
                log.error("call %s: no agent %r in this host's patchcord.yaml", record.call_id, record.agent)
                connection.close(CloseCode.INTERNAL_ERROR)
                return
            line = arrival.line
            line.use(ulaw_line_codec(agent, agents), record.call_id)
            session = self._begin(record, "", line, resumed=False)
            metrics.TWILIO_STREAMS.add(result="begun")
            self._strangers.discard(connection)
            connection.on_text, connection.on_close = session.on_text, session.on_close
            line.deliver()
            if arrival.closed is not None:
                session.on_close(arrival.closed, "")
        except Exception:  # a fault of ours: Twilio goes on with the call when the stream is closed
            log.exception("an arrival failed")
            connection.close(CloseCode.INTERNAL_ERROR)

    def _begin(self, record: CallRecord, connection_id: str, line: Line, *, resumed: bool) -> Session:
        call_id = record.call_id
        session = Session(self._services.of(record.tenant), record, connection_id, line, resumed=resumed)
        self.sessions[call_id] = session
        task = asyncio.create_task(session.run(), name=f"call {call_id}")
        self._calls[call_id] = task
        task.add_done_callback(lambda _: self._left(call_id))
        return session

    def _left(self, call_id: str) -> None:
        self.sessions.pop(call_id, None)
        task = self._calls.pop(call_id, None)
        if task is not None and not task.cancelled() and task.exception() is not None:
            log.error("call %s ended by a fault of ours", call_id, exc_info=task.exception())

    def _refuse(
        self, connection: WebSocketConnection, status: HTTPStatus, text: str, reason: str = ""
    ) -> None:
        self._count(reason or text)
        connection.refuse(status, text)

    def _count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        metrics.MEDIA_REFUSED.add(reason=reason)
