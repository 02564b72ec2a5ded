"""Events that are only reported: calls started and ended, participants, recording files.

They cover ACS users but not telephones (acs.md 5.2), so no state may hang on them; one line in the log is all.
"""

import logging

from shared.calls.events import row_key
from shared.wire.acs_events import GridEvent

logger = logging.getLogger(__name__)


def report(event: GridEvent) -> None:
    """One line: type, id and the call's correlation id; no subject (it holds telephone numbers)."""
    correlation = event.data.get("correlationId")
    logger.info(
        "event %s: id %s, call %s",
        row_key(event.type),
        row_key(event.id),
        row_key(correlation) if isinstance(correlation, str) else "-",
    )
