"""Events that could not be handled and will not become better: kept with the reason, then acknowledged.

Raising would make Event Grid repeat them, and after about ten failures hold back every later event (functions.md 3.1).
Only ids and the reason are kept, never the body: it may hold an `incomingCallContext`.
"""

import logging

from shared.calls.events import row_key
from shared.calls.repository import insert_once
from shared.store.entities import EntityStore, Value
from shared.telemetry import metrics

TABLE, PARTITION = "poison", "events"

logger = logging.getLogger(__name__)


async def put_aside(
    store: EntityStore, *, event_id: str, event_type: str, reason: str, detail: str, at: float
) -> None:
    """Record one event: `reason` is a short machine name, `detail` says which field; `at` is now (Unix seconds).

    Raises:
        StoreUnavailable: then the event should be delivered again.
    """
    logger.warning("event %s (%s) put aside: %s %s", row_key(event_id), event_type, reason, detail)
    values: dict[str, Value] = {
        "eventId": event_id[:512],
        "type": event_type[:256],
        "reason": reason,
        "detail": detail[:1024],
        "at": float(at),
    }
    metrics.POISONED.add(reason=reason)
    await insert_once(store, TABLE, PARTITION, row_key(f"{reason}-{event_id}"), values)
