"""A collector for those who asked for one; nobody else loads it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.metrics.collector import Collector


@asynccontextmanager
async def collecting(wanted: bool, port: int = 0) -> "AsyncIterator[Collector | None]":
    """A collector that runs during the block, if it is `wanted`."""
    if not wanted:
        yield None
        return
    from cli.metrics.collector import Collector

    async with Collector(port) as collector:
        yield collector


async def draw_call_trace(collector: "Collector", call_id: str, target: Path) -> bool:
    """Wait for all spans of a call that is over and draw them into a PNG file; False when they have not come."""
    from cli.metrics.drawing import draw_trace
    from cli.metrics.waterfall import waterfall

    spans = await collector.whole_trace(call_id)
    if spans:
        target.parent.mkdir(parents=True, exist_ok=True)
        draw_trace(waterfall(spans), target)
    return bool(spans)
