"""What a model made of the session that we asked for: its `session.updated` says so (realtime.md section 5).

Services ignore what they do not like without an error: Azure did so with `silence_duration_ms` (livekit/agents#2598), and a
format that was ignored is static in the caller's ear.
"""

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

from media_host.agents.base import Codec

_GA = {Codec.PCM16_24K: ("audio/pcm", 24000), Codec.ULAW_8K: ("audio/pcmu", 8000)}
_FLAT_IN = {
    Codec.PCM16_24K: ("pcm16", 24000),
    Codec.PCM16_16K: ("pcm16", 16000),
    Codec.ULAW_8K: ("g711_ulaw", 8000),
}
_FLAT_OUT = {
    Codec.PCM16_24K: "pcm16",
    Codec.PCM16_16K: "pcm16_16000hz",
    Codec.ULAW_8K: "g711_ulaw",
}
_NOT_SHOWN = frozenset({"instructions", "authorization", "name", "endpoint_id"})
_SHOWN = 40


def accepts_audio(echoed: Mapping[str, Any], codec: Codec) -> bool:
    """Whether the model hears and speaks `codec`, by what it says itself; no audio may flow before that.

    A rate that it does not name is the format's only or usual one.
    """
    if "audio" in echoed:
        return all(_ga_format(echoed["audio"], side) == _GA.get(codec, ()) for side in ("input", "output"))
    form = echoed.get("input_audio_format")
    rate = echoed.get("input_audio_sampling_rate") or (24000 if form == "pcm16" else 8000)
    return (form, rate) == _FLAT_IN.get(codec) and echoed.get("output_audio_format") == _FLAT_OUT.get(codec)


def differences(asked: Mapping[str, Any], echoed: Mapping[str, Any]) -> list[str]:
    """What of the session that we asked for the model did not take, one short text for each field.

    Long texts and secrets are not quoted, and of tools only the names count.
    """
    return list(_differences("", asked, echoed))


def _differences(place: str, asked: Mapping[str, Any], echoed: object) -> Iterator[str]:
    for name, wanted in asked.items():
        where = f"{place}.{name}" if place else name
        found = echoed.get(name) if isinstance(echoed, Mapping) else None
        if isinstance(wanted, Mapping):
            yield from _differences(where, wanted, found)
        elif name == "tools":
            missing = sorted(_names(wanted) - _names(found))
            if missing:
                yield f"{where}: not taken: {', '.join(missing)}"
        elif not _same(wanted, found):
            yield (
                f"{where}: not as asked"
                if name in _NOT_SHOWN
                else (f"{where}: asked for {_shown(wanted)}, got {_shown(found)}")
            )


def _ga_format(audio: object, side: str) -> tuple[object, ...]:
    """Type and rate of `audio.SIDE.format`."""
    form: object = audio
    for name in (side, "format"):
        form = form.get(name) if isinstance(form, Mapping) else None
    if not isinstance(form, Mapping):
        return (None, None)
    return (form.get("type"), form.get("rate") or (24000 if form.get("type") == "audio/pcm" else 8000))


def _names(tools: object) -> set[str]:
    """The names of functions and the labels of MCP servers."""
    listed = tools if isinstance(tools, list) else []
    named = [tool.get("name") or tool.get("server_label") for tool in listed if isinstance(tool, Mapping)]
    return {name for name in named if isinstance(name, str)}


def _same(wanted: object, found: object) -> bool:
    if isinstance(wanted, float) and isinstance(found, int | float):
        return isclose(wanted, found, rel_tol=1e-4)  # services keep 32-bit floats
    return wanted == found


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, str | int | float):
        return "something else"  # not written out: it may be large, or nested without end
    text = repr(value[: _SHOWN * 2] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
