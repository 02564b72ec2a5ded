"""From the results of single runs to the table and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

SHARE_WANTED = 0.5
BUSY = 0.9

type Result = dict[str, Any]


def per_core(result: Result) -> float:
    """Calls that one core would carry: call-seconds per CPU second."""
    return float(result["calls"] * result["seconds"] / max(result["cpu_s"], 0.01))


def faults(result: Result) -> list[str]:
    """What went wrong with the frames of a run, in words; empty if nothing did."""
    found = [
        f"{name} {result['frames'][name]}"
        for name in ("missing", "disordered", "damaged", "crossed")
        if result["frames"].get(name)
    ]
    if result["broken"]:
        found.append(f"calls that failed {len(result['broken'])} (status {sorted(set(result['broken']))})")
    if result["left_open"]:
        found.append(f"sockets left open {result['left_open']}")
    return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rounds of relay and candidate.

    Attributes:
        name: of the variant.
        relay: one result a round.
        candidate: the same rounds.
        relay_idle_kib: resident memory before the first call.
        candidate_idle_kib: the same of the media host.
        warm_up: runs before the first round: not measured, but their frames count, too.
    """

    name: str
    relay: Sequence[Result]
    candidate: Sequence[Result]
    relay_idle_kib: int
    candidate_idle_kib: int
    warm_up: Sequence[Result] = ()

    @property
    def shares(self) -> list[float]:
        """The candidate's calls per core as a share of the relay's, round by round."""
        return [
            per_core(mine) / per_core(bare) for bare, mine in zip(self.relay, self.candidate, strict=True)
        ]

    def added(self, way: str) -> float:
        """The candidate's median p99 less the relay's (ms)."""
        return self._p99(self.candidate, way) - self._p99(self.relay, way)

    @staticmethod
    def _p99(results: Sequence[Result], way: str) -> float:
        return median(float(result[way]["p99"]) for result in results)

    def verdict(self) -> list[str]:
        """Why this is not good enough; empty if it is."""
        runs = [(0, result) for result in self.warm_up]
        runs += [*enumerate(self.relay, 1), *enumerate(self.candidate, 1)]
        found = [
            f"{self.name}, round {number}: {fault}" for number, result in runs for fault in faults(result)
        ]
        if self.name == "plain" and median(self.shares) < SHARE_WANTED:
            found.append(f"{self.name}: share {median(self.shares):.2f} of the relay, wanted {SHARE_WANTED}")
        return found

    def rows(self) -> list[list[str]]:
        """Two lines of the table."""
        shares = self.shares
        spread = f"{median(shares):.2f} ({min(shares):.2f}-{max(shares):.2f})"
        added = f"{self.added('up'):+.2f} / {self.added('down'):+.2f}"
        return [
            _row(f"{self.name}: relay", self.relay, self.relay_idle_kib, "1", "-"),
            _row(f"{self.name}: media host", self.candidate, self.candidate_idle_kib, spread, added),
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, for out/bench."""
        return {
            "variant": self.name,
            "share": {"median": median(self.shares), "rounds": self.shares},
            "callsPerCore": {
                "relay": [per_core(result) for result in self.relay],
                "mediaHost": [per_core(result) for result in self.candidate],
            },
            "addedP99Ms": {"up": self.added("up"), "down": self.added("down")},
            "runs": {"relay": list(self.relay), "mediaHost": list(self.candidate)},
        }


HEAD = [
    "",
    "calls",
    "calls/core",
    "share of relay",
    "p50 up/down ms",
    "p99 up/down ms",
    "added p99 ms",
    "late",
    "kB/call",
    "load",
]


def _row(name: str, results: Sequence[Result], idle_kib: int, share: str, added: str) -> list[str]:
    def ms(quantile: str) -> str:
        return " / ".join(f"{median(r[way][quantile] for r in results):.2f}" for way in ("up", "down"))

    late = sum(result[way]["late"] for result in results for way in ("up", "down"))
    memory = (max(result["rss_kib"] for result in results) - idle_kib) / results[0]["calls"]
    busy = max(result["generator_load"] for result in results)
    return [
        name,
        str(results[0]["calls"]),
        f"{median(map(per_core, results)):.0f}",
        share,
        ms("p50"),
        ms("p99"),
        added,
        str(late),
        f"{memory:.0f}",
        f"{busy:.0%}{' BUSY' if busy > BUSY else ''}",
    ]


def embedded_line(name: str, result: Result, idle_kib: int) -> str:
    """The embedded agent, in words: it has no counterpart to be compared with."""
    calls, seconds = result["calls"], result["seconds"]
    return (
        f"{name} ({calls} calls): {per_core(result):.0f} calls/core in the media host's own process, and "
        f"{result['children_cpu_s'] / seconds / calls:.1%} of a core per call in its speech children; "
        f"{result['frames']['heard'] / seconds / calls:.0f} frames/s heard of each agent, "
        f"{(result['rss_kib'] - idle_kib) / calls:.0f} kB/call"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, under their heads."""
    return aligned([HEAD, *rows])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns side by side."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
