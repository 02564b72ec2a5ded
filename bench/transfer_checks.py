"""What a load on call transfers must not find: two owners of a number, an answer in another shape."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

type Json = Mapping[str, Any]

ROUNDING_S = 0.001
"""Times in answers are cut to whole milliseconds."""

ERRORS = {"409": "409-01", "429": "429-", "503": "503-06", "404": "404-01"}
"""How the code of an expected error begins, by its status."""


@dataclass(slots=True)
class Assignment:
    """A number in the hands of a transfer.

    Attributes:
        number: which.
        transfer: its id.
        begun: `createdAt` (Unix seconds).
        ended: when the transfer was about to be claimed, or `expiresAt`; nobody else may have it before.
    """

    number: str
    transfer: str
    begun: float
    ended: float


def assignment_of(made: Json) -> Assignment:
    """From the answer to a create."""
    number = made["phoneNumber"]
    return Assignment(
        number["transferNumber"], made["id"], seconds(made["createdAt"]), seconds(number["expiresAt"])
    )


def seconds(text: str) -> float:
    """RFC 3339 as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def double_assignments(found: Iterable[Assignment]) -> list[str]:
    """Numbers that had two owners at a time, in words."""
    by_number: dict[str, list[Assignment]] = defaultdict(list)
    for one in found:
        by_number[one.number].append(one)
    wrong = []
    for number, owners in by_number.items():
        owners.sort(key=lambda one: one.begun)
        for former, later in pairwise(owners):
            if later.begun + ROUNDING_S < former.ended:
                early = former.ended - later.begun
                wrong.append(
                    f"{number}: {later.transfer} got it {early:.3f} s before {former.transfer} gave it up"
                )
    return wrong


def badly_formed(status: int, headers: Mapping[str, str], body: object) -> str:
    """Why an answer that is no 200 is not as the API promises; "" when it is."""
    code = ERRORS.get(str(status))
    if code is None:
        return f"status {status}"
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping) or set(error) != {"requestId", "code", "message"}:
        return f"{status} without the error envelope"
    if not str(error["code"]).startswith(code):
        return f"{status} with code {error['code']}"
    if status in (429, 503) and not re.fullmatch(r"[1-9][0-9]*", headers.get("Retry-After", "")):
        return f"{status} without Retry-After"
    return ""


def quantiles(latencies: Sequence[float]) -> dict[str, float]:
    """Count, p50, p99 and the highest of latencies (s), in ms."""
    if not latencies:
        return {"count": 0}
    ordered = sorted(latencies)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)}


def lines(result: Json) -> list[str]:
    """What people read."""
    rows = []
    for name in ("creates", "reads"):
        part = result[name]
        statuses = "   ".join(f"{status}: {count}" for status, count in sorted(part["statuses"].items()))
        for kind, found in part["latency"].items():
            rows.append(
                f"  {name:<8} {kind:<5} {found['count']:>6}   p50 {found['p50']:>6.1f} ms   p99 {found['p99']:>7.1f} ms   "
                f"max {found['max']:>7.1f} ms"
            )
        rows.append(f"  {name:<8} {statuses}")
    numbers: Counter[str] = Counter(result["numbers"])
    rows.append(
        f"  {result['assigned']} assignments of {result['pool']} numbers, {result['claimed']} of them claimed; the pool at the "
        f"end: {', '.join(f'{count} {state}' for state, count in numbers.items())}"
    )
    return rows
