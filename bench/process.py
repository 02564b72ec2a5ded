"""What a process has used, from /proc: CPU seconds (user and system) and memory, with its children."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, resident memory in KiB."""

    user: float
    system: float
    rss_kib: int

    @property
    def cpu(self) -> float:
        """User and system together (s)."""
        return self.user + self.system


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name (the first is field 3, the state)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def usage(pid: int) -> Usage:
    """Of this process alone, all its threads.

    Raises:
        OSError: there is no such process.
    """
    fields = _stat(pid)
    rss = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return Usage(int(fields[11]) / _TICK, int(fields[12]) / _TICK, rss)


def children(pid: int) -> list[int]:
    """All living descendants of a process."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue  # ended between the two looks
    found, todo = [], [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found
