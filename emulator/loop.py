"""The event loop of a process that is an emulator and nothing else."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

COLLECT_AFTER = (1000, 5, 1)
"""A full collection about every 12,000 new objects (Python: every 200,000): some 150 calls, and a few milliseconds."""


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run `work` as `asyncio.run` does: on uvloop where there is one (not on Windows), and with short garbage collections.

    A full collection looks at every object of the process, and all modules are 200,000 of them: tens of milliseconds in which no
    call gets its audio. What is there now stays for good, so it is taken out (`gc.freeze`). With that a collection is
    cheap, and comes more often than usual: ended calls are cycles that only it finds, and they would pile up by the hundred.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
