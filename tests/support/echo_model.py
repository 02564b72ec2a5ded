"""A realtime model that says back what it hears, frame by frame: every caller hears only its own tone."""

import json
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.realtime_server import delta, echo


class EchoModel:
    """`async with EchoModel() as model`: `model.endpoint`; each session speaks one endless answer."""

    async def __aenter__(self) -> "EchoModel":
        self._server = await serve(self._session, "127.0.0.1", 0, compression=None, close_timeout=0.5)
        self.endpoint = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _session(self, socket: ServerConnection) -> None:
        async def send(event: dict[str, object]) -> None:
            await socket.send(json.dumps(event, separators=(",", ":")))

        with suppress(ConnectionClosed):
            await send({"type": "session.created", "event_id": "e", "session": {"id": "s"}})
            async for frame in socket:
                event = json.loads(frame)
                if event["type"] == "session.update":
                    await send(echo(event))
                    await send({"type": "response.created", "event_id": "e", "response": {"id": "r"}})
                elif event["type"] == "input_audio_buffer.append":
                    await send(delta("r", "i", b"") | {"delta": event["audio"]})
