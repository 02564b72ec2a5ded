"""Faults on demand: what the emulated services do wrong when a test asks for it. The default is to do nothing wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Faults:
    """Knobs of one call, or of the whole emulator (which is what a call takes when it is given none).

    Attributes:
        duplicate_events: further copies of each IncomingCall event, delivered at the same time.
        duplicate_callbacks: further copies of each callback, with the same CloudEvent id.
        callback_order: `shuffled` (the service promises no order: the first callbacks come in any, and may beat the REST
            response), `natural`, or a list of callback types: each is held until those before it in the list were sent.
        callback_retries: further attempts when the app answers 5xx or does not answer (the service's number is unknown).
        drop_callbacks: types that are never sent.
        media_refused: so many dials of the media WebSocket fail at the start.
        rest_status: for an operation (`answer`, `hangUp`, `transferToParticipant`, …) the statuses of its first requests,
            which then have no effect.
        rest_delay_s: for an operation how long its first response is held back (s) after it has taken effect.
        failing_targets: addresses (`+1…`, `8:acs:…`) at which a transfer or an invitation fails.
        clock_skew_s: the signing clock is ahead by this much (s).
    """

    duplicate_events: int = 0
    duplicate_callbacks: int = 0
    callback_order: str | Sequence[str] = "shuffled"
    callback_retries: int = 3
    drop_callbacks: frozenset[str] = frozenset()
    media_refused: int = 0
    rest_status: Mapping[str, Sequence[int]] = field(default_factory=dict)
    rest_delay_s: Mapping[str, float] = field(default_factory=dict)
    failing_targets: frozenset[str] = frozenset()
    clock_skew_s: float = 0.0
