"""What recognition makes of utterances: real speech by a grammar, the script's text where that cannot work."""

import pytest

from emulator.acs.operations.hearing import (
    POOR_SCORE,
    Hearing,
    choice_of,
    confidence_of,
    grammar_of,
    spoken_form,
)
from emulator.acs.operations.recognition import Choice, Heard
from media_host.speech.recogniser import Recognition
from media_host.speech.synthesiser import Synthesiser
from shared.errors import AgentUnavailable

CONFIRM = Choice("Confirm", ("Confirm", "First", "One"))
CANCEL = Choice("Cancel", ("Cancel", "Second", "Two"))
CHOICES = (CONFIRM, CANCEL)


class Engine:
    """A recogniser with one answer."""

    def __init__(self, answer: Recognition | Exception) -> None:
        self.answer = answer

    async def recognise(self, pcm: bytes, grammar: str, sample_rate: int = 16000) -> Recognition:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("phrase", "words"),
    [("Yes!", "yes"), ("Press 1", "press one"), ("it’s me", "it's me"), ("24", "two four"), ("…", "")],
)
def test_the_words_of_a_phrase(phrase: str, words: str) -> None:
    assert spoken_form(phrase) == words


def test_the_grammar_has_every_phrase_once() -> None:
    grammar = grammar_of((Choice("a", ("Yes", "yes!", "?")), Choice("b", ("no",))))
    assert "public <choice> = yes | no;" in grammar
    assert grammar_of((Choice("a", ("?",)),)) == ""


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cancel", "Cancel"),
        ("please confirm that", "Confirm"),
        ("confirmed", None),
        ("", None),
        ("1", "Confirm"),
    ],
)
def test_a_choice_in_a_text(text: str, label: str | None) -> None:
    assert choice_of(text, CHOICES).label == label


def test_the_longest_phrase_wins() -> None:
    choices = (Choice("card", ("card",)), Choice("lost", ("lost card",)))
    assert choice_of("a lost card", choices).label == "lost"


@pytest.mark.parametrize(
    ("score", "confidence"), [(10.0, 0.95), (0.0, 0.95), (POOR_SCORE, 0.5), (-99.0, 0.5)]
)
def test_confidence(score: float, confidence: float) -> None:
    assert confidence_of(score) == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("answer", "text", "heard"),
    [
        (Recognition("second", 0.0), None, Heard("Second", "Cancel", 0.95)),
        (Recognition("second", 0.0), "the second one", Heard("Second", "Cancel", 0.95)),
        (Recognition("second", -50.0), "a banana", Heard("second", None, 0.0)),
        (Recognition("second", -50.0), None, Heard("second", None, 0.0)),
        (Recognition(None, -1e6), "a banana", Heard(None)),
        (Recognition("two", 0.0), "confirm", Heard("Confirm", "Confirm", 0.9)),
        (Recognition(None, -1e6), "confirm", Heard("Confirm", "Confirm", 0.9)),
        (AgentUnavailable("no such word"), "cancel it", Heard("Cancel", "Cancel", 0.9)),
        (AgentUnavailable("no such word"), None, Heard(None)),
    ],
)
async def test_results(answer: Recognition | Exception, text: str | None, heard: Heard) -> None:
    assert await Hearing(Engine(answer)).choice(b"", 16000, CHOICES, text) == heard


async def test_choices_without_words_are_compared_by_the_script() -> None:
    hearing = Hearing(Engine(Recognition("x", 0.0)))
    assert await hearing.choice(b"", 16000, (Choice("a", ("?",)),), None) == Heard(None)


@pytest.mark.skipif(not Synthesiser.installed(), reason="needs espeak-ng")
async def test_real_speech_is_recognised() -> None:
    hearing = Hearing()
    try:
        async with Synthesiser() as synthesiser:
            for said, label in (("one", "Confirm"), ("second", "Cancel"), ("cancel", "Cancel")):
                pcm = bytes(16000) + await synthesiser.say(said, "en-us+f3", 16000) + bytes(16000)
                heard = await hearing.choice(pcm, 16000, CHOICES, None)
                assert heard.label == label
                assert heard.confidence >= 0.5
    finally:
        await hearing.close()
