"""Recognition as a table: what happens when, and what comes of it."""

import pytest

from emulator.acs.errors import RestError
from emulator.acs.operations.recognition import RECOGNISER_S, Choice, Heard, Options, Recognition, check

YES = Choice("yes", ("yes", "sure"), "1")
NO = Choice("no", ("no",), "2")
SPOKEN = (Choice("yes", ("yes",)), Choice("no", ("no",)))

DTMF = Options("dtmf", initial_silence_s=5, inter_tone_s=2, max_tones=3, stop_keys=frozenset("#"))
CHOICES = Options("choices", choices=(YES, NO), initial_silence_s=5)
SPEECH = Options("speech", initial_silence_s=5)
BOTH = Options("speechOrDtmf", initial_silence_s=5, inter_tone_s=2, max_tones=2)


def run(options: Options, *steps: tuple) -> Recognition:
    recognition = Recognition(options)
    for name, *arguments in steps:
        getattr(recognition, name)(*arguments)
    return recognition


BEGIN = ("begin", 10.0)
SPEAKS = (("speech_began",), ("speech_ended", 12.0))


@pytest.mark.parametrize(
    ("options", "steps", "kind", "codes", "data"),
    [
        # keys
        (DTMF, [BEGIN, ("key", "4", 11), ("key", "2", 12), ("key", "#", 13)], "RecognizeCompleted", (200, 8514),
         {"recognitionType": "dtmf", "dtmfResult": {"tones": ["four", "two", "pound"]}}),
        (DTMF, [BEGIN, ("key", "4", 11), ("key", "*", 12), ("key", "D", 13)], "RecognizeCompleted", (200, 8531),
         {"recognitionType": "dtmf", "dtmfResult": {"tones": ["four", "asterisk", "d"]}}),
        (DTMF, [BEGIN, ("tick", 15.0)], "RecognizeFailed", (400, 8510), {}),
        (DTMF, [BEGIN, ("key", "4", 14.9), ("tick", 16.9)], "RecognizeFailed", (400, 8532), {}),
        (DTMF, [BEGIN, ("noise",), ("tick", 15.0)], "RecognizeFailed", (400, 8509), {}),
        (DTMF, [BEGIN, ("key", "4", 11), ("noise",), ("tick", 13.0)], "RecognizeFailed", (400, 8532), {}),
        # choices
        (CHOICES, [BEGIN, ("key", "2", 11)], "RecognizeCompleted", (200, 8533),
         {"recognitionType": "choices", "choiceResult": {"label": "no"}}),
        (CHOICES, [BEGIN, ("key", "9", 11)], "RecognizeFailed", (500, 8534), {}),
        (CHOICES, [BEGIN, *SPEAKS, ("heard", Heard("sure", "yes", 0.8))], "RecognizeCompleted", (200, 8545),
         {"recognitionType": "choices", "choiceResult": {"label": "yes", "recognizedPhrase": "sure", "confidence": 0.8}}),
        (CHOICES, [BEGIN, *SPEAKS, ("heard", Heard("maybe"))], "RecognizeFailed", (400, 8547), {}),
        (CHOICES, [BEGIN, *SPEAKS, ("heard", Heard(None))], "RecognizeFailed", (400, 8563), {}),
        (CHOICES, [BEGIN, ("tick", 15.0)], "RecognizeFailed", (400, 8510), {}),
        # speech
        (SPEECH, [BEGIN, *SPEAKS, ("heard", Heard("my card is lost", None, 0.9))], "RecognizeCompleted", (200, 8569),
         {"recognitionType": "speech", "speechResult": {"speech": "my card is lost", "confidence": 0.9}}),
        (SPEECH, [BEGIN, *SPEAKS, ("tick", 12 + RECOGNISER_S)], "RecognizeFailed", (408, 8570), {}),
        (SPEECH, [BEGIN, ("noise",), *SPEAKS, ("tick", 12 + RECOGNISER_S)], "RecognizeFailed", (408, 8570), {}),
        (SPEECH, [BEGIN, ("noise",), ("tick", 15.0)], "RecognizeFailed", (400, 8509), {}),
        # what comes first decides
        (BOTH, [BEGIN, ("key", "1", 11), *SPEAKS, ("key", "2", 12)], "RecognizeCompleted", (200, 8531),
         {"recognitionType": "dtmf", "dtmfResult": {"tones": ["one", "two"]}}),
        (BOTH, [BEGIN, ("speech_began",), ("key", "1", 11), ("key", "2", 11), ("speech_ended", 12.0), ("heard", Heard("hello"))],
         "RecognizeCompleted", (200, 8569), {"recognitionType": "speech", "speechResult": {"speech": "hello", "confidence": 1.0}}),
    ],
)  # fmt: skip
def test_results(options: Options, steps: list, kind: str, codes: tuple, data: dict) -> None:
    recognition = run(options, *steps[:-1])
    assert recognition.outcome is None
    name, *arguments = steps[-1]
    outcome = getattr(recognition, name)(*arguments)
    assert outcome is recognition.outcome
    assert (outcome.kind, (outcome.code, outcome.sub_code), outcome.data) == (kind, codes, data)
    # Nothing counts after the result.
    assert recognition.key("1", 99) is outcome
    assert recognition.heard(Heard("yes", "yes")) is outcome
    assert recognition.tick(999) is outcome


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (DTMF, [BEGIN, ("tick", 14.99)]),
        (DTMF, [BEGIN, ("key", "4", 14.9), ("tick", 16.8)]),
        (DTMF, [("tick", 1000.0)]),  # the prompt may be long
        (DTMF, [BEGIN, *SPEAKS, ("tick", 12.0)]),
        (SPEECH, [BEGIN, ("key", "1", 11)]),
        (SPEECH, [BEGIN, ("speech_began",), ("tick", 500.0)]),  # who speaks may speak
        (Options("choices", choices=SPOKEN), [BEGIN, ("key", "1", 11)]),
        (CHOICES, [("key", "1", 5)]),  # the prompt must not be interrupted
        (CHOICES, [("speech_began",)]),
    ],
)
def test_no_result_yet(options: Options, steps: list) -> None:
    recognition = run(options, *steps)
    assert recognition.outcome is None
    assert not recognition.prompt_broken


