"""`patchcord trace`: a call's wire trace as people read it."""

import sys
from pathlib import Path
from typing import TextIO

from emulator.trace import format_trace
from shared.errors import PatchcordError


def show_trace(path: Path, *, bodies: bool = False, out: TextIO = sys.stdout) -> int:
    """Print a trace file, or the newest call's of a folder; returns the exit code.

    Raises:
        PatchcordError: there is no such file, or no trace in the folder.
    """
    if path.is_dir():
        files = sorted(path.glob("call-*.jsonl"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise PatchcordError(f"{path}: no call has been traced there")
        path = files[-1]
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            out.write(format_trace(lines, bodies=bodies))
    except OSError as error:
        raise PatchcordError(f"{path}: {error.strerror}") from None
    return 0
