"""What is told of a whole call: told once, by whoever brings its snapshot to the state of which it is told.

The snapshot is replaced only if nobody else has changed it (`Calls.refresh`), so of all processes that see the end of a call
exactly one counts it and closes its trace, also when events come twice or a process dies between two writes.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from shared.telemetry import metrics, traces
from shared.telemetry.current import parse_trace
from shared.telemetry.traces import CALL_ID, Happening, Value

if TYPE_CHECKING:
    from shared.calls.record import CallRecord

logger = logging.getLogger(__name__)

HAPPENINGS = 100
"""Moments of a call that its first span names."""

_SAID = frozenset({"caller_said", "agent_said", "keys", "tool", "ivr_step", "callback"})
_REFUSED = {"rejected": "busy", "redirected": "redirected"}
_NOT_OURS = frozenset({"caller_gone", "too_old", "abandoned"})
_BROKEN = frozenset({"media_lost", "connection_failed", "disconnect_not_reported", "hang_up_failed"})


def on() -> bool:
    """Whether anybody wants to know."""
    return metrics.on() or traces.on()


def changed(before: "CallRecord | None", after: "CallRecord") -> None:
    """The snapshot of a call was `before` and is `after`; never raises."""
    try:
        _tell(before, after)
    except Exception:  # a call is worth more than what is told of it
        logger.exception("call %s: not told", after.call_id)


def _tell(before: "CallRecord | None", after: "CallRecord") -> None:
    whose = {"tenant": after.tenant, "line": after.line, "direction": after.direction}
    if after.answered_at is not None and (before is None or before.answered_at is None):
        metrics.ANSWERED.add(1, whose)
        if (ms := _ms(after, "eventToAnswerMs")) is not None:
            metrics.TIME_TO_ANSWER.add(ms / 1000, whose)
    if after.media.lost and not (before is not None and before.media.lost):
        metrics.MEDIA_LOST.add(1, whose)
    if after.released and not (before is not None and before.released):
        failure = failure_of(after)
        _count_end(after, failure, whose)
        _close_trace(after, failure)


def failure_of(record: "CallRecord") -> str:
    """Why a call that is over has not gone as it should; "" if it has. A caller's own end, and nobody at home, are none."""
    ended = record.ended
    if record.state.value in _REFUSED or ended is None:
        return ""
    if record.state.value == "failed":
        if record.direction == "outbound":
            return ended.reason if ended.reason == "refused" else ""
        return "" if ended.reason in _NOT_OURS else ended.reason
    told = record.outcome.get("referenceVariables") if record.outcome else None
    fault = told.get("error") if isinstance(told, dict) else None
    if isinstance(fault, str) and fault:
        return fault
    return ended.reason if ended.reason in _BROKEN else ""


def _count_end(record: "CallRecord", failure: str, whose: dict[str, str]) -> None:
    reason = record.ended.reason if record.ended else ""
    if how := _REFUSED.get(record.state.value):
        metrics.REFUSED.add(1, whose, reason=reason, how=how)
    elif failure:
        metrics.FAILED.add(1, whose, reason=failure)
    elif record.state.value == "failed" and record.direction == "outbound":
        metrics.NOT_REACHED.add(1, whose, reason=reason)
    if (ms := _ms(record, "answerToFirstAudioMs")) is not None:
        metrics.TIME_TO_FIRST_AUDIO.add(ms / 1000, whose)
    begun = record.answered_at or record.connected_at
    if begun is not None and record.ended_at is not None:
        metrics.DURATION.add(max(0.0, record.ended_at - begun), whose)


def _close_trace(record: "CallRecord", failure: str) -> None:
    context = parse_trace(record.trace)
    if context is None or record.received_at is None:
        return
    ended = record.ended
    attributes: dict[str, Value] = {
        CALL_ID: record.call_id,
        "patchcord.tenant": record.tenant,
        "patchcord.environment": record.environment,
        "patchcord.line": record.line,
        "patchcord.direction": record.direction,
        "patchcord.state": record.state.value,
        "patchcord.route": record.route,
        "patchcord.agent": record.agent,
        "patchcord.task": record.task,
        "patchcord.ivr": record.ivr,
        "patchcord.request.id": record.request_id,
        "patchcord.correlation.id": record.correlation_id,
        "patchcord.moved_from": record.moved_from,
        "patchcord.end.reason": ended.reason if ended else "",
        "patchcord.end.by": ended.by if ended else "",
        "patchcord.outcome": str(record.outcome.get("transferType", "")) if record.outcome else "",
        "patchcord.barge_ins": record.barge_ins,
    }
    moments = [*_happenings(record.timeline)]
    traces.whole(
        context,
        "call",
        _begun(record, record.received_at),
        max([record.ended_at or record.received_at, *(moment.at for moment in moments[-1:])]),
        attributes={name: value for name, value in attributes.items() if value != ""},
        happenings=moments[:HAPPENINGS],
        failed=failure,
    )


def _begun(record: "CallRecord", received_at: float) -> float:
    """By the event's own time, if it is known."""
    ms = _ms(record, "eventToAnswerMs")
    through = [
        at for at in (record.answered_at, record.connected_at, record.media.started_at) if at is not None
    ]
    return received_at if ms is None or not through else min(received_at, min(through) - ms / 1000)


def _happenings(timeline: "Iterable[object]") -> Iterable[Happening]:
    for entry in timeline:
        if isinstance(entry, dict) and entry["kind"] not in _SAID:
            reason = entry.get("reason")
            about = {"patchcord.reason": reason} if isinstance(reason, str) else {}
            yield Happening(str(entry["kind"]), datetime.fromisoformat(entry["at"]).timestamp(), about)


def _ms(record: "CallRecord", name: str) -> float | None:
    value = record.latencies.get(name)
    return value if isinstance(value, int | float) else None
