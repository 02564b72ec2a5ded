"""The event loop of a process that is an emulator and nothing else."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

YOUNG = 20_000
"""New objects between two looks of the garbage collector."""


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run `work` as `asyncio.run` does: on uvloop where there is one (not on Windows), and with short garbage collections.

    A full collection looks at every object of the process, and all modules are 200,000 of them: tens of milliseconds in which no
    call gets its audio. What is there now stays for good, so it is taken out (`gc.freeze`); and since frames and callbacks leave
    no cycles behind, the collector need not come every 2,000 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
