"""Runs all scenes of one form at once."""

import asyncio
import tempfile
import traceback
import warnings
from pathlib import Path

from tests.emulator.conformance.operations import Seen
from tests.emulator.conformance.scenes import SCENES
from tests.emulator.conformance.world import World, new_world


async def run(form: str) -> tuple[dict[str, Seen], list[str]]:
    """What was seen of each row, and what went wrong in the scenes."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Its authentication uses `datetime.utcnow`, and some of its methods are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        async with new_world(form, Path(folder)) as world:
            told = await asyncio.gather(*(_play(world, scene) for scene in SCENES))
            return world.seen, [fault for faults in told for fault in faults]


async def _play(world: World, play: object) -> list[str]:
    scene = world.scene(play.__name__)
    try:
        await play(scene)
    except Exception as error:  # one scene's fault must not hide the other rows
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if "scenes" in frame.filename]
        return [f"{scene.name}: {type(error).__name__}: {error} at {where[-1].line}"]
    finally:
        await scene.close()
    left = scene.unclaimed()
    return [f"{scene.name}: callbacks of no row: {left}"] if left else []
