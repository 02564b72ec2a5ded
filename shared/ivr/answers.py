"""ACS's callbacks as a flow understands them. Pressed keys are in here and in the flow's variables, and nowhere else."""

from collections.abc import Mapping

from shared.calls.control_parts import TONES
from shared.ivr.state import Answer, Connected, Gone, Happened, Result
from shared.wire.acs_events import Callback

_KEYS = {word: key for key, word in TONES.items()}

NO_INPUT = frozenset({8509, 8510})
"""Sub-codes: the caller was silent (acs.md 4.3)."""

NO_MATCH = frozenset({8532, 8534, 8547, 8563, 8570})
"""Sub-codes: digits broke off, a wrong key, other words, nothing understood, nothing understood in time."""

_RESULTS: Mapping[str, Result] = {
    "PlayCompleted": Result.PLAYED,
    "PlayFailed": Result.FAILED,
    "PlayCanceled": Result.FAILED,
    "RecognizeCanceled": Result.FAILED,
    "CallTransferAccepted": Result.ACCEPTED,
    "CallTransferFailed": Result.FAILED,
    "AddParticipantSucceeded": Result.ACCEPTED,
    "AddParticipantFailed": Result.FAILED,
}


def answer_of(callback: Callback) -> Happened | None:
    """What a callback means for a flow; None for one that no flow waits for."""
    context = callback.operation_context
    match callback.type:
        case "CallConnected":
            return Connected()
        case "CallDisconnected" | "AnswerFailed":
            return Gone()
        case "RecognizeCompleted":
            return _recognised(callback)
        case "RecognizeFailed" if callback.sub_code in NO_INPUT:
            return Answer(context, Result.NO_INPUT)
        case "RecognizeFailed" if callback.sub_code in NO_MATCH:
            return Answer(context, Result.NO_MATCH)
        case "RecognizeFailed":
            return Answer(context, Result.FAILED)
        case kind if kind in _RESULTS:
            return Answer(context, _RESULTS[kind])
        case _:
            return None


def _recognised(callback: Callback) -> Answer:
    """Keys or a choice; what cannot be read fits nothing."""
    context = callback.operation_context
    pressed, chosen = callback.data.get("dtmfResult"), callback.data.get("choiceResult")
    tones = pressed.get("tones") if isinstance(pressed, dict) else None
    label = chosen.get("label") if isinstance(chosen, dict) else None
    if isinstance(tones, list) and all(isinstance(tone, str) and tone in _KEYS for tone in tones):
        return Answer(context, Result.KEYS, "".join(_KEYS[tone] for tone in tones))
    if isinstance(label, str):
        return Answer(context, Result.CHOSEN, label)
    return Answer(context, Result.NO_MATCH)
