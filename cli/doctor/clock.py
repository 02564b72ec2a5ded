"""Link "clock": tokens live 30 s, and every signature has a time; so clocks must agree."""

from collections.abc import AsyncIterator

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown

MOST_S = 10.0
"""A media token lives for 30 s, and a minter may be 30 s ahead (shared/security/tokens.py)."""


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Ours against the `Date` of everybody who has answered."""
    if not exam.clocks:
        yield unknown("skew", "nobody has answered with a date")
        return
    off = {who: ahead for who, ahead in exam.clocks.items() if abs(ahead) > MOST_S}
    if len(off) == len(exam.clocks) and len(off) > 1:
        ahead = sorted(off.values())[len(off) // 2]
        yield broken(
            "skew",
            f"this machine's clock is off by {-ahead:+.0f} s",
            "timedatectl set-ntp true (Windows: w32tm /resync)",
        )
        return
    for who, ahead in off.items():
        text = f"{who} is {ahead:+.0f} s ahead of this machine: tokens are refused as expired or not yet good"
        yield broken("skew", text, "timedatectl set-ntp true, there (Windows: w32tm /resync)")
    if not off:
        worst = max(map(abs, exam.clocks.values()))
        yield ok("skew", f"{len(exam.clocks)} others agree with ours within {max(worst, 1):.0f} s")
