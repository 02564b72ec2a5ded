"""A realtime model's WebSocket server for tests: real frames over 127.0.0.1, by the `websockets` library; both dialects.

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
        self.flat = self.path.startswith("/voice-live/")
        self.seen: list[Event] = []
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self.ended = asyncio.Event()

    async def read(self, updated: Callable[[Event], Event | None]) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.socket:
                assert isinstance(frame, str), "the agent sends text only"
                event = json.loads(frame)
                self.seen.append(event)
                self._queue.put_nowait(event)
                if event["type"] == "session.update" and (answer := updated(event)) is not None:
                    await self.send(answer)
        self.ended.set()

    async def next(self, kind: str) -> Event:
        """The next client event of this type; others before it are passed over (they stay in `seen`)."""
        async with asyncio.timeout(patience(10)):
            while (event := await self._queue.get())["type"] != kind:
                pass
        return event

    def of(self, kind: str) -> list[Event]:
        """What came of this type so far."""
        return [event for event in self.seen if event["type"] == kind]

    @property
    def types(self) -> list[str]:
        """What came so far, without the caller's audio."""
        return [event["type"] for event in self.seen if event["type"] != "input_audio_buffer.append"]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Role and text of the messages that the agent wrote into the conversation."""
        items = [event["item"] for event in self.of("conversation.item.create")]
        return [(item["role"], item["content"][0]["text"]) for item in items if item["type"] == "message"]

    async def send(self, event: Mapping[str, Any] | str) -> None:
        """A server event: an object, or the very text of a frame."""
        await self.socket.send(event if isinstance(event, str) else json.dumps(event, separators=(",", ":")))

    async def created(self, response: str) -> None:
        await self.send({"type": "response.created", "event_id": "e", "response": {"id": response}})

    async def delta(self, response: str, item: str, audio: bytes, **changes: Any) -> None:
        await self.send(delta(response, item, audio, flat=self.flat) | changes)

    async def audio_done(self, response: str, item: str) -> None:
        kind = "response.audio.done" if self.flat else "response.output_audio.done"
        await self.send({"type": kind, "response_id": response, "item_id": item})

    async def words(self, response: str, item: str, text: str, *, done: bool = True) -> None:
        """What the audio says: all of it, or the next part."""
        kind = "response.audio_transcript." if self.flat else "response.output_audio_transcript."
        ids = {"response_id": response, "item_id": item}
        await self.send(
            {"type": kind + "done", "transcript": text, **ids}
            if done
            else {"type": kind + "delta", "delta": text, **ids}
        )

    async def done(self, response: str, status: str = "completed", **more: Any) -> None:
        await self.send({"type": "response.done", "response": {"id": response, "status": status, **more}})

    async def says(self, response: str, text: str, audio: bytes = bytes(960)) -> None:
        """A whole response of one item."""
        await self.created(response)
        await self.delta(response, f"{response}_item", audio)
        await self.words(response, f"{response}_item", text)
        await self.done(response)

    async def calls(self, response: str, name: str, arguments: str, call_id: str = "c1") -> None:
        """A whole response that is one function call."""
        await self.created(response)
        await self.function_call(response, name, arguments, call_id)
        await self.done(response)

    async def function_call(
        self, response: str, name: str, arguments: str, call_id: str = "c1", status: str = "completed"
    ) -> None:
        item = {
            "id": f"item_{call_id}",
            "type": "function_call",
            "status": status,
            "call_id": call_id,
            "name": name,
            "arguments": arguments,
        }
        await self.send({"type": "response.output_item.done", "response_id": response, "item": item})

    async def error(self, code: str, event_id: str | None = None, message: str = "sk-secret") -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        await self.send({"type": "error", "event_id": "e", "error": error})

    async def speech(self, *, started: bool) -> None:
        """The model hears the caller begin or end."""
        place = {"audio_start_ms": 100} if started else {"audio_end_ms": 900}
        kind = "input_audio_buffer.speech_" + ("started" if started else "stopped")
        await self.send({"type": kind, "item_id": "i", **place})

    async def caller_turn(self, item: str, text: str = "", previous: str | None = None) -> None:
        """The caller speaks from silence to silence; with a text, it is transcribed at once."""
        await self.speech(started=True)
        await self.speech(started=False)
        await self.send(
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": previous}
        )
        if text:
            await self.caller_words(item, text)

    async def caller_words(self, item: str, text: str) -> None:
        kind = "conversation.item.input_audio_transcription.completed"
        await self.send({"type": kind, "item_id": item, "content_index": 0, "transcript": text})


def delta(response: str, item: str, audio: bytes, *, flat: bool = False) -> Event:
    """A server event with audio, in the order of keys that OpenAI writes."""
    return {
        "type": "response.audio.delta" if flat else "response.output_audio.delta",
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
    """`async with RealtimeServer() as server`: `server.endpoint`, and `await server.session()` for each connection.

    Args:
        updated: the answer to `session.update`; None as the answer leaves it open.
        refuse: an HTTP status instead of the upgrade; may be changed at any time.
        created: what `session.created` says beside the id.
    """

    def __init__(
        self,
        *,
        updated: Callable[[Event], Event | None] = echo,
        refuse: HTTPStatus | None = None,
        created: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.refuse = refuse
        self.updated = updated
        self.connections = 0
        self._created = created
        self._sessions: asyncio.Queue[ModelSession] = asyncio.Queue()
        self._server: Server

    async def __aenter__(self) -> "RealtimeServer":
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, compression=None, close_timeout=0.5
        )
        port = self._server.sockets[0].getsockname()[1]
        self.endpoint = f"ws://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.connections += 1
        return None if self.refuse is None else connection.respond(self.refuse, "no\n")

    async def _serve(self, socket: ServerConnection) -> None:
        session = ModelSession(socket)
        self._sessions.put_nowait(session)
        created = {"id": "sess_1", **self._created()}
        await session.send({"type": "session.created", "event_id": "e", "session": created})
        await session.read(lambda event: self.updated(event))

    async def session(self) -> ModelSession:
        """The next connection's session."""
        async with asyncio.timeout(patience(10)):
            return await self._sessions.get()
