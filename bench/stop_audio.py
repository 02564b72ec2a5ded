"""Interruptions through a real media host: its own process, real sockets, StopAudio timed where it arrives."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.host import Host
from bench.talkers import Interruption, Line, TalkingModel
from emulator.pacing import Ticker

CONFIG = """
agents:
  talker: {{kind: realtime, service: openai, endpoint: "ws://127.0.0.1:{port}", auth: none, model: bench,
            connections_per_minute: 10000}}
routes:
  - {{name: all, to: ["*"], agent: talker}}
"""
START_S = 15.0
LONGEST_S = 8.0
"""One interruption takes less than this (s), the pause before it included."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured.

    Attributes:
        interruptions: all that were made.
        stale: frames of an interrupted turn that came to the line, or were played, after StopAudio.
        lost: calls that ended too early.
        late_p99_ms: how late the line's own ticks began.
    """

    interruptions: list[Interruption]
    stale: int
    lost: int
    late_p99_ms: float = 0.0


class _Server:
    """Gives each session of the model to the line that was opened last."""

    def __init__(self, each: int, seed: int) -> None:
        self.models: list[TalkingModel] = []
        self.line: Line
        self._each, self._seed = each, seed
        self.came = asyncio.Event()

    def session(self) -> TalkingModel:
        """A connection comes in."""
        model = TalkingModel(random.Random(f"{self._seed} {len(self.models)}"), self.line, self._each)
        self.models.append(model)
        self.came.set()
        return model


async def measure(
    folder: Path, calls: int, each: int, say: Callable[[str], None], *, seed: int = 1, core: int | None = None
) -> Found:
    """`calls` calls at once with `each` interruptions in turn.

    Raises:
        RuntimeError: the media host did not start.
        TimeoutError: it did not dial the model.
    """
    server = _Server(each, seed)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server.session, "127.0.0.1", 0)
    host = Host(folder, CONFIG.format(port=listening.sockets[0].getsockname()[1]), core)
    ticker, lines = Ticker(), list[Line]()
    try:
        await host.start()
        for call in await host.calls(calls, "talker"):
            server.came.clear()
            server.line = Line(call, host.port, ticker)
            lines.append(server.line)
            await server.line.open()
            await asyncio.wait_for(server.came.wait(), START_S)
        await _all(server, calls * each, START_S + each * LONGEST_S, say)
        lost = sum(line.is_over for line in lines)
        for line in lines:
            await line.close()
    finally:
        await host.close()
        listening.close()
        for model in server.models:
            model.transport.abort()
    found = [interruption for model in server.models for interruption in model.done]
    return Found(found, sum(line.end.stale for line in lines), lost, ticker.begun.quantile_ms(0.99))


async def _all(server: _Server, wanted: int, limit_s: float, say: Callable[[str], None]) -> None:
    """Until every session is through, or the time is up: the numbers tell."""
    loop = asyncio.get_running_loop()
    until, told = loop.time() + limit_s, 0
    while loop.time() < until and not all(model.finished.is_set() for model in server.models):  # many
        await asyncio.sleep(0.1)
        done = sum(len(model.done) for model in server.models)
        if done >= told + wanted / 5:
            told = done
            say(f"media host: {done}/{wanted} interruptions")
