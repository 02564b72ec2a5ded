"""A call's trace: it begins with the call's record, and whoever works on the call afterwards finds it there."""

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.calls.events import CallEvent
from shared.telemetry import traces
from shared.telemetry.current import TraceContext, follow, parse_trace

if TYPE_CHECKING:
    from shared.calls.record import CallRecord
    from shared.calls.repository import Calls


async def begin_traced(
    calls: "Calls", tenant: str, call_id: str, received: CallEvent, trace: TraceContext | None = None
) -> CallEvent:
    """Record that a call has begun; from now on this task works on it. Returns the event that was recorded.

    Args:
        calls: the store.
        tenant: whose call.
        call_id: which.
        received: its first event.
        trace: of what has led to the call, from a token of ours; None begins a new one.

    Raises:
        StoreUnavailable: nothing is known to be recorded.
    """
    trace = trace or traces.fresh()
    if trace is not None:
        received = replace(received, data={**received.data, "trace": str(trace)})
    new = await calls.append(tenant, call_id, received)
    if not new and trace is not None:  # begun before, by a delivery that died: its trace goes on
        known = await calls.get(tenant, call_id)
        trace = parse_trace(known.trace) if known else None
    follow(call_id, trace)
    return received


def follow_call(record: "CallRecord") -> None:
    """From now on this task works on the call of `record`."""
    follow(record.call_id, parse_trace(record.trace))
