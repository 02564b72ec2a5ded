"""One whole benchmark: programs started and pinned, rounds interleaved, results gathered."""

import asyncio
import base64
import json
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.host import Host
from bench.load import Call, Order
from bench.process import usage
from bench.programs import Program
from bench.report import Pairs, Result, embedded_line, faults, per_core, table

OUT = Path("out/bench")
PAIRS = ("plain", "recording")
EMBEDDED = ("silent", "talking")
WARM_UP_S = 3.0
EMBEDDED_S = 12.0
"""No longer than this: the demo's dialogue hangs up on callers who stay silent or are not understood."""
DIALOGUE = Path("dialogues/order_desk.yaml")
SPEECH = "Hello. I would like to know about my order, please. Can you tell me where it is?"

_CONFIG = """
agents:
  plain: &realtime
    {{kind: realtime, service: openai, endpoint: "ws://127.0.0.1:{port}", auth: none, model: bench, connections_per_minute: 10000}}
  recording: {{<<: *realtime, recording: true}}
{embedded}
tools:
  lookup_order: {{kind: python, entry_point: "media_host.tools.samples:lookup_order", description: "An order's status."}}
routes:
  - {{name: all, to: ["*"], agent: plain}}
"""
_EMBEDDED = '  embedded: {{kind: embedded, dialogue: "{dialogue}", tools: [lookup_order]}}'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: see `python -m bench --help`."""

    calls: int
    seconds: float
    rounds: int
    variants: tuple[str, ...]
    embedded_calls: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Bench:
    """The running programs."""

    plan: Plan
    load: Program
    relay: Program
    host: Host
    say: Callable[[str], None]

    async def relay_run(self, seconds: float) -> Result:
        """One run of the relay."""
        calls = [Call("/") for _ in range(self.plan.calls)]
        return await self.load.run(Order(self.relay.port, self.relay.pid, seconds, calls))

    async def host_run(self, agent: str, seconds: float) -> Result:
        """One run of the media host, with this agent."""
        calls = await self.host.calls(self.plan.calls, agent)
        return await self.load.run(Order(self.host.port, self.host.pid, seconds, calls))

    async def pairs(self, variant: str, idle: tuple[int, int]) -> Pairs:
        """Rounds of relay and media host, in an order that chance decides."""
        order = random.Random(self.plan.seed)
        results: dict[str, list[Result]] = {"relay": [], "media host": []}
        runs: dict[str, Callable[[float], Awaitable[Result]]] = {
            "relay": self.relay_run,
            "media host": lambda seconds: self.host_run(variant, seconds),
        }
        warm_up = []
        for name, run in runs.items():
            warm_up.append(await run(WARM_UP_S))
            self._tell(f"{variant}: warm-up, {name}", warm_up[-1])
        for number in range(1, self.plan.rounds + 1):
            for name in order.sample(list(runs), len(runs)):
                result = await runs[name](self.plan.seconds)
                results[name].append(result)
                self._tell(f"{variant}: round {number}/{self.plan.rounds}, {name}", result)
        return Pairs(variant, results["relay"], results["media host"], *idle, warm_up)

    async def embedded(self, variant: str) -> Result:
        """The embedded agent, with callers that are silent or talk all the time."""
        calls = await self.host.calls(self.plan.embedded_calls, "embedded")
        audio = await _speech() if variant == "talking" else [base64.b64encode(bytes(960))]
        silent = variant == "silent"
        seconds = min(self.plan.seconds, EMBEDDED_S)
        order = Order(self.host.port, self.host.pid, seconds, calls, audio, silent)
        result = await self.load.run(order)
        self._tell(f"embedded agent, callers {variant}", result)
        return result

    def _tell(self, what: str, result: Result) -> None:
        p99 = (
            ", p99 up {} down {} ms".format(result["up"]["p99"], result["down"]["p99"])
            if result["up"]["frames"]
            else ""
        )
        self.say(f"{what}: {per_core(result):.0f} calls/core{p99}{' | '.join(['', *faults(result)])}")


async def _speech() -> list[bytes]:
    """A sentence and two seconds of silence, in frames."""
    from media_host.speech.synthesiser import Synthesiser

    async with Synthesiser() as synthesiser:
        pcm = await synthesiser.say(SPEECH, "en-us+f3", 24000)
    pcm += bytes(2 * 48_000 + -len(pcm) % 960)
    return [base64.b64encode(pcm[at : at + 960]) for at in range(0, len(pcm), 960)]


def _config(plan: Plan, port: int) -> str:
    """The media host's patchcord.yaml; the embedded agent's engines are only started when they are measured."""
    embedded = _EMBEDDED.format(dialogue=DIALOGUE.resolve()) if set(plan.variants) & set(EMBEDDED) else ""
    return _CONFIG.format(port=port, embedded=embedded)


def _cores() -> tuple[int | None, int | None]:
    """A core for what is measured, another for the load; none if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


async def run(plan: Plan, say: Callable[[str], None]) -> list[str]:
    """Measure, print, write `out/bench/*.json`.

    Returns:
        Why the result is not good enough, line by line; empty if it is.
    """
    folder = OUT / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    measured, other = _cores()
    if other is None:
        say("one core only: generator and host share it, the figures say little")
    else:
        os.sched_setaffinity(0, {other})
    begun = time.monotonic()
    load = Program("bench.load", core=other)
    relay = Program("bench.relay", "--model", f"ws://127.0.0.1:{load.port}/", core=measured)
    host = Host(folder, _config(plan, load.port), measured)
    try:
        await host.start()
        bench = _Bench(plan, load, relay, host, say)
        rows, lines, failures = await _measure(bench)
    finally:
        await host.close()
        relay.close()
        load.close()
        shutil.rmtree(folder / "recordings", ignore_errors=True)
    say("")
    for text in [table(rows)] * bool(rows) + lines:
        say(text)
    say(
        f"\n{time.monotonic() - begun:.0f} s; the relay is bench/relay.py (0.70-0.79 of a relay in C); details in {OUT}/"
    )
    return failures


async def _measure(bench: _Bench) -> tuple[list[list[str]], list[str], list[str]]:
    """Rows of the table, lines below it, and what is not good enough."""
    rows: list[list[str]] = []
    lines: list[str] = []
    failures: list[str] = []
    idle = (usage(bench.relay.pid).rss_kib, usage(bench.host.pid).rss_kib)
    for variant in bench.plan.variants:
        if variant in PAIRS:
            pairs = await bench.pairs(variant, idle)
            rows += pairs.rows()
            failures += pairs.verdict()
            _write(variant, pairs.to_json())
        else:
            before = usage(bench.host.pid).rss_kib
            result = await bench.embedded(variant)
            lines.append(embedded_line(f"embedded agent, callers {variant}", result, before))
            failures += [f"embedded, {variant}: {fault}" for fault in faults(result)]
            _write(f"embedded-{variant}", result)
    return rows, lines, failures


def _write(name: str, value: dict[str, Any]) -> None:
    (OUT / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def main(plan: Plan) -> int:
    """Run and judge: the exit status."""
    failures = asyncio.run(run(plan, lambda line: print(line, flush=True)))
    for failure in failures:
        print(f"NOT GOOD ENOUGH: {failure}")
    return 1 if failures else 0