def test_a_key_breaks_off_the_prompt_when_it_may() -> None:
    recognition = run(Options("dtmf", interrupt_prompt=True, max_tones=2, inter_tone_s=2), ("key", "7", 3.0))
    assert recognition.prompt_broken
    recognition.begin(3.5)  # the prompt's end comes too late to set the clock back
    assert recognition.tick(4.9) is None
    assert recognition.tick(5.0).sub_code == 8532
    assert recognition.tones == ("seven",)


def test_speech_breaks_off_the_prompt_when_it_may() -> None:
    recognition = Recognition(Options("speech", interrupt_prompt=True))
    assert recognition.wants_speech
    recognition.speech_began()
    assert recognition.prompt_broken
    assert recognition.speaking


@pytest.mark.parametrize(
    ("options", "wanted"), [(SPEECH, True), (CHOICES, True), (BOTH, True), (DTMF, False)]
)
def test_speech_is_wanted_after_the_prompt(options: Options, wanted: bool) -> None:
    recognition = Recognition(options)
    assert not recognition.wants_speech
    recognition.begin(1.0)
    assert recognition.wants_speech is wanted


@pytest.mark.parametrize(
    "options",
    [
        Options("dtmf", initial_silence_s=-1),
        Options("dtmf", initial_silence_s=301),
        Options("dtmf", inter_tone_s=0.5),
        Options("dtmf", inter_tone_s=61),
        Options("dtmf", max_tones=0),
        Options("choices"),
        Options("choices", choices=(YES, Choice("no", ("no",)))),
        Options("choices", choices=(YES, YES)),
    ],
)
def test_options_out_of_bounds(options: Options) -> None:
    with pytest.raises(RestError) as caught:
        check(options)
    assert (caught.value.status, caught.value.code) == (400, "8523")


def test_options_at_their_bounds() -> None:
    good = Options("dtmf", initial_silence_s=0, inter_tone_s=60, max_tones=1)
    assert check(good) is good
    assert run(good, ("begin", 1.0)).tick(1.0).sub_code == 8510
