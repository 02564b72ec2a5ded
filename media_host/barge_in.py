"""May the caller talk over what the agent is saying, and what of the agent's audio comes too late (realtime.md section 6).

Each turn says itself how it may be interrupted. What was flushed stays flushed: an agent whose audio is still on its way
when it is interrupted must not be heard a moment later.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from shared.config.agent import BargeIn as Mode

CONFIRMED_MS = 250
"""Speech of this length is meant: a cough or an "mhm" is shorter."""

KEPT_TURNS = 64
"""Turns that are remembered by name."""

SPEAKING_MS = 10_000
"""Nobody is taken to be speaking for longer than this when there has been no news of it."""


class BargeIn:
    """One call's.

    Args:
        clock: milliseconds that never go back.
        flush: silences the agent; it gets for how long (ms) the caller had been speaking by then.
    """

    def __init__(self, clock: Callable[[], float], flush: Callable[[float], None]) -> None:
        self._clock = clock
        self._flush = flush
        self._announced: dict[str, Mode] = {}  # turns of which no audio has come yet
        self._audible: dict[str, Mode] = {}  # turns that are not heard to their end
        self._stale: dict[str, None] = {}
        self._speaking_since: float | None = None
        self._unconfirmed: float | None = None  # since when, by the agent's report
        self._ear_hang_ms: float | None = None
        self._heard_since: float | None = None  # by the host's own ear
        self._timer: asyncio.TimerHandle | None = None

    @property
    def speaking(self) -> bool:
        """Whether the caller is speaking, as far as anybody has told."""
        since = self._speaking_since
        return since is not None and self._clock() - since < SPEAKING_MS

    def turn_started(self, turn: str, mode: Mode) -> None:
        """The agent begins `turn`."""
        self._stale.pop(turn, None)
        self._announced[turn] = mode
        _limit(self._announced)

    def turn_ended(self, turn: str) -> None:
        """The agent has given all of `turn`, and perhaps that was nothing."""
        self._announced.pop(turn, None)

    def audio_came(self, turn: str, *, drained: bool) -> None:
        """The first audio of `turn`; `drained`: nothing else is waiting to be heard."""
        if drained:
            self._audible.clear()  # an agent that broke off has never ended its turn
        self._audible[turn] = self._announced.pop(turn, self._audible.get(turn, "speech"))
        _limit(self._audible)

    def over(self, turns: Iterable[str], *, flushed: bool) -> None:
        """These turns are heard to their end, or were flushed: then nothing more of them is let through."""
        for turn in turns:
            self._audible.pop(turn, None)
            if flushed:
                self._stale[turn] = None
                _limit(self._stale)

    def is_stale(self, turn: str) -> bool:
        """Whether `turn` was flushed."""
        return turn in self._stale

    def speech_started(self, ago_ms: float) -> None:
        """The caller began to speak, `ago_ms` ago."""
        modes = self._audible.values()
        self._speaking_since = began = self._clock() - ago_ms
        if "never" in modes or self._unconfirmed is not None:
            return
        if "confirmed" in modes:
            self._unconfirmed = began
            self._confirm()
        else:
            self._flush(ago_ms)

    def speech_stopped(self) -> None:
        """The caller is silent again; speech that was not confirmed yet was not meant."""
        self._speaking_since = None
        self.close()

    def has_ear(self, hang_ms: float) -> None:
        """The host listens too, and its ear, which knows of silence after `hang_ms`, must agree.

        A model tells of the end of speech only after a pause of its own.
        """
        self._ear_hang_ms = hang_ms

    def ear_heard(self, ago_ms: float) -> None:
        """By the host's own ear, the caller began to speak `ago_ms` ago."""
        self._heard_since = self._clock() - ago_ms
        self._confirm()

    def ear_silent(self) -> None:
        """By the host's own ear, the caller is silent; the agent has not said so yet."""
        self._heard_since = None
        self._stop_timer()

    def close(self) -> None:
        """Nothing is flushed any more."""
        self._unconfirmed = None
        self._stop_timer()

    def _confirm(self) -> None:
        """Flush when both have heard speech for long enough."""
        if self._ear_hang_ms is None:
            since, needed_ms = self._unconfirmed, CONFIRMED_MS + 0.0
        else:
            since, needed_ms = self._heard_since, CONFIRMED_MS + self._ear_hang_ms
        if self._unconfirmed is None or since is None or self._timer is not None:
            return
        left_ms = needed_ms - (self._clock() - since)
        if left_ms > 0:
            self._timer = asyncio.get_running_loop().call_later(left_ms / 1000, self._confirmed)
        else:
            self._confirmed()

    def _confirmed(self) -> None:
        began, self._timer, self._unconfirmed = self._unconfirmed, None, None
        if began is not None and "never" not in self._audible.values():
            self._flush(self._clock() - began)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _limit(turns: dict[str, Any]) -> None:
    if len(turns) > KEPT_TURNS:
        del turns[next(iter(turns))]
