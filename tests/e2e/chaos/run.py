"""One scene from start to table row."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cli.processes import ROOT
from cli.stack import Stack, StackOptions
from tests.e2e.chaos import scenes
from tests.e2e.chaos.callers import Callers, Told, configuration, spread
from tests.support.echo_model import EchoModel

OUT = ROOT / "out" / "chaos"

type Happen = Callable[..., Awaitable[str]]

SILENCE_MS = 3000
"""Nobody may hear nothing for longer."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What to do.

    Attributes:
        name: in the table.
        happen: makes it happen: (stack, callers, more).
        seconds: how long the first callers stay (s).
        more: calls that come while it happens.
        hosts: media hosts at the start.
        moved: calls end up on another host by a self-transfer.
        silence_ms: longest silence allowed.
        drain_s: `MEDIA_DRAIN_S`.
    """

    name: str
    happen: Happen
    seconds: float
    more: int
    hosts: int = 1
    silence_ms: int = SILENCE_MS
    drain_s: str = scenes.DRAIN_S


SCENES = (
    Scene("rolling update of the media host", scenes.rolling_update, 20, 5),
    Scene("SIGKILL of one of two media hosts", scenes.killed, 12, 5, hosts=2),
    Scene("signing keys rotated", scenes.keys_rotated, 25, 5),
    Scene("function host killed and restarted", scenes.functions_restarted, 15, 5),
    Scene("store away for 20 s", scenes.store_away, 30, 5),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured.

    Attributes:
        name: of the scene.
        calls: all of them.
        lost: callers who did not get to the end of their call, with the reason.
        moved: calls that went on by a self-transfer.
        gaps: longest silence of each caller (ms).
        rings: how long each rang (s).
        note: of the scene.
        load: the machine's load average (1 min) afterwards.
        seconds: how long it took.
    """

    name: str
    calls: int
    lost: tuple[str, ...]
    moved: int
    gaps: tuple[int, ...]
    rings: tuple[float, ...]
    note: str
    load: float
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the table."""
        wrong = "0" if not self.lost else f"{len(self.lost)} ({', '.join(sorted(set(self.lost)))})"
        return (
            self.name,
            str(self.calls),
            wrong,
            str(self.moved),
            spread(self.gaps),
            f"{max(self.rings, default=0):.1f}",
            self.note,
            f"{self.load:.1f}",
        )


def wrong_with(told: Told) -> str:
    """Why a caller counts as lost; "" when the call went as it should."""
    if told.faults:
        return f"{told.ended}: {told.faults}"
    return "" if told.ended == "caller_hung_up" else told.ended


async def play(scene: Scene, calls: int) -> Row:
    """Play one scene under `calls` live calls, on a stack of its own, whose logs and store stay in out/chaos/."""
    begun = time.monotonic()
    place = OUT / re.sub(r"[^a-z0-9]+", "-", scene.name.lower())
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    async with EchoModel() as model:
        config = place / "patchcord.yaml"
        config.write_text(configuration(model.endpoint))
        env = {"MEDIA_DRAIN_S": scene.drain_s}
        async with Stack(StackOptions(place / "stack", config=config, env=env)) as stack:
            for _ in range(scene.hosts - 1):
                await stack.add_media_host()
            callers = Callers(stack)
            await callers.heard(await callers.dial(calls, scene.seconds))
            await asyncio.sleep(1)
            note = await scene.happen(stack, callers, scene.more)
            await callers.ended()
            told = await callers.told()
    return Row(
        scene.name,
        len(told),
        tuple(wrong for one in told if (wrong := wrong_with(one))),
        sum(one.moved for one in told),
        tuple(one.gap_ms for one in told),
        tuple(one.answered_s for one in told),
        note,
        os.getloadavg()[0],
        time.monotonic() - begun,
    )
