"""Listens in on a WebSocket: a relay between a client and a server that keeps every message, both ways."""

import asyncio
import json
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Tap:
    """`async with Tap(url, subprotocol) as tap`: dial `tap.url` instead of `url`; `to_server` and `to_client` are JSON."""

    def __init__(self, url: str, subprotocol: str) -> None:
        self._target, self._subprotocols = url, [subprotocol]
        self.to_server: list[dict] = []
        self.to_client: list[dict] = []
        self.audio = [0, 0]  # bytes to the server, to the client

    async def __aenter__(self) -> "Tap":
        self._server = await serve(
            self._relay, "127.0.0.1", 0, subprotocols=self._subprotocols, compression=None, close_timeout=0.5
        )
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _relay(self, client: ServerConnection) -> None:
        key = client.request.headers.get("Authorization")
        async with connect(
            self._target,
            subprotocols=self._subprotocols,
            additional_headers={"Authorization": key} if key else None,
            compression=None,
        ) as server:
            await asyncio.gather(
                self._pump(client, server, self.to_server, 0), self._pump(server, client, self.to_client, 1)
            )

    async def _pump(self, source, target, kept: list[dict], way: int) -> None:
        with suppress(ConnectionClosed):
            async for message in source:
                if isinstance(message, bytes):
                    self.audio[way] += len(message)
                else:
                    kept.append(json.loads(message))
                await target.send(message)
        await target.close(source.close_code if source.close_code == 1000 else 1011)
