"""`python -m bench.emulator`: many calls at once on the ACS emulator, in one process on one core.

An app on the other core answers every call by signed REST requests and talks back in real time; scripted callers in the emulator
send tones. Measured in the emulator itself: how late each 20 ms tick begins and how late each call's frame has been sent.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.emulator_host import Order
from bench.emulator_report import faults, growth, lines

type Json = dict[str, Any]
type Say = Callable[[str], None]

OUT = Path("out/bench")
CALL_S = 20.0
SPARE_S = 40.0
LINE = 1 << 20

_EXAMPLES = """examples:
  python -m bench.emulator                          100 calls, 20 s measured
  python -m bench.emulator --calls 200 --seconds 30
  python -m bench.emulator --soak 600               40 calls of 20 s each, new ones all the time, for 10 minutes
  python -m bench.emulator --calls 5 --seconds 2    does it work at all
  python -m bench.emulator --trace                  with the wire trace, as `patchcord emulate` has it

Exit status 1: the 99th percentile of a frame's lateness is over 10 ms, a frame was lost or doubled, a call failed, or in a soak
memory, tasks or file descriptors grow. Results: out/bench/emulator.json, out/bench/emulator-soak.json. Measure on a machine that is
otherwise idle: with one core, or with other programs on it, the figures say more about them.
"""


class Child:
    """`python -m MODULE`, pinned to `core` if given; speaks in lines of JSON and ends with its stdin."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, core: int | None, *arguments: str) -> "Child":
        """Start it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, stdin=-1, stdout=-1, limit=LINE
        )
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        return cls(process)

    async def read(self) -> Json:
        """Its next line.

        Raises:
            RuntimeError: it has ended.
        """
        assert self._process.stdout is not None
        text = await self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"a program of the benchmark ended early ({await self._process.wait()})")
        line: Json = json.loads(text)
        return line

    async def write(self, line: Json | None = None) -> None:
        """A line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write((b"" if line is None else json.dumps(line).encode()) + b"\n")
        await self._process.stdin.drain()

    async def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def run(order: Order, say: Say) -> tuple[Json, Json]:
    """One run: what the emulator measured, and what the app counted. `order.app` is filled in here."""
    cores = sorted(os.sched_getaffinity(0))
    own, other = (cores[1], cores[0]) if len(cores) > 1 else (None, None)
    access_key = base64.b64encode(secrets.token_bytes(32)).decode()
    app = await Child.start(other, "bench.emulator_app", str(order.call_s or order.tone_s))
    try:
        host = await Child.start(own, "bench.emulator_host")
        try:
            fields = asdict(order) | (await app.read())
            await host.write(
                {"order": fields, "access_key": access_key, "control_key": secrets.token_hex(16)}
            )
            await app.write({"endpoint": (await host.read())["endpoint"], "access_key": access_key})
            await host.write()
            begun = time.monotonic()
            await app.write()
            before = (await app.read())["cpu_s"]
            while "result" not in (line := await host.read()):
                say(progress(line["sample"]))
            result: Json = line["result"]
            await app.write()
            counted = await app.read()
            counted["cpu_share"] = round((counted["cpu_s"] - before) / (time.monotonic() - begun), 4)
            return result, counted
        finally:
            await host.close()
    finally:
        await app.close()


def progress(sample: Json) -> str:
    """One line while it runs."""
    return (
        f"{sample['at_s']:7.1f} s   calls {sample['calls']:4}   ended {sample['ended']:5}   p99 {sample['p99']:5.1f} ms   "
        f"max {sample['max']:6.1f} ms   {sample['rss_kib'] / 1024:6.1f} MiB   tasks {sample['tasks']:4}   fds {sample['fds']:4}"
    )


def order_of(arguments: list[str]) -> tuple[Order, bool]:
    """What the command line asks for, and whether it is a soak."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.emulator",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calls", type=int, help="calls at once (default 100, in a soak 40)")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured seconds (default %(default)g)")
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="short calls, new ones all the time, for so long"
    )
    parser.add_argument(
        "--call-seconds", type=float, default=CALL_S, help="of a call in a soak (default %(default)g)"
    )
    parser.add_argument("--trace", action="store_true", help="write wire traces to out/bench/traces")
    given = parser.parse_args(arguments)
    calls = given.calls if given.calls is not None else 40 if given.soak else 100
    seconds = given.soak or given.seconds
    if calls < 1 or seconds <= 0 or given.call_seconds <= 0:
        parser.error("calls and seconds are more than 0")
    tone_s = seconds + SPARE_S + calls * 0.1
    trace = str(OUT / "traces") if given.trace else ""
    return Order("", calls, seconds, given.call_seconds if given.soak else 0.0, tone_s, trace), bool(
        given.soak
    )


def main(arguments: list[str], say: Say = lambda line: print(line, flush=True)) -> int:
    """Run, tell, judge: the exit status."""
    order, soak = order_of(arguments)
    host, app = asyncio.run(run(order, say))
    wrong = faults(host, app, soak=soak)
    say("")
    for line in lines(host, app, soak=soak):
        say(line)
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / ("emulator-soak.json" if soak else "emulator.json")
    file.write_text(
        json.dumps(
            {
                "emulator": host,
                "app": app,
                "growth": growth(host["samples"], host["together"]),
                "faults": wrong,
            },
            indent=1,
        )
        + "\n"
    )
    say(f"\ndetails in {file}")
    for fault in wrong:
        say(f"NOT GOOD ENOUGH: {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
