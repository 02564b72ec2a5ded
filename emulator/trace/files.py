"""The files of the wire trace: one per call, bounded in size and number, written by a thread of their own."""

import logging
import os
import queue
import threading
from collections import OrderedDict
from pathlib import Path

log = logging.getLogger(__name__)

MAX_FILE = 4 * 1024 * 1024
MAX_CALLS = 200
MAX_WAITING = 20_000
AT_ONCE = 500
CLOSE_S = 5.0
COMMON = "emulator"
"""The file of what belongs to no call."""


class TraceFiles:
    """Writes lines to files from a thread of its own, so that a slow disk never holds up a call.

    Args:
        folder: where the files go; created for its owner only.
        max_file: bytes after which a file is set aside.
        max_calls: calls whose files are kept; older ones are deleted, of this and of earlier runs.

    Attributes:
        lost: lines given up because the disk is slow, full or gone.
    """

    def __init__(self, folder: Path, max_file: int = MAX_FILE, max_calls: int = MAX_CALLS) -> None:
        self.lost = 0
        self._closed = False
        self._folder = folder
        self._max_file = max_file
        self._max_calls = max_calls
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(MAX_WAITING)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._calls: OrderedDict[str, None] = OrderedDict.fromkeys(self._found())
        self._thread = threading.Thread(target=self._run, name="trace", daemon=True)
        self._thread.start()

    def _found(self) -> list[str]:
        """Calls of earlier runs, oldest first."""
        files = [file for file in self._folder.glob("call-*.jsonl") if not file.stem.endswith(".1")]
        files.sort(key=lambda file: file.stat().st_mtime)
        return [file.stem for file in files]

    @property
    def idle(self) -> bool:
        """Whether all that was handed over has been written, or lost."""
        return self._queue.unfinished_tasks == 0

    def write(self, name: str, line: bytes) -> None:
        """Append a line to the file `name`; never blocks and never raises."""
        if self._closed:
            self.lost += 1
            return
        try:
            self._queue.put_nowait((name, line))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits and stop; blocks for as long as the disk takes, at most 5 s. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._queue.put(None, timeout=CLOSE_S)
        except queue.Full:
            return
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            lines = [item]
            last = False
            while not last and len(lines) < AT_ONCE and not self._queue.empty():
                following = self._queue.get()
                last = following is None
                if following is not None:
                    lines.append(following)
            self._write_all(lines)
            for _ in lines:
                self._queue.task_done()
            if last:
                return

    def _write_all(self, lines: list[tuple[str, bytes]]) -> None:
        by_file: dict[str, list[bytes]] = {}
        for name, line in lines:
            by_file.setdefault(name, []).append(line)
        for name, parts in by_file.items():
            try:
                self._append(name, b"".join(parts))
            except OSError as error:
                self.lost += len(parts)
                log.warning("trace: %d lines not written: %s", len(parts), error.strerror)

    def _append(self, name: str, data: bytes) -> None:
        if name != COMMON and name not in self._calls:
            self._calls[name] = None
            while len(self._calls) > self._max_calls:
                old, _ = self._calls.popitem(last=False)
                for suffix in (".jsonl", ".1.jsonl"):
                    (self._folder / f"{old}{suffix}").unlink(missing_ok=True)
        path = self._folder / f"{name}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)
            size = file.tell()
        if size > self._max_file:
            os.replace(path, path.with_name(f"{name}.1.jsonl"))
