"""Voices of realtime models: what may stand in `voice`, and what it means."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.config.checks import Mistake

OPENAI_VOICES = frozenset(
    {"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"}
)
"""OpenAI's, by the enumerations of both SDKs (openai 3.54.0, azure-ai-voicelive 1.3.1)."""

NOT_REALTIME = frozenset({"fable", "nova", "onyx"})
"""Voices of OpenAI's speech synthesis; a realtime session makes noise of them (openai/openai-agents-python#1941)."""

_SYNTHESIS = frozenset(
    {
        "temperature",
        "custom_lexicon_url",
        "custom_text_normalization_url",
        "prefer_locales",
        "locale",
        "style",
        "pitch",
        "rate",
        "volume",
    }
)
_TYPES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {  # what must be there, what else may be
    "azure-standard": (frozenset({"name"}), _SYNTHESIS),
    "azure-custom": (frozenset({"name", "endpoint_id"}), _SYNTHESIS),
    "azure-personal": (frozenset({"name", "model"}), _SYNTHESIS),
    "azure-realtime-native": (frozenset({"name"}), frozenset()),
    "openai": (frozenset({"name"}), frozenset()),
}
AZURE_VOICES = frozenset({"azure-standard", "azure-custom", "azure-personal"})
"""The types whose audio Azure's speech synthesis makes: with a rate, and with word times."""


def voice_object(voice: str | Mapping[str, Any]) -> dict[str, Any]:
    """Voice Live's voice object; a name alone is one of OpenAI's or one of Azure's standard voices. {} for ""."""
    if not isinstance(voice, str):
        return dict(voice)
    if not voice:
        return {}
    return {"type": "openai" if voice in OPENAI_VOICES else "azure-standard", "name": voice}


def voice_mistakes(
    place: str, voice: str | Mapping[str, Any], *, voice_live: bool, with_speed: bool
) -> Iterator[Mistake]:
    """What is wrong with a voice; `with_speed`: the agent also has a `speed`."""
    if isinstance(voice, str) and voice in NOT_REALTIME:
        yield Mistake(place, f"a voice of realtime models, such as {', '.join(sorted(OPENAI_VOICES))}", voice)
    if not voice_live:
        if not isinstance(voice, str):
            yield Mistake(place, "a name: voice objects are Voice Live's")
        return
    given = voice_object(voice)
    kind = given.get("type") if given else ""
    if given and (not isinstance(kind, str) or kind not in _TYPES):
        yield Mistake(f"{place}.type", f"one of {', '.join(_TYPES)}", str(kind))
        return
    if given:
        required, optional = _TYPES[str(kind)]
        for name in sorted(required - given.keys()):
            yield Mistake(f"{place}.{name}", f"a value, which {kind} needs")
        for name in sorted(given.keys() - required - optional - {"type"}):
            yield Mistake(f"{place}.{name}", f"nothing: {kind} does not know it")
        if not isinstance(given.get("rate", ""), str):
            yield Mistake(f"{place}.rate", 'text such as "1.1", in quotes', str(given["rate"]))
    if with_speed and (kind not in AZURE_VOICES or "rate" in given):
        yield Mistake(f"{place}", f"one of {', '.join(sorted(AZURE_VOICES))} without a rate, beside speed")
