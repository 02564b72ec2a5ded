"""What was said in the earlier calls of a conversation (requirement 134): a new call's agent is told."""

import asyncio
import logging

from media_host.agents.base import Said
from shared.calls.record import CallRecord, fold
from shared.calls.repository import Calls
from shared.errors import PatchcordError

log = logging.getLogger(__name__)

LINES = 20
"""The newest lines of the earlier calls that an agent is told."""

WITHIN_S = 0.3
"""How long the agent's start waits for the store (s); what has not come by then is left out."""


async def earlier_lines(calls: Calls, record: CallRecord) -> list[Said]:
    """The last `LINES` lines of the record's earlier calls, oldest first; fewer, or none, while the store is away or slow."""
    lines: list[Said] = []
    try:
        async with asyncio.timeout(WITHIN_S):
            for call_id in reversed(record.previous_calls):
                earlier = fold(await calls.events(call_id))
                # The call that this one goes on with on another media host is no earlier one to the caller.
                lines = [*said_in(earlier, earlier=call_id != record.moved_from), *lines][-LINES:]
                if len(lines) == LINES:
                    break
    except (PatchcordError, TimeoutError) as error:
        reason = str(error) or "the store is slow"
        log.warning("call %s: not all that was said in earlier calls is known: %s", record.call_id, reason)
    return lines


def said_in(record: CallRecord, *, earlier: bool = False) -> list[Said]:
    """The record's transcript as an agent is told it; `earlier`: it is another call's."""
    lines = [(line["who"], str(line["text"])) for line in record.transcript]
    return [Said("agent" if who == "agent" else "caller", text, earlier) for who, text in lines if text]
