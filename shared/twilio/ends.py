"""How the record of a Twilio call is closed when its media host did not do it, and when that is due.

ACS tells us what became of a call, Twilio only that a stream is over; so the last events of a Twilio call come from its media
host. Where that has died, whoever notices first writes them: a webhook (`settle`) or the sweep. Their ids are fixed and the
reason is decided once, so it does not matter how many notice.
"""

import logging
from typing import Literal

from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.record import CallRecord
from shared.calls.repository import Calls

logger = logging.getLogger(__name__)

MEDIA_LOST = "media_lost"
"""The error in the outcome of a call whose audio broke: it goes on at Twilio, and a person should have it."""

NEVER_CAME_S, CLOSED_S = 60.0, 10.0
"""How long a media host may take to say that it has the audio (its store may be away), and to close a record after it (s)."""

DISCONNECTED_ID, MEDIA_LOST_ID, OUTCOME_ID = "twilio-disconnected", "twilio-media-lost", "outcome"

type Why = Literal[
    "caller", "stream_over", "media_closed", "media_host_dead", "media_never_came", "max_duration"
]
"""The caller has hung up; everything else means that the audio was lost."""


async def close_record(calls: Calls, record: CallRecord, why: Why, now: float) -> None:
    """Write what is missing at the end of a record. Repeating it, at the same time too, is harmless.

    Raises:
        StoreUnavailable: then it is to be done again.
    """
    tenant, call_id = record.tenant, record.call_id
    if record.outcome is not None:
        await calls.note(
            tenant, call_id, DISCONNECTED_ID, EventKind.DISCONNECTED, reason="disconnect_not_reported"
        )
        return
    if why == "media_closed" and await _stopped(calls, call_id):
        why = "caller"
    decided = await calls.decided(call_id, "twilio-end", why)
    logger.warning("call %s: closed for its media host: %s", call_id, decided)
    if decided == "caller":
        await calls.note(tenant, call_id, DISCONNECTED_ID, EventKind.DISCONNECTED)
        return
    host = record.media.host_id
    await calls.note(tenant, call_id, MEDIA_LOST_ID, EventKind.MEDIA_LOST, hostId=host, reason=decided)
    outcome: dict[str, Json] = {
        "transferType": "AGENT",
        "reason": MEDIA_LOST,
        "task": record.task,
        "referenceVariables": {"error": MEDIA_LOST},
        "transferVariables": {},
    }
    await calls.append(tenant, call_id, CallEvent(OUTCOME_ID, EventKind.OUTCOME, now, outcome))
    await calls.note(tenant, call_id, DISCONNECTED_ID, EventKind.DISCONNECTED, reason=MEDIA_LOST)


async def _stopped(calls: Calls, call_id: str) -> bool:
    """Whether the media host, which then died, had heard Twilio say that the call was over (the message `stop`)."""
    return any(
        event.kind is EventKind.MEDIA_CLOSED and event.data.get("reason") == "caller_hung_up"
        for event in await calls.events(call_id)
    )


def overdue(record: CallRecord, now: float, *, carried: bool, too_long: bool) -> Why | None:
    """Why the sweep should close the record of a live call; None as long as all is well.

    Args:
        record: as it is now.
        now: Unix seconds.
        carried: a living media host has it.
        too_long: no call may be this long.
    """
    media = record.media
    if carried:
        return "max_duration" if too_long else None
    if not media.connections:
        late = now - (record.received_at or 0.0) > NEVER_CAME_S
        return "media_never_came" if late else None
    if media.closed:
        return "media_closed" if now - (media.ended_at or 0.0) > CLOSED_S else None
    return "media_host_dead"
