"""Callers whom another system has lent us by a call transfer."""

from shared.calls.record import CallRecord


def is_lent(record: CallRecord) -> bool:
    """Whether the call belongs to another system: we never transfer it, only hang up our own part (requirement 125).

    Whom the caller is to have next is said by the outcome, which can be read before we hang up (requirement 126). A call
    that came with an identity to give the caller back to (`returnTo`) is transferred there instead.
    """
    return bool(record.transfer_id) and not record.return_to
