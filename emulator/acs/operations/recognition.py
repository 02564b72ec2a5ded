"""One recognition, from the end of its prompt to its result: a state machine without I/O; times are passed in (s).

Codes and sub-codes are those of Microsoft's how-to (`RecognizeCompleted`/`RecognizeFailed` tables) unless marked as guessed.
"""

from dataclasses import dataclass
from typing import Any, Literal

from emulator.acs.errors import RestError
from emulator.acs.operations.tones import WORDS

type InputKind = Literal["dtmf", "speech", "speechOrDtmf", "choices"]

INITIAL_SILENCE_S = 5.0
INTER_TONE_S = 2.0
END_SILENCE_S = 0.5
LONGEST_SILENCE_S = 300.0
"""Documented as 300 s for keys and 20 s for speech, beside a sample with 30 s for choices: not held against anybody here."""
RECOGNISER_S = 8.0
"""A speech recogniser that takes longer (s) than this is given up: 408/8570; the service's own limit is unknown."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One `RecognitionChoice`; `key` is its tone as a key, or None."""

    label: str
    phrases: tuple[str, ...]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Checked `recognizeOptions`; times in s. Defaults are Microsoft's [DOC].

    Attributes:
        kind: `recognizeInputType`.
        interrupt_prompt: keys and speech break off the prompt; without it they count only after the prompt (guessed).
        max_tones: so many keys are collected, or None for no limit.
    """

    kind: InputKind
    interrupt_prompt: bool = False
    initial_silence_s: float = INITIAL_SILENCE_S
    inter_tone_s: float = INTER_TONE_S
    end_silence_s: float = END_SILENCE_S
    max_tones: int | None = None
    stop_keys: frozenset[str] = frozenset()
    choices: tuple[Choice, ...] = ()
    language: str = "en-US"

    @property
    def by_keys(self) -> bool:
        """Whether keys are an answer: a choice without tones takes none [DOC]."""
        if self.kind == "choices":
            return any(choice.key for choice in self.choices)
        return self.kind != "speech"

    @property
    def by_speech(self) -> bool:
        """Whether speech is an answer."""
        return self.kind != "dtmf"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a speech recogniser made of an utterance.

    Attributes:
        text: what was said, or None when nothing could be made of it.
        label: of the choice that it fits, or None.
        confidence: 0 to 1.
    """

    text: str | None
    label: str | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The callback that ends a recognition."""

    kind: Literal["RecognizeCompleted", "RecognizeFailed"]
    code: int
    sub_code: int
    message: str
    data: dict[str, Any]


def _failed(code: int, sub_code: int, message: str) -> Outcome:
    return Outcome("RecognizeFailed", code, sub_code, f"Action failed, {message}.", {})


class Recognition:
    """Collects keys and speech of one participant until there is a result.

    Attributes:
        outcome: the result; nothing counts after it.
        prompt_broken: the caller has interrupted the prompt, which must fall silent.
        speaking: the caller's speech is the answer, and not finished yet.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.outcome: Outcome | None = None
        self.prompt_broken = False
        self.speaking = False
        self._listening = False
        self._keys: list[str] = []
        self._speech_counts = options.by_speech
        self._keys_count = options.by_keys
        self._deadline: float | None = None
        self._late = _failed(400, 8510, "initial silence timeout reached")
        self._noise = False

    @property
    def wants_speech(self) -> bool:
        """Whether an utterance that begins now would count."""
        heard_now = self._listening or self.options.interrupt_prompt
        return self.outcome is None and self._speech_counts and heard_now

    @property
    def tones(self) -> tuple[str, ...]:
        """The keys so far, as `DtmfTone`s."""
        return tuple(WORDS[key] for key in self._keys)

    def begin(self, now: float) -> None:
        """The prompt is over: the initial silence counts from here. Does nothing when the caller has begun already."""
        if not self._listening:
            self._listening = True
            self._deadline = now + self.options.initial_silence_s

    def _break_prompt(self) -> bool:
        """Whether input counts now; breaks off the prompt if it must."""
        if self._listening:
            return True
        if not self.options.interrupt_prompt:
            return False
        self._listening = self.prompt_broken = True
        return True

    def key(self, key: str, now: float) -> Outcome | None:
        """A key was pressed."""
        if self.outcome is not None or not self._keys_count or not self._break_prompt():
            return self.outcome
        self._speech_counts = False  # what came first decides [DOC]
        if self.options.kind == "choices":
            return self._choice_by_key(key)
        # Guessed: the stop tone is among the result's tones.
        self._keys.append(key)
        if key in self.options.stop_keys:
            return self._tones(8514, "Action completed as stop tone was detected.")
        if self.options.max_tones is not None and len(self._keys) >= self.options.max_tones:
            return self._tones(8531, "Action completed, max digits received.")
        self._deadline = now + self.options.inter_tone_s
        # Documented both as RecognizeCompleted and as RecognizeFailed; guessed: failed, without the tones.
        self._late = _failed(400, 8532, "inter-digit silence timeout reached")
        return None

    def _tones(self, sub_code: int, message: str) -> Outcome:
        data = {"recognitionType": "dtmf", "dtmfResult": {"tones": list(self.tones)}}
        self.outcome = Outcome("RecognizeCompleted", 200, sub_code, message, data)
        return self.outcome

    def _choice_by_key(self, key: str) -> Outcome:
        choice = next((choice for choice in self.options.choices if choice.key == key), None)
        if choice is None:
            self.outcome = _failed(500, 8534, "incorrect tone entered")
            return self.outcome
        # `recognizedPhrase` is absent when a tone chose [DOC].
        data = {"recognitionType": "choices", "choiceResult": {"label": choice.label}}
        message = "Action completed, DTMF option matched."
        self.outcome = Outcome("RecognizeCompleted", 200, 8533, message, data)
        return self.outcome

    def noise(self) -> None:
        """Something too short to be speech was heard: a silence after it is 8509 instead of 8510 (guessed)."""
        if self._listening and not self._keys:
            self._noise = True

    def speech_began(self) -> None:
        """The caller speaks: from now on silence is the recogniser's business, and keys count no more [DOC]."""
        if not self.wants_speech:
            return
        self._break_prompt()
        self._keys_count = False
        self._deadline = None
        self.speaking = True

    def speech_ended(self, now: float) -> None:
        """The utterance is with the recogniser."""
        if self.outcome is None:
            self.speaking = False
            self._deadline = now + RECOGNISER_S
            self._late = _failed(408, 8570, "speech recognition timed out")
            self._noise = False

    def heard(self, heard: Heard) -> Outcome | None:
        """The recogniser's result."""
        if self.outcome is not None:
            return self.outcome
        self.outcome = self._spoken(heard)
        return self.outcome

    def _spoken(self, heard: Heard) -> Outcome:
        if heard.text is None:
            return _failed(400, 8563, "speech could not be recognized")
        if self.options.kind != "choices":
            result = {"speech": heard.text, "confidence": round(heard.confidence, 3)}
            data = {"recognitionType": "speech", "speechResult": result}
            return Outcome("RecognizeCompleted", 200, 8569, "Action completed, speech was recognized.", data)
        if heard.label is None:
            return _failed(400, 8547, "recognized phrase does not match a valid option")
        choice = {
            "label": heard.label,
            "recognizedPhrase": heard.text,
            "confidence": round(heard.confidence, 3),
        }
        data = {"recognitionType": "choices", "choiceResult": choice}
        return Outcome("RecognizeCompleted", 200, 8545, "Action completed, speech option matched.", data)

    def tick(self, now: float) -> Outcome | None:
        """Look at the clock."""
        if self.outcome is None and self._deadline is not None and now >= self._deadline:
            silent = _failed(400, 8509, "maximum silence timeout reached")
            self.outcome = silent if self._noise else self._late
        return self.outcome


def check(options: Options) -> Options:
    """See that a recognition can be made of options (bounds from Microsoft's how-to).

    Raises:
        RestError: 400/8523 names the field.
    """
    wrong = None
    if not 0 <= options.initial_silence_s <= LONGEST_SILENCE_S:
        wrong = "InitialSilenceTimeoutInSeconds"
    elif not 1 <= options.inter_tone_s <= 60:
        wrong = "InterToneTimeoutInSeconds"
    elif options.max_tones is not None and options.max_tones < 1:
        wrong = "MaxTonesToCollect"
    elif options.kind == "choices" and not options.choices:
        wrong = "Choices"
    elif options.kind == "choices" and len({bool(choice.key) for choice in options.choices}) > 1:
        wrong = "Choices"  # tones for all of them or for none [DOC]
    elif len({choice.label for choice in options.choices}) < len(options.choices):
        wrong = "Choices"
    if wrong is not None:
        raise RestError(400, "8523", f"The field {wrong} is invalid.")
    return options
