"""`python -m bench.transfers`: creates and reads of call transfers at a steady rate, on one pool of numbers.

A real function app (its own process, SQLite, over HTTP) answers. This process plays the clients, and the calls that come: it
claims most transfers a moment after they were made, through the same store, and lets their numbers rest for 0.2 s only.
The others are never called and keep their numbers, so the pool runs dry towards the end. Some creates are repeated as they
were, some with another body.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.transfer_checks import (
    Assignment,
    assignment_of,
    badly_formed,
    double_assignments,
    lines,
    quantiles,
)
from cli.processes import ROOT, Child, free_port
from cli.stack import answers
from shared.calls.repository import Calls
from shared.security.keyring import ensure_keys, open_key_source
from shared.security.tenants import TenantDoor
from shared.store import open_store
from shared.transfers.numbers import NumberPool
from shared.transfers.transfers import Transfers

type Json = dict[str, Any]
type Say = Callable[[str], None]

OUT = Path("out/bench")
PATH = "/api/v1/call-transfers"
TENANT = "default"
REST_S = 0.2
"""How long a claimed number rests here (45 s in production)."""
CALLED = 0.97
"""Share of transfers that are called."""
CALL_WITHIN_S = 1.5
REPEATED, REUSED, UNKNOWN = 0.04, 0.04, 0.05
"""Shares: creates that are sent once more, ids that are used for another request, reads of what is not there."""

CONFIG = """
agents: {desk: {kind: websocket, url: "ws://127.0.0.1:1/agent"}}
routes: [{name: desk, to: ["+18005550000"], agent: desk}]
call_transfers: {default: {agent: desk}}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for: rates in requests a second."""

    seconds: float = 60.0
    creates: float = 50.0
    reads: float = 200.0
    numbers: int = 100
    seed: int = 1


@dataclass(slots=True)
class Tally:
    """Answers to one kind of request: latencies (s) by result, statuses, and what was wrong."""

    latency: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def took(self, status: int, seconds: float) -> None:
        """An answer came."""
        self.statuses[str(status)] += 1
        self.latency.setdefault("ok" if status == 200 else "other", []).append(seconds)


class Clients:
    """Everybody who uses the function app.

    Args:
        base: its address.
        headers: credentials.
        transfers: the same store, for the calls that come.
        load: how much.
    """

    def __init__(self, base: str, headers: Json, transfers: Transfers, load: Load) -> None:
        self.creates, self.reads = Tally(), Tally()
        self.assignments: list[Assignment] = []
        self.claimed = 0
        self._url = base + PATH
        self._headers = headers
        self._transfers = transfers
        self._load = load
        self._random = random.Random(load.seed)
        self._known: list[str] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession

    async def run(self) -> None:
        """All of it, to the last answer."""
        connector = aiohttp.TCPConnector(limit=128)
        async with aiohttp.ClientSession(headers=self._headers, connector=connector) as session:
            self._session = session
            load = self._load
            await asyncio.gather(
                self._steadily(load.creates, self._create), self._steadily(load.reads, self._read)
            )
            await asyncio.gather(*self._calls)

    async def _steadily(self, rate: float, do: Callable[[int, float], Any]) -> None:
        """`do` so often a second, whether or not the ones before have been answered."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(rate * self._load.seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - loop.time()))
                tasks.create_task(do(number, due))

    async def _create(self, number: int, due: float) -> None:
        body = wanted(f"t{number}")
        status, made = await self._ask(self.creates, "POST", self._url, due, body)
        if status != 200:
            return
        found = assignment_of(made)
        self.assignments.append(found)
        self._known.append(found.transfer)
        chance = self._random.random()
        if chance < REPEATED:
            again, same = await self._ask(self.creates, "POST", self._url, None, body)
            if again != 200 or same["phoneNumber"] != made["phoneNumber"]:
                self.creates.wrong.append(
                    f"{found.transfer}: asked again, the answer is another one ({again})"
                )
        elif chance < REPEATED + REUSED:
            other, _ = await self._ask(self.creates, "POST", self._url, None, wanted(found.transfer, "other"))
            if other != 409:
                self.creates.wrong.append(
                    f"{found.transfer}: another request with its id is answered {other}"
                )
        if self._random.random() < CALLED:
            call = asyncio.create_task(self._call(found))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, found: Assignment) -> None:
        """Somebody dials the number."""
        await asyncio.sleep(self._random.random() * CALL_WITHIN_S)
        found.ended = time.time()
        taken = await self._transfers.claim(
            TENANT, found.transfer, call_key=found.transfer, call_id=found.transfer, event_at=found.ended
        )
        if getattr(taken, "number", "") != found.number:
            self.creates.wrong.append(f"{found.transfer}: the call was not taken ({taken!r:.80})")
        self.claimed += 1

    async def _read(self, number: int, due: float) -> None:
        there = bool(self._known) and self._random.random() >= UNKNOWN
        id = self._random.choice(self._known) if there else f"unknown-{number}"
        status, found = await self._ask(self.reads, "GET", f"{self._url}/{id}", due)
        if status != (200 if there else 404) or (there and found["id"] != id):
            self.reads.wrong.append(f"GET {id}: {status}")

    async def _ask(
        self, tally: Tally, method: str, url: str, due: float | None, body: Json | None = None
    ) -> tuple[int, Json]:
        """One request; it counts from when it was due, so that a queue is part of its time."""
        loop = asyncio.get_running_loop()
        began = loop.time() if due is None else due
        try:
            async with self._session.request(method, url, json=body) as response:
                answer = await response.json(content_type=None)
                tally.took(response.status, loop.time() - began)
                if response.status != 200 and (
                    wrong := badly_formed(response.status, response.headers, answer)
                ):
                    tally.wrong.append(wrong)
                return response.status, answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            tally.wrong.append(f"{method}: {type(error).__name__}")
            return 0, {}


