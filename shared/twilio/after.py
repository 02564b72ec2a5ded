"""What Twilio does with a caller whose agent is done, and what a Studio flow reads."""

from typing import Literal

from shared.config.agents import AgentConfig
from shared.config.twilio import NextStep, TwilioConfig
from shared.transfers.record import CallTransfer, Status
from shared.twilio.ends import MEDIA_LOST
from shared.wire.twiml import apology, next_step

UNSPOKEN = frozenset(
    {
        MEDIA_LOST,
        "call_lost",
        "conversation_busy",
        "media_hosts_full",
        "no_media_host",
        "tenant_limit",
    }
)
"""Errors of which the caller has heard nothing yet; of all others the media host has told."""

HANG_UP = NextStep(hangup=True)


def twiml_after(
    entry: TwilioConfig, found: CallTransfer | None, agent: AgentConfig | None, target: str
) -> str:
    """The TwiML for a call whose stream is over.

    Args:
        entry: the tenant's.
        found: its settled transfer; None when there is none.
        agent: who had the call.
        target: the name under the agent's `transfers` that it chose, or "".
    """
    output = found.output if found is not None else None
    if output is None:
        return apology(entry.step("failed", agent))
    if output.transfer_type == "CALLER_DISCONNECT":
        return next_step(HANG_UP)
    error = output.reference_variables.get("error", "")
    kind: Literal["agent", "system", "failed"] = "agent" if output.transfer_type == "AGENT" else "system"
    if error:
        kind = "failed"
    step = entry.step(kind, agent, target)
    if step is None or error in UNSPOKEN:
        return apology(step)
    return next_step(step)


def state_json(found: CallTransfer | None, now: float) -> dict[str, object]:
    """What `transfer-state` answers at `now` (Unix seconds): null for what there is not (requirement 155)."""
    status = None if found is None else found.status(now)
    output = found.output if found is not None and status is Status.COMPLETED else None
    has_variables = output is not None and output.transfer_type != "CALLER_DISCONNECT"
    return {
        "callTransferStatus": None if status is None else status.value,
        "transferType": None if output is None else output.transfer_type,
        "currentTaskName": (None if output is None else output.current_task_name) or None,
        "referenceVariables": output.reference_variables if output and has_variables else None,
        "transferVariables": output.transfer_variables if output and has_variables else None,
    }
