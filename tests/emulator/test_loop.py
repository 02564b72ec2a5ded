"""The event loop of an emulator's own process; in processes of their own, since the collector's settings are the process's."""

import subprocess
import sys

import pytest

from tests.support.timing import patience

PROGRAM = """
import asyncio, gc, sys
from emulator import loop

async def work():
    return type(asyncio.get_running_loop()).__module__

print(loop.run(work()), gc.get_freeze_count() > 1000, gc.get_threshold() == loop.COLLECT_AFTER)
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=patience(30), check=True
    )
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop has no Windows build")
def test_it_is_uvloop_and_what_is_there_is_out_of_the_collectors_way() -> None:
    name, frozen, often = run(PROGRAM).split()
    assert name.split(".")[0] == "uvloop"
    assert (frozen, often) == ("True", "True")


def test_it_does_without_uvloop() -> None:
    assert run("import sys\nsys.modules['uvloop'] = None\n" + PROGRAM).startswith("asyncio")
