"""`python -m bench.adapter`: CPU of our realtime adapter beside the vendors' SDKs doing the same work in the same run.

Each connects to the same small model (another process) over a loopback WebSocket, sends the caller's 20 ms frames, and makes
of the model's deltas what goes to the line. CPU is the client process's own, system calls included.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from bench.adapter_model import DELTAS
from bench.contenders import Contender, DialectName, OpenAi, Ours, VoiceLive
from bench.ear import speech
from bench.programs import Program
from bench.report import aligned
from media_host.agents.base import Codec

OUT = Path("out/bench")
WORK = ("20 ms frame to the model", "20 ms delta to the line", "100 ms delta to the line")
SDKS: dict[DialectName, tuple[str, Callable[[], Contender]]] = {
    "GA": ("openai", OpenAi),
    "flat": ("azure-ai-voicelive", VoiceLive),
}
FRAME = speech(Codec.PCM16_24K, 3, 20)
TO_WARM = 50
HEAD = ["dialect", "work", "ours µs", "SDK µs", "SDK / ours (lowest-highest)", "SDK"]


@dataclass(slots=True)
class Row:
    """One kind of work in one dialect: microseconds of CPU per event, round by round."""

    dialect: DialectName
    work: str
    ours: list[float] = field(default_factory=list)
    sdk: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """How much dearer the SDK was, paired within a round."""
        return [sdk / ours for ours, sdk in zip(self.ours, self.sdk, strict=True)]

    def verdict(self) -> list[str]:
        """Why this is not good enough; empty if it is."""
        if median(self.ratios) > 1:
            return []
        return [f"{self.dialect}, {self.work}: {median(self.ours):.1f} µs, the SDK {median(self.sdk):.1f} µs"]

    def cells(self) -> list[str]:
        """A line of the table."""
        ratios = self.ratios
        spread = f"{median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
        ours, sdk = f"{median(self.ours):.1f}", f"{median(self.sdk):.1f}"
        return [self.dialect, self.work, ours, sdk, spread, SDKS[self.dialect][0]]

    def to_json(self) -> dict[str, Any]:
        """For out/bench."""
        return {"dialect": self.dialect, "work": self.work, "oursUs": self.ours, "sdkUs": self.sdk}


async def cost(
    make: Callable[[], Contender], dialect: DialectName, model: Program, frames: int
) -> dict[str, float]:
    """Microseconds of CPU per event for each kind of work.

    Raises:
        RuntimeError: something was lost on the way.
    """
    found = {}
    for piece_ms in (20, 100):
        contender = make()
        await contender.open(model.port, dialect, piece_ms)
        try:
            async with asyncio.timeout(60):
                await contender.down(DELTAS)  # warm
                before = contender.heard
                found[f"{piece_ms} ms delta to the line"] = await _cpu(contender.down(DELTAS)) / DELTAS
                chars = DELTAS * len(speech(Codec.PCM16_24K, 7, piece_ms))
                if contender.heard - before != chars:
                    raise RuntimeError(f"{contender.heard - before} characters came to the line, not {chars}")
                if piece_ms == 20:
                    await contender.up([FRAME] * TO_WARM)
                    found[WORK[0]] = await _cpu(contender.up([FRAME] * frames)) / frames
                    await _arrived(model, frames + TO_WARM)
        finally:
            await contender.close()
    return found


async def _arrived(model: Program, frames: int) -> None:
    seen = chars = 0
    while seen < frames:
        counts = await asyncio.to_thread(model.ask, "")
        seen, chars = seen + counts["appends"], chars + counts["chars"]
        await asyncio.sleep(0.02)
    if (seen, chars) != (frames, frames * len(FRAME)):
        raise RuntimeError(f"{seen} frames with {chars} characters came to the model")


async def _cpu(work: Any) -> float:
    """CPU microseconds of this process."""
    begun = time.process_time_ns()
    await work
    return (time.process_time_ns() - begun) / 1000


async def compare(rounds: int, frames: int, say: Callable[[str], None], seed: int = 1) -> list[Row]:
    """Both dialects, ours and the SDK by turns in an order that chance decides."""
    order = random.Random(seed)
    cores = sorted(os.sched_getaffinity(0))
    model = Program("bench.adapter_model", core=cores[1] if len(cores) > 1 else None)
    rows = {(dialect, work): Row(dialect, work) for dialect in SDKS for work in WORK}
    try:
        for number in range(1, rounds + 1):
            for dialect, (name, make) in SDKS.items():
                sides: list[tuple[str, Callable[[], Contender]]] = [("ours", Ours), ("sdk", make)]
                order.shuffle(sides)
                for side, contender in sides:
                    found = await cost(contender, dialect, model, frames)
                    for work, us in found.items():
                        getattr(rows[dialect, work], side).append(us)
                say(f"round {number}/{rounds}: {dialect} beside {name}")
    finally:
        model.close()
    return list(rows.values())


def run(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Measure, print, write `out/bench/adapter.json`; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.adapter",
        description=__doc__,
        epilog="Exit status 1: ours is not cheaper than an SDK.",
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of ours and SDK (default 7)")
    parser.add_argument("--frames", type=int, default=2000, help="caller frames per round (default 2000)")
    given = parser.parse_args(arguments)
    if min(given.rounds, given.frames) < 1:
        parser.error("numbers of 1 and more")
    rows = uvloop.run(compare(given.rounds, given.frames, say))
    failures = [line for row in rows for line in row.verdict()]
    say("")
    say(aligned([HEAD, *(row.cells() for row in rows)]))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "adapter.json").write_text(json.dumps([row.to_json() for row in rows], indent=1) + "\n")
    for failure in failures:
        say(f"NOT GOOD ENOUGH: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], lambda line: print(line, flush=True)))
