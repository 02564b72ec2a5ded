"""How late the process is, measured by its own timer."""

import asyncio
import time

from media_host import lateness
from media_host.lateness import Lateness
from tests.support.telemetry import told
from tests.support.timing import patience


async def test_a_loop_that_is_kept_busy_is_late(monkeypatch):
    monkeypatch.setattr(lateness, "EVERY_S", 0.02)
    with told() as seen:
        async with Lateness(), asyncio.timeout(patience(5)):
            await asyncio.sleep(0)
            time.sleep(0.1)  # noqa: ASYNC251  # that is what is measured
            while not seen.values("patchcord.playout.late"):
                await asyncio.sleep(0.01)
        [(_, seconds)] = seen.values("patchcord.playout.late")
        assert seconds > 0.05


async def test_it_can_be_left_before_it_has_looked():
    async with Lateness():
        pass
