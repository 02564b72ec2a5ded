"""The trigger of our own Event Grid subscription. One bad event must not delay later ones (design.md, decision 6)."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.calls.answering import Answering
from shared.calls.lifecycle import report
from shared.calls.poison import put_aside
from shared.errors import InvalidInput, PatchcordError
from shared.store.entities import EntityStore
from shared.telemetry import metrics
from shared.wire.acs_events import INCOMING_CALL, grid_event_from_dict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GridTrigger:
    """Takes events as the Functions host hands them over, in either schema.

    Attributes:
        store: where events that cannot be handled are put aside.
        answering: takes the calls.
        now: Unix time (s).
    """

    store: EntityStore
    answering: Answering
    now: Callable[[], float]

    async def incoming(self, event: Mapping[str, object], request_id: str) -> None:
        """One event. Returns for every event that will not become better.

        Raises:
            PatchcordError: a retryable one only, so that Event Grid delivers again.
        """
        event_id, event_type = str(event.get("id")), str(event.get("eventType") or event.get("type"))
        reason, detail = "internal", ""
        try:
            parsed = grid_event_from_dict(event)
            if parsed.type == INCOMING_CALL:
                done = await self.answering.incoming(parsed, tenant=None, request_id=request_id)
                metrics.EVENTS.add(result=done)
            else:
                report(parsed)
            return
        except InvalidInput as error:
            reason, detail = "malformed", error.message
        except PatchcordError as error:
            if error.retryable:
                raise
            reason, detail = error.code, error.message
        except Exception as error:  # a mistake of ours: put aside by its name; later deliveries go on
            logger.exception("event %s failed", request_id)
            detail = type(error).__name__
        await put_aside(
            self.store,
            event_id=event_id,
            event_type=event_type,
            reason=reason,
            detail=detail,
            at=self.now(),
        )
