"""130 calls at a limit of 100: thirty are redirected before they are answered, and the hundred do not notice."""

import asyncio
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from cli.gateway_client import GatewayClient
from cli.stack import Stack, StackOptions
from emulator.phone.scripted import ScriptedCall
from tests.e2e.chaos.callers import Callers, configuration, every_call
from tests.e2e.chaos.run import Row
from tests.support.realtime_server import delta, echo

ELSEWHERE = "+18005550009"
WINDOW_S = 8.0
"""How long frames are measured, before and while the others come (s)."""

PIECE_MS = 500
APPEND = b'"input_audio_buffer.append"'


class Counter:
    """A model that greets with a tone and then only notes when each caller's frames arrive."""

    def __init__(self) -> None:
        self.gaps: list[float] = []

    async def __aenter__(self) -> "Counter":
        self._server = await serve(self._session, "127.0.0.1", 0, compression=None, close_timeout=0.5)
        self.endpoint = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _session(self, socket: ServerConnection) -> None:
        tone = (8000 * np.sin(np.arange(24 * PIECE_MS) * 2 * np.pi * 440 / 24000)).astype("<i2").tobytes()

        async def send(event: dict[str, object]) -> None:
            await socket.send(json.dumps({"event_id": "e"} | event, separators=(",", ":")))

        with suppress(ConnectionClosed):
            await send({"type": "session.created", "session": {"id": "s"}})
            before = 0.0
            async for frame in socket:
                data = frame if isinstance(frame, bytes) else frame.encode()
                if APPEND in data[:80]:
                    now = time.perf_counter()
                    if before:
                        self.gaps.append(now - before)
                    before = now
                    continue
                event = json.loads(data)
                if event["type"] == "session.update":
                    await send(echo(event))
                elif event["type"] == "response.create":
                    await send({"type": "response.created", "response": {"id": "r0"}})
                    await send(delta("r0", "i0", tone))
                    await send({"type": "response.done", "response": {"id": "r0", "status": "completed"}})

    def take(self) -> tuple[float, float]:
        """p50 and p99 of the time between two frames of a caller since the last `take` (ms)."""
        gaps, self.gaps = self.gaps, []
        if not gaps:
            return 0.0, 0.0
        p50, p99 = np.percentile(gaps, (50, 99)) * 1000
        return float(p50), float(p99)


async def over_capacity(limit: int = 100, offered: int = 130) -> Row:
    """Offer `offered` calls to a tenant that may have `limit`."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        async with Counter() as model:
            config = place / "patchcord.yaml"
            overflow = f'{{action: redirect, to: "{ELSEWHERE}"}}'
            config.write_text(configuration(model.endpoint, overflow=overflow, limit=limit))
            env = {"MEDIA_CAPACITY": "500"}
            async with Stack(StackOptions(place / "stack", config=config, env=env)) as stack:
                callers = Callers(stack)
                seconds = 2 * WINDOW_S + 15
                first = await callers.dial(limit, seconds)
                await callers.heard(first)
                await asyncio.sleep(3)
                model.take()
                await asyncio.sleep(WINDOW_S)
                before = model.take()
                extra = await callers.dial(offered - limit, 5, apart_s=0.02)
                turned_s = [await _turned_away(call) for call in extra]
                await asyncio.sleep(max(WINDOW_S - (offered - limit) * 0.02, 1))
                during = model.take()
                still = [call for call in first if not call.is_over]
                await callers.ended()
                client = stack.client()
                try:
                    states = await _states(client)
                finally:
                    await client.close()
    lost = ["cut off"] * (len(first) - len(still)) + ["answered"] * sum(s is None for s in turned_s)
    turned = [s for s in turned_s if s is not None]
    note = (
        f"{states.get('redirected', 0)} redirected after {max(turned, default=0):.1f} s at most; time between frames "
        f"p50/p99 {before[0]:.0f}/{before[1]:.0f} ms before, {during[0]:.0f}/{during[1]:.0f} ms meanwhile"
    )
    rings = tuple((call.summary()["answered_ms"] or 0) / 1000 for call in first)
    return Row(
        f"{offered} calls offered at a limit of {limit}",
        len(callers.calls),
        tuple(lost),
        0,
        (),
        rings,
        note,
        os.getloadavg()[0],
        time.monotonic() - begun,
    )


async def _turned_away(call: ScriptedCall) -> float | None:
    """How long it rang until it was redirected (s); None when it was not."""
    try:
        async with asyncio.timeout(60):
            event = await call.first("redirected")
    except (LookupError, TimeoutError):
        return None
    return float(event["t"]) / 1000


async def _states(client: GatewayClient) -> dict[str, int]:
    found: dict[str, int] = {}
    for known in await every_call(client):
        found[known["state"]] = found.get(known["state"], 0) + 1
    return found