def wanted(id: str, task: str = "desk") -> Json:
    """A request for a number."""
    return {
        "id": id,
        "externalConversationId": f"conversation-{id}",
        "type": "PHONE_NUMBER",
        "phoneNumber": {"country": "US"},
        "inputContext": {"taskName": task, "inputVariables": {"account": "00123"}},
    }


async def run(load: Load, folder: Path) -> Json:
    """One run in `folder`; what was measured, and under `wrong` what must not be."""
    store_address = f"sqlite:{folder / 'store.db'}"
    (folder / "patchcord.yaml").write_text(CONFIG)
    signing, verification = f"file:{folder / 'signing.json'}", f"file:{folder / 'verification.json'}"
    await ensure_keys(open_key_source(signing, ""), open_key_source(verification, ""), time.time())
    store = open_store(store_address)
    pool = NumberPool(store, time.time, quarantine_s=REST_S)
    for number in range(load.numbers):
        await pool.add(f"+1800555{number:04}", "US")
    issued = await TenantDoor(store, "local", time.time).issue(TENANT)
    base = f"http://127.0.0.1:{free_port()}"
    app = Child(
        "function app",
        "emulator.functions_host",
        ["--app", str(ROOT), "--port", base.rpartition(":")[2], "--keys", str(folder / "functions.json")],
        {
            "PATCHCORD_ENVIRONMENT": "local",
            "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
            "PATCHCORD_STORE": store_address,
            "PATCHCORD_SIGNING_KEYS": signing,
            "PATCHCORD_VERIFICATION_KEYS": verification,
            "AZURE_ACS_CONN_KEY": "endpoint=http://127.0.0.1:1;accesskey=bm9ib2R5IGxpc3RlbnMgdGhlcmU=",
            "ACS_RESOURCE_ID": "00000000-0000-0000-0000-000000000000",
            "CALLBACK_EVENTS_URI": base,
            "CALLBACK_URI_HOST": "ws://127.0.0.1:1",
        },
        folder / "functions.log",
    )
    try:
        await app.start(lambda: answers(f"{base}/api/health"), 30)
        transfers = Transfers(store, pool, Calls(store, time.time), time.time)
        headers = {"api-id": issued.api_id, "api-secret": issued.api_secret}
        clients = Clients(base, headers, transfers, load)
        await clients.run()
        now = time.time()
        states = [number.state(now, REST_S) for number in await pool.list()]
    finally:
        await app.stop()
        await store.close()
    return {
        "pool": load.numbers,
        "seconds": load.seconds,
        "creates": summary(clients.creates),
        "reads": summary(clients.reads),
        "assigned": len(clients.assignments),
        "claimed": clients.claimed,
        "numbers": Counter(states),
        "wrong": clients.creates.wrong + clients.reads.wrong + double_assignments(clients.assignments),
    }


def summary(tally: Tally) -> Json:
    """A tally as JSON."""
    latency = {kind: quantiles(found) for kind, found in sorted(tally.latency.items())}
    return {"latency": latency, "statuses": dict(tally.statuses)}


def load_of(arguments: list[str]) -> Load:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.transfers",
        description=__doc__,
        epilog="Exit status 1: a number had two owners, or an answer was not as the API promises. Results: "
        "out/bench/transfers.json.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="default %(default)g")
    parser.add_argument("--creates", type=float, default=50.0, help="a second (default %(default)g)")
    parser.add_argument("--reads", type=float, default=200.0, help="a second (default %(default)g)")
    parser.add_argument("--numbers", type=int, default=100, help="in the pool (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is chosen by chance")
    given = parser.parse_args(arguments)
    if given.seconds <= 0 or given.creates <= 0 or given.reads <= 0 or not 1 <= given.numbers <= 9999:
        parser.error("seconds and rates above 0, numbers from 1 to 9999")
    return Load(given.seconds, given.creates, given.reads, given.numbers, given.seed)


def main(arguments: list[str], say: Say = lambda line: print(line, flush=True)) -> int:
    """Run, tell, judge: the exit status."""
    load = load_of(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(load, Path(folder)))
    for line in lines(result):
        say(line)
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "transfers.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    say(f"\ndetails in {file}")
    for wrong in result["wrong"][:20]:
        say(f"WRONG: {wrong}")
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
