"""Announcements as CloudEvents 1.0: who, what, how it ended; never what was said, a variable or a secret."""

from collections.abc import Mapping
from typing import Any

from shared.calls.events import rfc3339
from shared.calls.record import CallRecord
from shared.publishing.outbox import Announcement, Kind
from shared.transfers.record import CallTransfer

TYPES = "io.patchcord."
"""Every type begins with it."""

type Json = Mapping[str, Any]


def cloud_event(
    told: Announcement, record: CallRecord, transfer: CallTransfer | None, environment: str
) -> dict[str, Any]:
    """The CloudEvent of an announcement; told again, it has the same id.

    Args:
        told: which.
        record: its call.
        transfer: the call's transfer, for `call-transfer.completed` only.
        environment: name of the deployment.
    """
    at: float | None = None
    if transfer is not None:
        at, data = transfer.completed_at, _common(record) | _transfer(transfer)
    elif told.kind is Kind.RECORDING_READY:
        data = _common(record) | {"recording": dict(record.recording or {})}
    else:
        at = record.ended_at if told.kind is Kind.CALL_ENDED else record.answered_at or record.connected_at
        data = _call(record)
    return {
        "specversion": "1.0",
        "id": f"{told.call_id}.{told.kind}",
        "source": f"/patchcord/{environment}",
        "type": TYPES + told.kind,
        "subject": told.call_id,
        "time": rfc3339(at or told.at),
        "datacontenttype": "application/json",
        "data": data,
    }


def _common(record: CallRecord) -> dict[str, Any]:
    return {
        "callId": record.call_id,
        "tenant": record.tenant,
        "callTransferId": record.transfer_id or None,
        "externalConversationId": record.conversation_id or None,
    }


def _call(record: CallRecord) -> dict[str, Any]:
    outcome = record.outcome or {}
    return {
        **record.to_summary(),
        **_common(record),
        "transferType": outcome.get("transferType"),
        "durationMs": record.media.duration_ms,
    }


def _transfer(transfer: CallTransfer) -> dict[str, Any]:
    output = transfer.output
    return {
        "type": transfer.kind.value,
        "transferType": output.transfer_type if output else None,
        "currentTaskName": output.current_task_name if output else "",
    }
