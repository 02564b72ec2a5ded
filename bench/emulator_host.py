"""The emulator under test: one process, its callers in it, told what to do by one JSON line on stdin.

It answers with JSON lines on stdout: its address, a sample every five seconds, the result; and it ends with stdin.
"""

import asyncio
import itertools
import json
import math
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.process import usage
from emulator import loop
from emulator.acs.events import PREFIX
from emulator.config import EmulatorConfig
from emulator.event_grid.subscriptions import Subscription
from emulator.phone.audio import FRAME_S
from emulator.phone.scripted import ScriptedCall
from emulator.service import Emulator

type Json = dict[str, Any]

TONES_HZ = (311.7137, 367.3137, 431.9137, 509.1137, 599.9137, 706.7137, 833.3137, 982.1137)
"""No two frames of such a tone are alike within minutes: the app knows each frame by its samples."""
GAP_S = 0.05
SETTLE_S = 1.0
UP_S = 30.0
SAMPLE_S = 5.0
NUMBER = "+1800555{:04d}"


@dataclass(frozen=True, slots=True)
class Order:
    """What to do.

    Attributes:
        app: `http://127.0.0.1:PORT` of the app.
        calls: at once.
        seconds: to measure.
        call_s: a caller hangs up after so long (s), and the next one calls; 0: callers stay to the end. The first ones hang up
            sooner, so that calls end one by one and not all at once.
        tone_s: how long the callers' tone lasts (s).
        trace: folder of the wire traces, or "" for none.
    """

    app: str
    calls: int
    seconds: float
    call_s: float
    tone_s: float
    trace: str = ""


def say(**line: object) -> None:
    """One line to whoever started this."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Callers:
    """Dials, and counts what became of the calls.

    Attributes:
        ended: calls that are over.
        failed: what went wrong, with how many calls.
        totals: what the emulator counted on the media connections of ended calls.
    """

    def __init__(self, emulator: Emulator, order: Order) -> None:
        self.ended = 0
        self.failed: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.going: set[asyncio.Task[None]] = set()
        self.over = False
        self._emulator = emulator
        self._order = order
        self._numbers = itertools.count()

    async def begin(self) -> None:
        """Let the calls begin one after the other, and wait until all have media."""
        for _ in range(self._order.calls):
            self._next()
            await asyncio.sleep(GAP_S)

    def _next(self) -> None:
        task = asyncio.create_task(self._call(next(self._numbers)))
        self.going.add(task)
        task.add_done_callback(self.going.discard)

    async def _call(self, number: int) -> None:
        """One call from dialling to its end."""
        tone_s = self._order.call_s or self._order.tone_s
        if self._order.call_s and number < self._order.calls:
            tone_s = math.ceil(tone_s / FRAME_S * (number + 1) / self._order.calls) * FRAME_S
        call = await self._emulator.dial(
            {
                "from": f"+1425555{number % 10_000:04d}",
                "to": NUMBER.format(number % len(TONES_HZ)),
                "limit_s": tone_s + 60,
                "steps": [{"tone": {"hz": TONES_HZ[number % len(TONES_HZ)], "seconds": tone_s}}, "hang_up"],
            }
        )
        await call.ended()
        self._note(call)
        if self._order.call_s and not self.over:
            self._next()

    def _note(self, call: ScriptedCall) -> None:
        summary = call.summary()
        media = summary.get("media") or {}
        self.ended += 1
        if summary["failed"] and not self.over:
            self.failed[str(summary["failed"])] += 1
        if summary["callbacks"] and summary["callbacks"]["failed"]:
            self.failed["callbacks were not taken"] += 1
        self.totals.update(
            {
                name: media.get(name, 0)
                for name in ("framesSent", "framesDropped", "audioReceived", "underruns")
            }
        )
        self.totals["heardFrames"] += round(media.get("playedMs", 0) / 20)

    async def stop(self) -> None:
        """All callers hang up."""
        self.over = True
        for call in self._emulator.calls.values():
            if call.events and call.events[-1]["kind"] != "ended":
                call.hang_up()
        await asyncio.wait(self.going)


def _streams(emulator: Emulator) -> int:
    return sum(
        call.connection_id is not None and any(event["kind"] == "agent_audio" for event in call.events)
        for call in emulator.calls.values()
    )


def sample(started: float, callers: Callers, emulator: Emulator) -> Json:
    """How the process stands: memory (KiB), tasks, file descriptors, calls."""
    return {
        "at_s": round(time.monotonic() - started, 1),
        "rss_kib": usage(os.getpid()).rss_kib,
        "tasks": len(asyncio.all_tasks()),
        "fds": len(os.listdir("/proc/self/fd")),
        "calls": len(callers.going),
        "ended": callers.ended,
        "p99": emulator.ticker.done.quantile_ms(0.99),
        "max": round(emulator.ticker.done.max_ms, 2),
    }


async def measure(emulator: Emulator, order: Order) -> Json:
    """Calls up, the measured time, calls down; the result."""
    callers = Callers(emulator, order)
    await callers.begin()
    end = time.monotonic() + UP_S
    while _streams(emulator) < order.calls and time.monotonic() < end:  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.05)
    up = _streams(emulator)
    await asyncio.sleep(SETTLE_S)
    ticker = emulator.ticker
    ticker.begun.clear()
    ticker.done.clear()
    skipped = ticker.skipped
    started, cpu = time.monotonic(), time.process_time()
    samples = []
    while (left := order.seconds - (time.monotonic() - started)) > 0:
        await asyncio.sleep(min(SAMPLE_S, left))
        samples.append(sample(started, callers, emulator))
        say(sample=samples[-1])
    seconds = time.monotonic() - started
    result: Json = {
        "calls": order.calls,
        "up": up,
        "seconds": round(seconds, 2),
        "cpu_share": round((time.process_time() - cpu) / seconds, 4),
        "machine_load": round(os.getloadavg()[0], 2),
        "begun": ticker.begun.summary(),
        "done": ticker.done.summary(),
        "skipped": ticker.skipped - skipped,
        "together": max(1, math.ceil(2 * order.call_s / SAMPLE_S)),
        "samples": samples,
    }
    await callers.stop()
    return result | {"ended": callers.ended, "failed": dict(callers.failed), "totals": dict(callers.totals)}


async def serve() -> None:
    """Read keys and order, run, answer."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    start = json.loads(await lines.readline())
    order = Order(**start["order"])
    config = EmulatorConfig(
        host="127.0.0.1",
        port=0,
        access_key=start["access_key"],
        control_key=start["control_key"],
        resource_id="3f0c1c5e-8f5e-4f0e-9f7a-0a6c2b1d9e11",
        trace_folder=Path(order.trace) if order.trace else None,
    )
    async with Emulator(config) as emulator:
        say(endpoint=emulator.endpoint)
        await lines.readline()  # the app knows where we are
        await emulator.subscribe(
            Subscription("bench", f"{order.app}/events", included_event_types=[PREFIX + "IncomingCall"])
        )
        say(result=await measure(emulator, order), order=asdict(order))
        await lines.read()


if __name__ == "__main__":
    loop.run(serve())
