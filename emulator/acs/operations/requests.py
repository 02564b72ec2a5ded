"""Bodies of `:recognize` and of transcription options, checked."""

from dataclasses import dataclass
from typing import Any

from emulator.acs.errors import invalid
from emulator.acs.operations.recognition import (
    END_SILENCE_S,
    INITIAL_SILENCE_S,
    INTER_TONE_S,
    Choice,
    InputKind,
    Options,
    check,
)
from emulator.acs.operations.sources import check_source, check_sources
from emulator.acs.operations.tones import key_of, keys_of

type Json = dict[str, Any]

INPUT_KINDS: dict[str, InputKind] = {
    "dtmf": "dtmf",
    "speech": "speech",
    "speechordtmf": "speechOrDtmf",
    "choices": "choices",
}
DEFAULT_LANGUAGE = "en-US"


def read_object(body: Json, name: str) -> Json:
    """An optional object in a body.

    Raises:
        RestError: 400/8523 it is something else.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(_field(name))
    return value


def read_number(body: Json, name: str, default: float) -> float:
    """An optional number in a body.

    Raises:
        RestError: 400/8523 it is something else.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(_field(name))
    return float(value)


def _field(name: str) -> str:
    return name[0].upper() + name[1:]


def read_prompts(body: Json) -> list[Json]:
    """`playPrompts`, or the one `playPrompt`; none is allowed.

    Raises:
        RestError: 400/8523, 400/8582.
    """
    if body.get("playPrompts"):
        return check_sources(body["playPrompts"], "PlayPrompts")
    prompt = body.get("playPrompt")
    return [] if prompt is None else [check_source(prompt, "PlayPrompt")]


def read_choice(value: object) -> Choice:
    """One `RecognitionChoice`.

    Raises:
        RestError: 400/8523.
    """
    if not isinstance(value, dict):
        raise invalid("Choices")
    label, phrases, tone = value.get("label"), value.get("phrases"), value.get("tone")
    if not isinstance(label, str) or not label:
        raise invalid("Choices.Label")
    if not isinstance(phrases, list) or not phrases or not all(isinstance(text, str) for text in phrases):
        raise invalid("Choices.Phrases")
    return Choice(label, tuple(phrases), None if tone is None else key_of(tone, "Choices.Tone"))


def read_recognize_options(body: Json) -> Options:
    """`recognizeInputType` and `recognizeOptions` of a RecognizeRequest, with Microsoft's defaults.

    Raises:
        RestError: 400/8523.
    """
    kind = INPUT_KINDS.get(str(body.get("recognizeInputType", "")).lower())
    if kind is None:
        raise invalid("RecognizeInputType")
    options = read_object(body, "recognizeOptions")
    dtmf, speech = read_object(options, "dtmfOptions"), read_object(options, "speechOptions")
    most = dtmf.get("maxTonesToCollect")
    choices = options.get("choices") or []
    if not isinstance(choices, list):
        raise invalid("Choices")
    return check(
        Options(
            kind=kind,
            interrupt_prompt=options.get("interruptPrompt") is True,
            initial_silence_s=read_number(options, "initialSilenceTimeoutInSeconds", INITIAL_SILENCE_S),
            inter_tone_s=read_number(dtmf, "interToneTimeoutInSeconds", INTER_TONE_S),
            end_silence_s=read_number(speech, "endSilenceTimeoutInMs", END_SILENCE_S * 1000) / 1000,
            max_tones=None if most is None else int(read_number(dtmf, "maxTonesToCollect", 0)),
            stop_keys=frozenset(keys_of(dtmf.get("stopTones") or [], "StopTones")),
            choices=tuple(read_choice(value) for value in choices),
            language=str(options.get("speechLanguage") or DEFAULT_LANGUAGE),
        )
    )


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """`transcriptionOptions` of an answered or created call, checked."""

    url: str
    locale: str
    start: bool
    intermediate: bool
    model: str


def read_transcription_options(value: object) -> TranscriptionOptions | None:
    """`transcriptionOptions` of a request; None when it has none.

    Raises:
        RestError: 400/8523 names the wrong field.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("TranscriptionOptions")
    url = value.get("transportUrl")
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        raise invalid("TransportUrl")
    if str(value.get("transportType", "")).lower() != "websocket":
        raise invalid("TransportType")
    locale = value.get("locale")
    if not isinstance(locale, str) or not locale:
        raise invalid("Locale")
    return TranscriptionOptions(
        url,
        locale,
        start=value.get("startTranscription") is True,
        intermediate=value.get("enableIntermediateResults") is True,
        model=str(value.get("speechModelEndpointId") or ""),
    )
