"""The table in docs/emulator.md, generated from what a run saw: `python -m tests.emulator.conformance.table --write`."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.emulator.conformance.clients import FORMS
from tests.emulator.conformance.operations import Seen
from tests.emulator.conformance.rows import GROUPS, OPERATIONS
from tests.emulator.conformance.run import run

DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator.md"
BEGIN = "<!-- conformance: begin (python -m tests.emulator.conformance.table --write) -->"
END = "<!-- conformance: end -->"
HEAD = (
    "| Method | Case | Request | Status | Repeatable | Callbacks (code/subCode) | Fidelity |",
    "|---|---|---|---|---|---|---|",
)


def render(seen: Mapping[str, Seen]) -> str:
    """The table of what was seen; a row that was not seen is left out."""
    lines: list[str] = []
    for title, group in GROUPS.items():
        lines += ["", f"### {title}", "", *HEAD]
        for operation in group:
            if (saw := seen.get(operation.key)) is None:
                continue
            request = saw.request.replace("/calling/callConnections", "CC")
            status = f"{saw.status}, `{saw.error}`" if saw.error else str(saw.status)
            callbacks = ", ".join(map(str, saw.callbacks)) or "–"
            fidelity = operation.fidelity + (f" ({operation.basis})" if operation.basis else "")
            cells = (
                f"`{operation.method}`",
                operation.case,
                f"`{request}`",
                status,
                "yes" if saw.repeatability else "no",
            )
            lines.append("| " + " | ".join((*cells, callbacks, fidelity)) + " |")
    return "\n".join(lines).strip() + "\n"


def committed(document: Path = DOCUMENT) -> str:
    """The table that stands in the documentation.

    Raises:
        ValueError: there are no markers for one.
    """
    return _cut(document.read_text(encoding="utf-8"))[1].strip() + "\n"


def _cut(text: str) -> tuple[str, str, str]:
    before, begin, rest = text.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END}")
    return before, table, after


def write(table: str, document: Path = DOCUMENT) -> None:
    """Put the table between the markers."""
    before, _, after = _cut(document.read_text(encoding="utf-8"))
    document.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}", encoding="utf-8")


async def _run_both() -> dict[str, Seen]:
    tables: dict[str, dict[str, Seen]] = {}
    for form in FORMS:
        tables[form], faults = await run(form)
        missing = OPERATIONS.keys() - tables[form].keys()
        if faults or missing:
            raise SystemExit("\n".join([*faults, *(f"{form}: not seen: {key}" for key in sorted(missing))]))
    if len({render(seen) for seen in tables.values()}) != 1:
        raise SystemExit("the sync client and the aio client saw different things")
    return tables[FORMS[0]]


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulator.conformance.table", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put it into {DOCUMENT.name}")
    options = parser.parse_args()
    table = render(asyncio.run(_run_both()))
    if options.write:
        write(table)
    else:
        sys.stdout.write(table)


if __name__ == "__main__":
    main()
