"""What one look at one link has shown."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a link is."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        state: how it is.
        found: what was seen; why it was not checked.
        mend: the command, or the change, that mends it; "" where there is nothing to mend.
    """

    check: str
    state: State
    found: str
    mend: str = ""


def ok(check: str, found: str = "") -> Finding:
    """It works."""
    return Finding(check, State.OK, found)


def broken(check: str, found: str, mend: str) -> Finding:
    """It does not work, and this mends it."""
    return Finding(check, State.BROKEN, found, mend)


def unknown(check: str, why: str, mend: str = "") -> Finding:
    """It was not checked; `mend` says what would make it possible."""
    return Finding(check, State.UNKNOWN, why, mend)
