"""The caller's side of the conversation: when the caller speaks, and what was said."""

import asyncio
from collections.abc import Callable, Sequence

from media_host.agents.base import AgentEvent, SpeechStarted, SpeechStopped, Transcript
from media_host.agents.realtime import server_events as model
from media_host.agents.realtime.caller_words import CallerWords
from media_host.agents.realtime.timers import Timers
from media_host.agents.realtime.turn_taking import TurnTaking

WORDS_S = 4.0
"""How long the caller's words may hold up those that were said after them (s)."""
MISSED_S = 1.0
"""More of the caller's speech than this (s) must not get lost unnoticed."""


class Hearing:
    """One call's.

    Args:
        turns: who speaks when.
        timers: the call's.
        report: takes events for the host.
        transcribed: whether the caller's words will be known at all.
    """

    def __init__(
        self,
        turns: TurnTaking,
        timers: Timers,
        report: Callable[[AgentEvent], None],
        *,
        transcribed: bool,
    ) -> None:
        self._turns = turns
        self._timers = timers
        self._report = report
        self._transcribed = transcribed
        self._words = CallerWords()
        self._loop = asyncio.get_running_loop()
        self._since = 0.0

    @property
    def complete(self) -> bool:
        """Whether nothing is being said and all that was said is known."""
        return not (self._turns.caller_speaks or self._words.waiting)

    def started(self, *, quiet: bool) -> None:
        """The caller begins to speak; `quiet`: see `TurnTaking.started`."""
        self._since = self._loop.time()
        self._turns.started(quiet=quiet)
        self._report(SpeechStarted())

    def stopped(self, *, quiet: bool) -> bool:
        """The caller falls silent; whether we have to ask for the answer."""
        answer = self._turns.stopped(quiet=quiet)
        self._report(SpeechStopped())
        return answer

    def committed(self, event: model.CallerCommitted) -> None:
        """What was said is an item; its words come later."""
        if self._transcribed:
            self._words.committed(event.item_id, event.previous_item_id)
            self._timers.start("words", WORDS_S, self._give_up, anew=False)

    def said(self, item: str, text: str) -> None:
        """An item's words; "" if they could not be had."""
        self._tell(self._words.words(item, text.strip()))

    def lost(self) -> bool:
        """The session is gone; whether something that the caller said went with it, and was more than a syllable."""
        speech_s = self._loop.time() - self._since if self._turns.caller_speaks else 0.0
        missed = self._words.waiting or speech_s > MISSED_S
        self._tell(self._words.lost())
        self._turns.caller_speaks = False
        return missed

    def _give_up(self) -> None:
        if self._words.waiting:
            self._tell(self._words.give_up())
            if self._words.waiting:
                self._timers.start("words", WORDS_S, self._give_up)

    def _tell(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._report(Transcript("caller", text))
