"""A realtime model's WebSocket server for tests: real frames over 127.0.0.1, by the `websockets` library; GA dialect.

Each session confirms its configuration (unless told otherwise) and then does what the test says, event by event.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support.timing import patience

Event = dict[str, Any]


class ModelSession:
    """One connection of an agent, seen from the model's side."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.path = socket.request.path
        self.headers = socket.request.headers
        self.seen: list[Event] = []
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self.ended = asyncio.Event()

    async def read(self, updated: Callable[[Event], Event | None]) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.socket:
                assert isinstance(frame, str), "the agent sends text only"
                event = json.loads(frame)
                self.seen.append(event)
                if event["type"] == "session.update" and (answer := updated(event)) is not None:
                    await self.send(answer)
                else:
                    self._queue.put_nowait(event)
        self.ended.set()

    async def next(self, kind: str) -> Event:
        """The next client event of this type; others before it are passed over (they stay in `seen`)."""
        async with asyncio.timeout(patience(10)):
            while (event := await self._queue.get())["type"] != kind:
                pass
        return event

    async def send(self, event: Mapping[str, Any] | str) -> None:
        """A server event: an object, or the very text of a frame."""
        await self.socket.send(event if isinstance(event, str) else json.dumps(event, separators=(",", ":")))

    async def created(self, response: str) -> None:
        await self.send({"type": "response.created", "event_id": "e", "response": {"id": response}})

    async def delta(self, response: str, item: str, audio: bytes, **changes: Any) -> None:
        await self.send(delta(response, item, audio) | changes)

    async def audio_done(self, response: str, item: str) -> None:
        await self.send({"type": "response.output_audio.done", "response_id": response, "item_id": item})

    async def done(self, response: str, status: str = "completed", **more: Any) -> None:
        await self.send({"type": "response.done", "response": {"id": response, "status": status, **more}})

    async def error(self, code: str, event_id: str | None = None, message: str = "sk-secret") -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        await self.send({"type": "error", "event_id": "e", "error": error})


def delta(response: str, item: str, audio: bytes) -> Event:
    """A server event with audio, in the order of keys that OpenAI writes."""
    return {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "response_id": response,
        "item_id": item,
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(audio).decode(),
    }


def echo(event: Event) -> Event:
    """`session.updated` as it should be: what was asked for."""
    return {"type": "session.updated", "event_id": "e", "session": event["session"] | {"id": "sess_1"}}


class RealtimeServer:
    """`async with RealtimeServer() as server`: `server.url`, and `await server.session()` for each agent.

    Args:
        updated: the answer to `session.update`; None as the answer leaves it open.
        refuse: an HTTP status instead of the upgrade.
    """

    def __init__(
        self, *, updated: Callable[[Event], Event | None] = echo, refuse: HTTPStatus | None = None
    ) -> None:
        self._updated = updated
        self._refuse = refuse
        self._sessions: asyncio.Queue[ModelSession] = asyncio.Queue()
        self._server: Server

    async def __aenter__(self) -> "RealtimeServer":
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, compression=None, close_timeout=0.5
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        return None if self._refuse is None else connection.respond(self._refuse, "no\n")

    async def _serve(self, socket: ServerConnection) -> None:
        session = ModelSession(socket)
        self._sessions.put_nowait(session)
        await session.send({"type": "session.created", "event_id": "e", "session": {"id": "sess_1"}})
        await session.read(self._updated)

    async def session(self) -> ModelSession:
        """The next agent's session."""
        async with asyncio.timeout(patience(10)):
            return await self._sessions.get()
