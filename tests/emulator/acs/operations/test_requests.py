"""Bodies of recognitions and transcription options."""

import pytest

from emulator.acs.errors import RestError
from emulator.acs.operations.recognition import Choice
from emulator.acs.operations.requests import (
    read_prompts,
    read_recognize_options,
    read_transcription_options,
)

TEXT = {"kind": "text", "text": {"text": "hi"}}
SOCKET = {"transportUrl": "wss://x/t", "transportType": "websocket", "locale": "en-US"}


def body(kind: str = "dtmf", **options: object) -> dict:
    return {"recognizeInputType": kind, "recognizeOptions": options}


def test_defaults_are_microsofts() -> None:
    options = read_recognize_options(body())
    assert (options.initial_silence_s, options.inter_tone_s, options.end_silence_s) == (5, 2, 0.5)
    assert (options.max_tones, options.stop_keys, options.interrupt_prompt) == (None, frozenset(), False)
    assert options.language == "en-US"


def test_everything_that_can_be_set() -> None:
    dtmf = {"interToneTimeoutInSeconds": 3, "maxTonesToCollect": 4, "stopTones": ["pound", "asterisk"]}
    options = read_recognize_options(
        body(
            "speechOrDtmf",
            interruptPrompt=True,
            initialSilenceTimeoutInSeconds=7,
            dtmfOptions=dtmf,
            speechOptions={"endSilenceTimeoutInMs": 1500},
            speechLanguage="de-DE",
        )
    )
    assert options.kind == "speechOrDtmf"
    assert (options.inter_tone_s, options.max_tones, options.stop_keys) == (3, 4, {"#", "*"})
    assert (options.initial_silence_s, options.end_silence_s, options.interrupt_prompt) == (7, 1.5, True)
    assert options.language == "de-DE"


def test_choices() -> None:
    choices = [{"label": "yes", "phrases": ["yes", "sure"], "tone": "one"}]
    assert read_recognize_options(body("choices", choices=choices)).choices == (
        Choice("yes", ("yes", "sure"), "1"),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        body("telepathy"),
        {},
        {"recognizeInputType": "dtmf", "recognizeOptions": 3},
        body(dtmfOptions=[]),
        body(dtmfOptions={"stopTones": ["#"]}),
        body(dtmfOptions={"maxTonesToCollect": "4"}),
        body(dtmfOptions={"maxTonesToCollect": True}),
        body(initialSilenceTimeoutInSeconds="5"),
        body("choices", choices={}),
        body("choices", choices=["yes"]),
        body("choices", choices=[{"label": "", "phrases": ["x"]}]),
        body("choices", choices=[{"label": "yes", "phrases": []}]),
        body("choices", choices=[{"label": "yes", "phrases": [1]}]),
        body("choices", choices=[{"label": "yes", "phrases": ["yes"], "tone": "#"}]),
    ],
)
def test_wrong_recognitions(wrong: dict) -> None:
    with pytest.raises(RestError) as caught:
        read_recognize_options(wrong)
    assert (caught.value.status, caught.value.code) == (400, "8523")


def test_prompts_one_many_or_none() -> None:
    assert read_prompts({}) == []
    assert read_prompts({"playPrompt": TEXT}) == [TEXT]
    assert read_prompts({"playPrompts": [TEXT, TEXT], "playPrompt": None}) == [TEXT, TEXT]


def test_transcription_options() -> None:
    assert read_transcription_options(None) is None
    options = read_transcription_options({**SOCKET, "startTranscription": True})
    assert options is not None
    assert (options.url, options.locale, options.start, options.intermediate) == (
        "wss://x/t", "en-US", True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"transportUrl": "https://x"}, {"transportUrl": None}, {"transportType": "smoke"}, {"locale": ""}],
)
def test_wrong_transcription_options(change: dict) -> None:
    with pytest.raises(RestError):
        read_transcription_options({**SOCKET, **change})
    with pytest.raises(RestError):
        read_transcription_options([])
