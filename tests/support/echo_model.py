"""A realtime model that says back what it hears, frame by frame: every caller hears only its own tone."""

import json
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.realtime_server import delta, echo


class EchoModel:
    """`async with EchoModel() as model`: `model.endpoint`; each session speaks all the time, from its configuration on."""

    def __init__(self) -> None:
        self.sessions: list[ServerConnection] = []
        """All that there ever were."""

    async def __aenter__(self) -> "EchoModel":
        self._server = await serve(self._session, "127.0.0.1", 0, compression=None, close_timeout=0.5)
        self.endpoint = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _session(self, socket: ServerConnection) -> None:
        responses = 0
        self.sessions.append(socket)

        async def send(event: dict[str, object]) -> None:
            await socket.send(json.dumps({"event_id": "e"} | event, separators=(",", ":")))

        async def done(status: str) -> None:
            await send({"type": "response.done", "response": {"id": f"r{responses}", "status": status}})

        with suppress(ConnectionClosed):
            await send({"type": "session.created", "session": {"id": "s"}})
            async for frame in socket:
                event = json.loads(frame)
                if event["type"] == "input_audio_buffer.append":
                    said = delta(f"r{responses}", f"i{responses}", b"") | {"delta": event["audio"]}
                    await send(said)
                elif event["type"] == "session.update":
                    await send(echo(event))
                    await send({"type": "response.created", "response": {"id": "r0"}})
                elif event["type"] in (
                    "response.cancel",
                    "response.create",
                ):  # stopped, or asked: it goes on at once
                    await done("cancelled" if event["type"] == "response.cancel" else "completed")
                    responses += 1
                    await send({"type": "response.created", "response": {"id": f"r{responses}"}})
