"""The report, for people and as JSON. Nothing that is known to be secret, or looks like it, gets into it."""

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from cli.doctor.finding import Finding, State
from shared.telemetry import redact

WIDTH = 116
SHORTEST_SECRET = 8
"""Shorter values are not searched for: every second word would be one."""

type Findings = Mapping[str, Sequence[Finding]]
"""By link, in the order of the chain."""


class Scrubber:
    """Takes secrets out of texts.

    Args:
        secrets: values that must not be shown.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without them."""
        for secret in self._known:
            text = text.replace(secret, "[secret]")
        return redact(text)


def is_well(findings: Findings) -> bool:
    """Whether nothing is broken."""
    return all(one.state is not State.BROKEN for some in findings.values() for one in some)


def as_json(subject: str, findings: Findings, scrub: Scrubber, now: float) -> str:
    """The report for programs: `{"subject", "at", "well", "findings": [{"link", "check", "state", "found", "mend"}]}`."""
    return json.dumps(
        {
            "subject": scrub(subject),
            "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "well": is_well(findings),
            "findings": [
                {
                    "link": link,
                    "check": scrub(one.check),
                    "state": one.state.value,
                    "found": scrub(one.found),
                    "mend": scrub(one.mend),
                }
                for link, some in findings.items()
                for one in some
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def as_text(subject: str, findings: Findings, scrub: Scrubber) -> str:
    """The report for people."""
    lines = [f"patchcord doctor: {scrub(subject)}"]
    for link, some in findings.items():
        lines += ["", link]
        for one in some:
            lines += _shown(one, scrub)
    count = {state: sum(one.state is state for some in findings.values() for one in some) for state in State}
    lines += ["", ", ".join(f"{number} {state.value}" for state, number in count.items()) + "."]
    return "\n".join(lines)


def _shown(one: Finding, scrub: Scrubber) -> list[str]:
    head = f"  {one.state.value:<12}{scrub(one.check)}: "
    lines = textwrap.wrap(
        scrub(one.found), WIDTH, initial_indent=head, subsequent_indent=" " * 14, break_long_words=False
    )
    # Not wrapped: a command is there to be pasted.
    mend = [f"{' ' * 14}{'mend' if one.state is State.BROKEN else 'to check it'}: {scrub(one.mend)}"]
    return (lines or [head.rstrip(": ")]) + (mend if one.mend else [])
