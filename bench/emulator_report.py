"""What the emulator's benchmark found: the verdict, and the lines that people read."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

type Json = dict[str, Any]

P99_MS = 10.0
LAST_WORDS = 3
"""Frames that the app may have on its way when a caller hangs up."""
WARM_UP_SHARE = 1 / 3
"""This part of a soak is left out: caches fill, and the calls that the emulator keeps for a look back become many."""
ALLOWED: dict[str, tuple[float, float]] = {
    "rss_kib": (0.02, 3072.0),
    "tasks": (0.02, 4.0),
    "fds": (0.02, 2.0),
}
"""What a fitted line may rise from the end of the warm-up to the end of the soak: a share of the mean, and at least so much."""


def rise(times: Sequence[float], values: Sequence[float]) -> float:
    """By how much the fitted line (least squares) rises from the first to the last time."""
    middle, mean = fmean(times), fmean(values)
    spread = sum((at - middle) ** 2 for at in times)
    if not spread:
        return 0.0
    slope = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / spread
    return slope * (times[-1] - times[0])


def _means(values: Sequence[float], together: int) -> list[float]:
    """Of so many values each; a rest at the beginning is left out."""
    return [fmean(values[at : at + together]) for at in range(len(values) % together, len(values), together)]


def growth(samples: Sequence[Json], together: int = 1) -> dict[str, Json]:
    """For memory, tasks and descriptors: mean, rise, what is allowed, and whether it `grows`; empty with too few samples.

    Args:
        samples: of the whole soak.
        together: so many samples cover two calls: what comes and goes with a call must not look like a slope.
    """
    if not samples:
        return {}
    settled = [entry for entry in samples if entry["at_s"] >= samples[-1]["at_s"] * WARM_UP_SHARE]
    times = _means([float(entry["at_s"]) for entry in settled], together)
    if len(times) < 4:
        return {}
    found = {}
    for name, (share, least) in ALLOWED.items():
        values = _means([float(entry[name]) for entry in settled], together)
        up, allowed = rise(times, values), max(fmean(values) * share, least)
        found[name] = {
            "mean": round(fmean(values), 1),
            "rise": round(up, 1),
            "allowed": round(allowed, 1),
            "calls": settled[-1]["ended"] - settled[0]["ended"],
            "grows": up > allowed,
        }
    return found


def faults(host: Json, app: Json, *, soak: bool) -> list[str]:
    """Why this is not good enough; empty if it is."""
    counts, totals = app["counts"], host["totals"]
    found = []
    if host["up"] < host["calls"]:
        found.append(f"only {host['up']} of {host['calls']} calls had media both ways")
    if host["done"]["p99"] > P99_MS:
        found.append(f"ticks are {host['done']['p99']} ms late at p99, wanted {P99_MS:g} ms")
    if host["skipped"]:
        found.append(f"{host['skipped']} ticks were skipped")
    found += [
        f"frames {name}: {counts[name]}"
        for name in ("lost", "doubled", "strange", "holes")
        if counts.get(name)
    ]
    missing = totals["framesSent"] - totals["framesDropped"] - counts.get("frames", 0)
    if missing or totals["framesDropped"]:
        found.append(
            f"frames sent but not arrived: {missing}; dropped for a slow app: {totals['framesDropped']}"
        )
    unheard = counts.get("sent", 0) - totals["audioReceived"]
    if not 0 <= unheard <= LAST_WORDS * host["ended"]:
        found.append(f"the app sent {counts.get('sent', 0)} frames, and {totals['audioReceived']} arrived")
    found += [f"{number} calls: {what}" for what, number in host["failed"].items()]
    if soak:
        found += [
            f"{name} grows by {entry['rise']:g} (allowed {entry['allowed']:g})"
            for name, entry in growth(host["samples"], host["together"]).items()
            if entry["grows"]
        ]
    return found


def lines(host: Json, app: Json, *, soak: bool) -> list[str]:
    """The table."""
    counts, totals = app["counts"], host["totals"]

    def quantiles(found: Json) -> str:
        return (
            f"p50 {found['p50']:5.1f}   p99 {found['p99']:5.1f}   max {found['max']:6.1f} ms   "
            f"over 10 ms {found['late']:.3%}   of {found['count']:,}"
        )

    wrong = "   ".join(f"{name} {counts.get(name, 0)}" for name in ("lost", "doubled", "strange", "holes"))
    table = [
        ("calls", f"{host['calls']} at once, {host['ended']} in all, measured {host['seconds']:g} s"),
        ("tick begins", quantiles(host["begun"])),
        ("frame sent", quantiles(host["done"])),
        ("frame at the app", quantiles(app["arrivals"])),
        (
            "core",
            f"{host['cpu_share']:.1%} of one in the emulator, {app['cpu_share']:.1%} in the app; "
            f"load average of the machine at the end {host['machine_load']:.2f}",
        ),
        ("to the app", f"sent {totals['framesSent']:,}   arrived {counts.get('frames', 0):,}   {wrong}"),
        (
            "from the app",
            f"sent {counts.get('sent', 0):,}   arrived {totals['audioReceived']:,}   underruns {totals['underruns']}",
        ),
    ]
    if soak:
        for name, entry in growth(host["samples"], host["together"]).items():
            table.append(
                (
                    {"rss_kib": "memory (KiB)", "tasks": "asyncio tasks", "fds": "descriptors"}[name],
                    f"mean {entry['mean']:,.0f}   rise {entry['rise']:+,.1f} over {entry['calls']} calls   "
                    f"allowed {entry['allowed']:,.0f}   {'GROWS' if entry['grows'] else 'steady'}",
                )
            )
    return [f"  {name:<18} {text}" for name, text in table]
