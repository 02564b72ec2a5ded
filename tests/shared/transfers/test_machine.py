import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings

from shared.store.sqlite import SqliteStore
from tests.shared.transfers.machine import TransferMachine

STEPS = int(os.environ.get("PATCHCORD_MACHINE_EXAMPLES", "25"))
"""Runs of 100 steps each; 100 of them are the 10,000 steps of issue 5."""


class OnSqlite(TransferMachine):
    def open_store(self):
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "store.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestOnSqlite = seed(1)(OnSqlite).TestCase
TestOnSqlite.settings = settings(
    max_examples=STEPS,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.generate,),  # shrinking a failure takes minutes: do it by hand, with `phases` left out
)
