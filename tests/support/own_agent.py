"""An agent of somebody's own, by the `websockets` library's server: the test says what it sends."""

import asyncio
import json

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support.timing import patience

READY = {"type": "ready", "codec": "pcm16/24000"}


class OwnAgent:
    """`async with OwnAgent() as own`: `own.url`. Of one connection it keeps all that came, in order.

    `answer` is what it sends after `start`: messages (dict), raw text (str) or audio (bytes); None says nothing at all.
    """

    def __init__(
        self, *answer, subprotocols=("voice-agent.v1",), status=None, mute=False, reads=True
    ) -> None:
        self.answer = [] if mute else [READY, *answer]
        self.subprotocols, self.status, self.reads = subprotocols, status, reads
        self.received: list[dict | bytes] = []
        self.request: Request
        self.socket: ServerConnection | None = None
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> "OwnAgent":
        self._server = await serve(
            self._serve, "127.0.0.1", 0, subprotocols=self.subprotocols, process_request=self._process,
            compression=None, close_timeout=0.5,
        )  # fmt: skip
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/agent"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _process(self, connection: ServerConnection, request: Request) -> Response | None:
        self.request = request
        return None if self.status is None else connection.respond(self.status, "no\n")

    async def _serve(self, socket: ServerConnection) -> None:
        self.socket = socket
        try:
            await self._note(await socket.recv())
            for message in self.answer:
                await self.send(message)
            if not self.reads:
                await self.closed.wait()
            async for message in socket:
                await self._note(message)
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()
            self._changed.set()

    async def _note(self, message: str | bytes) -> None:
        self.received.append(json.loads(message) if isinstance(message, str) else message)
        self._changed.set()

    async def send(self, message: dict | str | bytes) -> None:
        await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def of(self, type: str) -> list[dict]:
        return [message for message in self.received if isinstance(message, dict) and message["type"] == type]

    @property
    def audio(self) -> bytes:
        return b"".join(message for message in self.received if isinstance(message, bytes))

    async def got(self, type: str, count: int = 1) -> list[dict]:
        await self.until(lambda: len(self.of(type)) >= count)
        return self.of(type)

    async def until(self, condition) -> None:
        try:
            async with asyncio.timeout(patience(10)):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never came; so far {self.received}") from None
