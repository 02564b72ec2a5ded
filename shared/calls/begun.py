"""What is known when a call begins: its custom context, and what its call transfer says."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from shared.calls.state import CallRecord
from shared.transfers.record import CallTransfer
from shared.wire.acs_events import IncomingCall
from shared.wire.custom_context import (
    CONVERSATION,
    MOVE,
    RESERVED,
    RETURN_STEP,
    RETURN_STEP_LENGTH,
    RETURN_TO,
    TRANSFER_ID,
)

logger = logging.getLogger(__name__)

VARIABLES, VARIABLE_NAME, VARIABLE_TEXT = 20, 64, 1024
"""At most so many input variables, of so many characters each (requirement 52)."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What the agent is to know when the call begins, from wherever it comes.

    Attributes:
        task: the job of the call's transfer, or "".
        variables: input variables, without the headers that have a meaning of their own.
        transfer_id: of the call transfer, or "".
        conversation_id: of the conversation, or "".
        previous_calls: the conversation's earlier calls.
        return_to: the raw id to give the caller back to, as it was sent; nobody has checked it.
        return_step: what comes back with the caller.
        moved_from: our id of the call that this one goes on with on another media host, or "".
        moves: how often that has happened in this conversation.
    """

    task: str
    variables: Mapping[str, str]
    transfer_id: str = ""
    conversation_id: str = ""
    previous_calls: tuple[str, ...] = ()
    return_to: str = ""
    return_step: str = ""
    moved_from: str = ""
    moves: int = 0


def begun_by(call: IncomingCall, transfer: CallTransfer | None) -> Begun:
    """A transfer's variables win over those that the call itself brings."""
    headers = dict(call.voip_headers)
    conversation_id = _printable(headers.pop(CONVERSATION, ""))
    headers.pop(TRANSFER_ID, None)
    headers.pop(MOVE, None)
    return_to, return_step = headers.pop(RETURN_TO, ""), headers.pop(RETURN_STEP, "")
    if len(return_step) > RETURN_STEP_LENGTH or not return_step.isprintable():
        logger.warning("a returnStep is too long, or not printable")
        return_step = ""
    variables = input_variables(headers)
    if transfer is not None:
        given = transfer.input_variables
        variables |= {name: value for name, value in given.items() if name not in RESERVED}
        conversation_id = transfer.conversation_id
    return Begun(
        "" if transfer is None else transfer.task_name,
        variables,
        "" if transfer is None else transfer.id,
        conversation_id,
        return_to=return_to,
        return_step=return_step,
    )


def begun_again(before: CallRecord) -> Begun:
    """A caller who has been moved to another media host: all that the call before knew, whatever its context says."""
    return Begun(
        before.task,
        dict(before.input_variables),
        conversation_id=before.conversation_id,
        previous_calls=(*before.previous_calls, before.call_id),
        return_to=before.return_to,
        return_step=before.return_step,
        moved_from=before.call_id,
        moves=before.moves + 1,
    )


def input_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """Custom context as input variables: without control characters, and cut to the limits above (the call goes on)."""
    clean = {_printable(name): _printable(value) for name, value in headers.items()}
    kept = {name: value[:VARIABLE_TEXT] for name, value in clean.items() if 0 < len(name) <= VARIABLE_NAME}
    if (
        len(kept) > VARIABLES
        or len(kept) < len(headers)
        or any(len(v) > VARIABLE_TEXT for v in clean.values())
    ):
        logger.warning("input variables cut: %d given, limits are %d pairs of %d+%d characters",
                       len(headers), VARIABLES, VARIABLE_NAME, VARIABLE_TEXT)  # fmt: skip
    return dict(list(kept.items())[:VARIABLES])


def _printable(text: str) -> str:
    return "".join(c for c in text if c >= " " and c != "\x7f")
