"""The media host's listening side: two questions for the platform, and one door for audio.

`GET /healthz` 200 · `GET /readyz` 200 or 503 · `GET /acs/{token}` upgrade. Refusals: no upgrade 400, unknown path 404, not let
in 401 (one text for every reason), full, draining or without its store 503.
"""

import asyncio
import logging
import re
from http import HTTPStatus

from websockets.http11 import Request

from media_host.capacity import Capacity
from media_host.door import Door, Entry
from media_host.ending import End, EndKind
from media_host.framing import SERVER_LIMITS, Limits
from media_host.services import Services
from media_host.session import Session
from media_host.websocket import WebSocketConnection, serve_protocol
from shared.errors import TokenRejected, Unavailable

log = logging.getLogger(__name__)

AUTH_S = 8.0
"""All checks of one request together may take this long (s)."""

MAX_PENDING = 64
"""Requests being checked at the same time; more are refused, so that strangers cannot pile up work."""

MAX_STRANGERS = 512
"""TCP connections that have not been let in; more are cut."""

LAST_WORDS_S = 30.0
"""After the drain's deadline, how long the calls may take to say so and end (s)."""

_MEDIA = re.compile(r"/acs/([^/?#]{1,2048})")


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
        self._capacity: Capacity
        self._server: asyncio.Server | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._strangers: set[WebSocketConnection] = set()

    @property
    def active(self) -> int:
        """Calls of now."""
        return len(self.sessions)

    @property
    def port(self) -> int:
        """The port that it listens on; 0 when it does not."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int, *, door: Door, capacity: Capacity) -> None:
        """Listen. The port may be shared with another media host on this machine.

        Raises:
            OSError: the address cannot be bound.
        """
        self._door, self._capacity = door, capacity
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, host, port, reuse_port=port != 0 or None, backlog=256
        )

    async def drain(self, within_s: float) -> None:
        """Take no more calls; let those of now end, and end them after `within_s` seconds."""
        self._capacity.drain()
        log.info("draining: %d calls", self.active)
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=within_s)
        for session in list(self.sessions.values()):
            session.end(End(EndKind.DRAIN, "drain_deadline"))
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
        tasks = [*self._checks, *self._calls.values()]
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
        elif (found := _MEDIA.fullmatch(path)) is None:
            connection.refuse(HTTPStatus.NOT_FOUND, "not found")
        elif request.headers.get("upgrade", "").lower() != "websocket":
            connection.refuse(HTTPStatus.BAD_REQUEST, "a WebSocket is expected here")
        elif refusal := self._capacity.refusal:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, refusal)
        elif len(self._checks) >= MAX_PENDING:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "busy")
        else:
            task = asyncio.create_task(self._check(connection, request, found[1]), name="door")
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, connection: WebSocketConnection, request: Request, token: str) -> None:
        try:
            async with asyncio.timeout(AUTH_S):
                entry = await self._door.check(token, request.headers)
        except TokenRejected as rejected:
            log.warning("refused: %s", rejected.reason)
            self._refuse(connection, HTTPStatus.UNAUTHORIZED, "unauthorized", rejected.reason)
        except (Unavailable, TimeoutError) as error:
            log.error("refused, because nobody can know: %s", error)
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        except Exception:  # whatever is wrong at the door, it stays closed
            log.exception("the door failed")
            self._refuse(connection, HTTPStatus.INTERNAL_SERVER_ERROR, "internal")
        else:
            self._enter(connection, request, entry)

    def _enter(self, connection: WebSocketConnection, request: Request, entry: Entry) -> None:
        call_id = entry.record.call_id
        if call_id in self.sessions:
            self._refuse(connection, HTTPStatus.UNAUTHORIZED, "unauthorized", "connected")
            return
        if refusal := self._capacity.refusal:
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, refusal)
            return
        if entry.record.agent not in self._services.config.agents:
            log.error("call %s: no agent %r in this host's patchcord.yaml", call_id, entry.record.agent)
            self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "agent")
            return
        session = Session(
            self._services.of(entry.record.tenant), entry.record, entry.connection_id, resumed=entry.resumed
        )
        session.attach(connection)
        self.sessions[call_id] = session
        task = asyncio.create_task(session.run(), name=f"call {call_id}")
        self._calls[call_id] = task
        task.add_done_callback(lambda _: self._left(call_id))
        if connection.accept(request, session.on_text, session.on_close):
            self._strangers.discard(connection)
        else:
            session.on_close(1006, "")  # gone, or no proper upgrade: the token is used up all the same

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
