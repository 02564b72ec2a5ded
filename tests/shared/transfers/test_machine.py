import os
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from shared.store import open_store
from shared.store.sqlite import SqliteStore
from tests.shared.transfers.machine import TransferMachine

RUNS = int(os.environ.get("PATCHCORD_MACHINE_RUNS", "8"))
"""Runs of 100 steps for each seed, on SQLite; with 100 of them, 10,000 steps. Azurite, which is slow, gets an eighth."""
SEEDS = range(1, int(os.environ.get("PATCHCORD_MACHINE_SEEDS", "1")) + 1)


class OnSqlite(TransferMachine):
    def open_store(self):
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "store.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


def walk(machine, start, runs):
    run_state_machine_as_test(
        seed(start)(machine),
        settings=settings(
            max_examples=runs,
            stateful_step_count=100,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=(
                Phase.generate,
            ),  # shrinking a failure takes minutes: do it by hand, with `phases` left out
        ),
    )


@pytest.mark.parametrize("start", SEEDS)
def test_on_sqlite(start):
    walk(OnSqlite, start, RUNS)


@pytest.mark.parametrize("start", SEEDS)
def test_on_azurite(start, azurite):
    class OnAzurite(TransferMachine):
        def open_store(self):
            return OwnTables(open_store(azurite))

    walk(OnAzurite, start, max(1, RUNS // 8))


class OwnTables:
    """A store of its own for each run, in one account: its tables have a prefix."""

    def __init__(self, store) -> None:
        self.store, self.prefix = store, "m" + uuid.uuid4().hex[:12]

    def __getattr__(self, name):
        operation = getattr(self.store, name)
        return (
            operation if name == "close" else lambda table, *a, **k: operation(self.prefix + table, *a, **k)
        )
