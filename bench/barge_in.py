"""`python -m bench.barge_in`: how truthful and how fast an interruption is."""

import argparse
import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.interruptions import Kind, Point, interruption
from bench.report import aligned
from bench.stop_audio import Found, measure

OUT = Path("out/bench")
ERROR_P95_MS = 20.0
LATENCY_P99_MS = 10.0
KINDS: dict[Kind, str] = {
    "acs": "ACS, path as configured",
    "marks": "line that echoes marks, path 60-250 ms",
    "acs, path guessed": "ACS, path 60-250 ms, 150 configured",
}
JUDGED = ("acs", "marks")
HEAD = ["", "points", "error p50 / p95 / max ms", "mean ms", "stale frames"]

_EPILOG = """The first two rows are in virtual time, with the emulator's playout; the third shows what a wrong setting costs on
a line that acknowledges nothing, and is not judged. The last row is a real media host with real sockets: the error is that of
what the model was told (truncate), the latency from its speech_started to StopAudio at the line.

Exit status 1: an error above 20 ms at p95, a stale frame, a model that was not told, or StopAudio after more than 10 ms at
p99. The milliseconds of the real media host mean something on an idle machine only (the bench says how late its own 20 ms
ticks were); --busy leaves the verdict on them out, --points-only the whole real part.
"""


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def summary(errors: Sequence[float], stale: int) -> dict[str, Any]:
    """What the table and the JSON show of signed errors (ms)."""
    sizes = [abs(error) for error in errors]
    return {
        "points": len(errors),
        "p50": round(quantile(sizes, 0.5), 2),
        "p95": round(quantile(sizes, 0.95), 2),
        "max": round(max(sizes, default=float("nan")), 2),
        "mean": round(sum(errors) / len(errors), 2) if errors else float("nan"),
        "stale": stale,
    }


def of_points(points: Sequence[Point]) -> dict[str, Any]:
    """Of a virtual row."""
    return summary([point.error_ms for point in points], sum(point.stale for point in points))


def of_host(found: Found) -> dict[str, Any]:
    """Of the real row."""
    stopped = [item for item in found.interruptions if item.latency_ms is not None]
    told = [item.told_ms - item.truth_ms for item in stopped if item.told_ms is not None]
    latencies = [item.latency_ms for item in stopped if item.latency_ms is not None]
    return summary(told, found.stale) | {
        "interruptions": len(found.interruptions),
        "notStopped": len(found.interruptions) - len(stopped),
        "notTold": len(stopped) - len(told),
        "lostCalls": found.lost,
        "ownTicksP99": found.late_p99_ms,
        "latencyP50": round(quantile(latencies, 0.5), 2),
        "latencyP99": round(quantile(latencies, 0.99), 2),
        "latencyMax": round(max(latencies, default=float("nan")), 2),
    }


def verdict(name: str, row: dict[str, Any], *, busy: bool = False) -> list[str]:
    """Why a row is not good enough; empty if it is. A missing figure (NaN) is not; `busy` forgives milliseconds."""
    found = []
    if not busy and not row["p95"] <= ERROR_P95_MS:
        found.append(f"{name}: error {row['p95']} ms at p95, wanted {ERROR_P95_MS:g}")
    for key, what in (
        ("stale", "stale frames"),
        ("notStopped", "interruptions without StopAudio"),
        ("notTold", "interruptions that the model was not told of"),
        ("lostCalls", "calls lost"),
    ):
        if row.get(key):
            found.append(f"{name}: {what}: {row[key]}")
    if not busy and not row.get("latencyP99", 0.0) <= LATENCY_P99_MS:
        found.append(f"{name}: StopAudio after {row['latencyP99']} ms at p99, wanted {LATENCY_P99_MS:g}")
    return found


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """A line of the table."""
    sizes = " / ".join(f"{row[key]:.1f}" for key in ("p50", "p95", "max"))
    return [name, str(row["points"]), sizes, f"{row['mean']:+.1f}", str(row["stale"])]


def virtual(points: int, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The rows in virtual time."""
    rows = {}
    for kind, name in KINDS.items():
        begun = time.monotonic()
        rows[name] = of_points([interruption(kind, number) for number in range(points)])
        say(f"{name}: {points} interruptions in {time.monotonic() - begun:.0f} s")
    return rows


async def real(calls: int, each: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The row of the real media host, which gets a core of its own where there are two."""
    folder = OUT / "barge_in"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    gc.freeze()
    return of_host(await measure(folder, calls, each, say, core=cores[0] if len(cores) > 1 else None))


def run(arguments: list[str], say: Callable[[str], None]) -> int:
    """Measure, print, write `out/bench/barge_in.json`; the exit status."""
    options = _options(arguments)
    rows = virtual(options.points, say)
    failures = [line for kind, name in KINDS.items() if kind in JUDGED for line in verdict(name, rows[name])]
    lines = []
    if not options.points_only:
        row = uvloop.run(real(options.calls, -(-options.interruptions // options.calls), say))
        name = f"media host, {options.calls} calls"
        rows[name] = row
        failures += verdict(name, row, busy=options.busy)
        lines.append(
            f"speech event to StopAudio: p50 {row['latencyP50']:.2f}, p99 {row['latencyP99']:.2f}, "
            f"max {row['latencyMax']:.2f} ms; own ticks late by {row['ownTicksP99']:.1f} ms at p99, "
            f"load of the machine {os.getloadavg()[0]:.1f}"
        )
    say("")
    for text in [aligned([HEAD, *(cells(name, row) for name, row in rows.items())]), *lines]:
        say(text)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "barge_in.json").write_text(json.dumps({"rows": rows, "failures": failures}, indent=1) + "\n")
    for failure in failures:
        say(f"NOT GOOD ENOUGH: {failure}")
    return 1 if failures else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.barge_in",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--points", type=int, default=1000, help="random moments per virtual row")
    parser.add_argument("--interruptions", type=int, default=500, help="of the real media host, in all")
    parser.add_argument("--calls", type=int, default=20, help="at once in the real media host")
    parser.add_argument("--points-only", action="store_true", help="nothing of the real media host")
    parser.add_argument(
        "--busy", action="store_true", help="no verdict on milliseconds of the real media host"
    )
    given = parser.parse_args(arguments)
    if min(given.points, given.interruptions, given.calls) < 1:
        parser.error("numbers of 1 and more")
    return given


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], lambda line: print(line, flush=True)))
