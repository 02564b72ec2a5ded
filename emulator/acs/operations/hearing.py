"""What speech recognition makes of an utterance.

Choices are recognised for real, by a grammar of their phrases; a scripted caller's own words correct it. Nothing here takes
dictation: for open-ended speech the emulator hands on the text of the scripted caller, which is a stand-in (guessed).
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Protocol

from emulator.acs.operations.recognition import Choice, Heard
from media_host.speech.recogniser import Recogniser, Recognition
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)

WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
POOR_SCORE = -32.0
"""A worse fit was something else (`Recognition.score`)."""
STAND_IN_CONFIDENCE = 0.9


class Engine(Protocol):
    """A recogniser that works with a grammar."""

    async def recognise(self, pcm: bytes, grammar: str, sample_rate: int = 16000) -> Recognition:
        """Find the phrase of `grammar` in `pcm`."""


def spoken_form(phrase: str) -> str:
    """The words of a phrase: lower case, digits as words, no punctuation."""
    text = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", phrase.lower().replace("’", "'"))
    return " ".join(WORD.findall(text))


def grammar_of(choices: Sequence[Choice]) -> str:
    """JSGF of all phrases; "" when none has a word in it."""
    phrases = dict.fromkeys(spoken_form(phrase) for choice in choices for phrase in choice.phrases)
    said = " | ".join(phrase for phrase in phrases if phrase)
    return f"#JSGF V1.0;\ngrammar choices;\npublic <choice> = {said};\n" if said else ""


def choice_of(text: str, choices: Sequence[Choice]) -> Heard:
    """The choice whose phrase is in `text`, the longest of several; without one, `label` is None."""
    said = f" {spoken_form(text)} "
    found = [
        (len(form), phrase, choice.label)
        for choice in choices
        for phrase in choice.phrases
        if (form := spoken_form(phrase)) and f" {form} " in said
    ]
    if not found:
        return Heard(text, None, 0.0)
    _, phrase, label = max(found)
    return Heard(phrase, label, STAND_IN_CONFIDENCE)


def confidence_of(score: float) -> float:
    """A confidence from a recogniser's score: 0.95 for a good fit, 0.5 at the edge (our own scale)."""
    return max(0.5, min(0.95, 0.95 + 0.45 * score / -POOR_SCORE))


class Hearing:
    """The recogniser of an emulator, started when it is first needed.

    Args:
        engine: one that runs already, or None for a child process of our own.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine
        self._child: Recogniser | None = None
        self._missing = False
        self._lock = asyncio.Lock()

    async def _recogniser(self) -> Engine | None:
        async with self._lock:
            if self._engine is None and not self._missing:
                self._child = Recogniser()
                try:
                    await self._child.start()
                except AgentUnavailable as error:
                    log.warning("no speech recognition, callers' scripts stand in for it: %s", error)
                    self._missing, self._child = True, None
                self._engine = self._child
        return self._engine

    async def choice(self, pcm: bytes, rate: int, choices: Sequence[Choice], text: str | None) -> Heard:
        """Which choice was said.

        A script that names a choice is right when the recogniser hears another one, or none: it takes a robot's "confirm" for
        "two" when both are choices, and an app under test should not have to live with that.

        Args:
            pcm: the utterance, PCM16LE mono.
            rate: in Hz.
            choices: what may be said.
            text: what the script said, or None when there is no script.
        """
        meant = choice_of(text, choices) if text else Heard(None)
        heard = await self._recognise(pcm, rate, choices)
        if heard is None or (meant.label is not None and meant.label != heard.label):
            return meant
        return heard

    async def _recognise(self, pcm: bytes, rate: int, choices: Sequence[Choice]) -> Heard | None:
        """What the recogniser hears; None when it cannot work: not installed, or a word that it does not know."""
        grammar = grammar_of(choices)
        engine = await self._recogniser() if grammar else None
        if engine is None:
            return None
        try:
            found = await engine.recognise(pcm, grammar, rate)
        except AgentUnavailable as error:
            log.info("the recogniser cannot work with these choices: %s", error)
            return None
        if found.text is None:
            return Heard(None)
        if found.score < POOR_SCORE:
            return Heard(found.text, None, 0.0)
        heard = choice_of(found.text, choices)
        return Heard(heard.text, heard.label, confidence_of(found.score))

    async def close(self) -> None:
        """End the child; idempotent."""
        child, self._child, self._engine = self._child, None, None
        if child is not None:
            await child.close()
