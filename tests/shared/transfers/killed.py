"""A process that ends itself with SIGKILL at one point of a transfer's life: `python -m tests.shared.transfers.killed DB STEP N`.

The points are the writes: the process dies after the N-th write of the step has reached the store (0: before the first).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls
from shared.store.sqlite import SqliteStore
from shared.transfers.numbers import NumberPool
from shared.transfers.record import TransferKind
from shared.transfers.transfers import NewTransfer, Transfers
from tests.shared.transfers.dialling import dialled

START = 1_000_000.0
NUMBER = "+18005550100"
ASKED = NewTransfer("t1", "conversation", TransferKind.PHONE_NUMBER, "US", "task", {"word": "one"})


class KillingStore:
    """Passes everything on, and dies."""

    def __init__(self, store, left: int) -> None:
        self.store, self.left = store, left

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def insert(self, table, entity):
        return await self.write(self.store.insert(table, entity))

    async def replace(self, table, entity):
        return await self.write(self.store.replace(table, entity))

    async def delete(self, table, partition, row, *, etag=None):
        return await self.write(self.store.delete(table, partition, row, etag=etag))

    async def write(self, operation):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        result = await operation
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def transfers(store, now) -> Transfers:
    return Transfers(store, NumberPool(store, now), Calls(store, now), now)


async def create(store, now):
    return await transfers(store, now).create("acme", ASKED)


async def claim(store, now):
    pool = NumberPool(store, now)
    return await dialled(pool, transfers(store, now), NUMBER, call_key="k1", call_id="c1", event_at=now())


async def complete(store, now):
    calls = Calls(store, now)
    await calls.append("acme", "c1", CallEvent("received", EventKind.RECEIVED, now(), {"callId": "c1"}))
    outcome = {"transferType": "SYSTEM", "transferVariables": {"n": "7"}}
    await calls.append("acme", "c1", CallEvent("outcome", EventKind.OUTCOME, now(), outcome))
    return await transfers(store, now).get("acme", "t1")


STEPS = {"create": create, "claim": claim, "complete": complete}


async def main(database: str, step: str, writes: str) -> None:
    store = KillingStore(SqliteStore(Path(database)), int(writes))
    await STEPS[step](store, lambda: START + list(STEPS).index(step))
    sys.exit(3)  # it has fewer writes than that


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
