"""Patience for slow machines: every time-out of a test goes through here."""

import os


def patience(seconds: float) -> float:
    """`seconds`, times PATCHCORD_TEST_TIMEOUT_FACTOR (default 1)."""
    return seconds * float(os.environ.get("PATCHCORD_TEST_TIMEOUT_FACTOR", "1"))
