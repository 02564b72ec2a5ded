"""`python -m bench.mixed`: Twilio and ACS calls on one media host at once, beside as many ACS calls alone.

Twilio's callers send and get mu-law, which passes through to a model that speaks it; ACS's have 24 kHz PCM. Every frame is
counted as in the other benchmark: none may be lost, doubled, swapped, damaged or given to another call, and on each line the
99th percentile of the time that a frame takes through the host must stay below 25 ms (reliability.md 3D, L1), or, where a busy
machine does not give that to the ACS calls alone, below 1.25 of what they had.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.host import ACCOUNT, Host
from bench.load import Order
from bench.programs import Program
from bench.report import Result, faults

OUT = Path("out/bench")
P99_MS = 25.0
WORSE = 1.25
WAYS = ("up", "down")

CONFIG = """
agents:
  plain:
    {{kind: realtime, service: openai, endpoint: "ws://127.0.0.1:{port}", auth: none, model: bench, connections_per_minute: 10000}}
routes:
  - {{name: all, to: ["*"], agent: plain}}
tenants: {{default: {{max_concurrent_calls: 10000}}}}
twilio:
  default: {{account_sid: {account}, auth_token: "env:TWILIO_AUTH_TOKEN", agent: plain}}
"""


def slow(mixed: Result, alone: Result) -> list[str]:
    """Where the 99th percentile of the mixed run is too high, in words."""
    found = []
    for name, line in (("ACS", mixed), ("Twilio", mixed["twilio"])):
        for way in WAYS:
            wanted = max(P99_MS, alone[way]["p99"] * WORSE)
            if line[way]["p99"] > wanted or not line[way]["frames"]:
                found.append(f"{name}, {way}: p99 {line[way]['p99']} ms, wanted {wanted:.1f}")
    return found


async def measure(calls: int, seconds: float, folder: Path) -> dict[str, Any]:
    """`2 * calls` ACS calls alone, then `calls` of each line: the two results.

    Raises:
        RuntimeError: a program did not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cores = sorted(os.sched_getaffinity(0))
    measured, other = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    load = Program("bench.load", core=other)
    host = Host(folder, CONFIG.format(port=load.port, account=ACCOUNT), measured)
    try:
        await host.start()
        alone = await host.calls(2 * calls, "plain")
        results = {"acs": await load.run(Order(host.port, host.pid, seconds, alone))}
        both = [*await host.calls(calls, "plain"), *await host.twilio_calls(calls)]
        results["mixed"] = await load.run(Order(host.port, host.pid, seconds, both))
    finally:
        await host.close()
        load.close()
    return results


def verdict(results: dict[str, Any]) -> list[str]:
    """Why this is not good enough; empty if it is."""
    found = [f"{name}: {fault}" for name, result in results.items() for fault in faults(result)]
    return found + slow(results["mixed"], results["acs"])


def rows(results: dict[str, Any]) -> list[str]:
    """The figures, a line for each run and line."""
    shown = []
    for name, result in results.items():
        for line, part in (("ACS", result), ("Twilio", result["twilio"])):
            if part["up"]["frames"]:
                ms = ", ".join(
                    f"{way} p50 {part[way]['p50']} p99 {part[way]['p99']} max {part[way]['max']}"
                    for way in WAYS
                )
                shown.append(f"{name:<6} {line:<7} {ms} ms")
        share = result["cpu_s"] / result["seconds"]
        shown.append(
            f"{name:<6} {result['calls']} calls, {share:.0%} of a core, {result['rss_kib'] // 1024} MB"
        )
    return shown


def main(arguments: list[str]) -> int:
    """Measure, print, write `out/bench/mixed.json`; the exit status is 1 when it is not good enough."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.mixed", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--calls", type=int, default=20, help="calls on each line (default 20)")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured seconds per run (default 20)")
    given = parser.parse_args(arguments)
    results = asyncio.run(measure(given.calls, given.seconds, OUT / "mixed"))
    (OUT / "mixed.json").write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(OUT / "mixed", ignore_errors=True)
    print("\n".join(rows(results)))
    print(f"load average {os.getloadavg()[0]:.1f}")
    failures = verdict(results)
    for failure in failures:
        print(f"NOT GOOD ENOUGH: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
