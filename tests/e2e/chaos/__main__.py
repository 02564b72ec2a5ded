"""`make chaos`: everything that may happen to a running Patchcord, under live calls, and a table of what the callers noticed.

    python -m tests.e2e.chaos                     all scenes, 20 live calls each (about seven minutes)
    python -m tests.e2e.chaos --calls 4 --only rolling
    python -m tests.e2e.chaos --write             puts the table into docs/reliability.md

Ends 1 when a call was lost, somebody heard nothing for more than 3 s, or a record is not final and right.
"""

import argparse
import asyncio
import logging
import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from shared.errors import PatchcordError
from tests.e2e.chaos.capacity import over_capacity
from tests.e2e.chaos.run import SCENES, SILENCE_MS, Row, play
from tests.e2e.chaos.vault import vault_away

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
HEAD = (
    "scene",
    "calls",
    "lost",
    "moved",
    "silence ms (median / longest)",
    "longest ring s",
    "what happened",
    "load",
)
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


async def play_all(calls: int, only: str) -> list[Row]:
    """All scenes whose name holds `only`, one after the other."""
    rows = []
    for scene in SCENES:
        if only in scene.name:
            rows.append(_told(await play(scene, calls)))
    if only in "Key Vault away":
        rows.append(_told(await vault_away(calls)))
    if only in "130 calls offered at a limit":
        rows.append(_told(await over_capacity(5 * calls, 5 * calls + 3 * calls // 2)))
    return rows


def _told(row: Row) -> Row:
    print(f"{row.name}: {row.seconds:.0f} s, {row.cells[1:]}", file=sys.stderr, flush=True)
    return row


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def wrong(rows: list[Row]) -> list[str]:
    """What must not be."""
    found = [f"{row.name}: {', '.join(row.lost)}" for row in rows if row.lost]
    found += [
        f"{row.name}: {max(row.gaps)} ms of silence" for row in rows if max(row.gaps, default=0) > SILENCE_MS
    ]
    return found


def write(rows: list[Row], calls: int) -> None:
    """Put the table into the page, between its marks."""
    about = (
        f"`make chaos` on {datetime.now(UTC):%Y-%m-%d}, {calls} live calls, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}; the last column is the machine's load average (other work went on beside it)."
    )
    text = PAGE.read_text()
    made = f"{BEGIN}\n{about}\n\n{table(rows)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: made, text, flags=re.DOTALL))


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.chaos", description=__doc__)
    parser.add_argument(
        "--calls", type=int, default=20, help="live calls in each scene (default: %(default)s)"
    )
    parser.add_argument("--only", default="", help="scenes whose name holds this")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    arguments = parser.parse_args()
    logging.basicConfig(level="ERROR")
    logging.getLogger("shared").setLevel("ERROR")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(play_all(arguments.calls, arguments.only))
    except (PatchcordError, LookupError, TimeoutError) as error:
        print(f"chaos: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    if arguments.write:
        write(rows, arguments.calls)
    for line in (found := wrong(rows)):
        print(f"chaos: {line}", file=sys.stderr)
    return 1 if found or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
