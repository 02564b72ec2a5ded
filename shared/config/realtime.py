"""The part of `patchcord.yaml` that is about a realtime model: which service, how to be let in, and its session.

`reference/realtime.md` sections 1 and 2 have the facts. What a service would refuse, or take and then ignore, is refused here.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from shared.config.agent import ConversationalAgent
from shared.config.checks import SECRET, SECRET_EXPECTED, Mistake, Part
from shared.config.voices import voice_mistakes

HOSTS = {
    "openai": ("api.openai.com", "eu.api.openai.com"),
    "azure-openai": (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
    "voice-live": (".services.ai.azure.com", ".cognitiveservices.azure.com"),
}
"""Where keys and tokens may be sent to, by service: whole names, and domains (those that begin with a dot)."""

LOOPBACK = re.compile(r"(ws|http)://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?")


class FoundryAgent(Part, frozen=True, kw_only=True):
    """A Foundry agent behind Voice Live; instructions, tools and model are then its own."""

    name: str
    project: str
    version: str = ""
    identity_client_id: str = ""
    resource_override: str = ""


class TurnDetection(Part, frozen=True, kw_only=True):
    """When the caller is taken to begin and to end speaking; None leaves a value to the service.

    Attributes:
        type: `server_vad`, `semantic_vad` (OpenAI), or one of Voice Live's `azure_semantic_vad…`.
        threshold: 0 to 1; higher needs louder speech. Telephone lines want 0.6 and more.
        prefix_padding_ms, silence_duration_ms, speech_duration_ms: ms (the last one: Voice Live).
        eagerness: `semantic_vad`: how soon it takes a turn.
        remove_filler_words, languages: Voice Live's semantic ones.
        end_of_utterance: Voice Live: its `end_of_utterance_detection`: `model`, `threshold_level`, `timeout_ms`.
    """

    type: Literal[
        "",
        "server_vad",
        "semantic_vad",
        "azure_semantic_vad",
        "azure_semantic_vad_en",
        "azure_semantic_vad_multilingual",
    ] = ""
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    speech_duration_ms: int | None = None
    eagerness: Literal["", "low", "medium", "high", "auto"] = ""
    remove_filler_words: bool | None = None
    languages: list[str] = []
    end_of_utterance: dict[str, Any] = {}


class Transcription(Part, frozen=True, kw_only=True):
    """Transcripts of the caller; `model` is a deployment's name on Azure OpenAI. `phrases`: for Voice Live's `azure-speech`."""

    model: str
    language: str = ""
    phrases: list[str] = []


class InterimResponse(Part, frozen=True, kw_only=True):
    """Voice Live: what is said while the answer takes its time.

    `texts` are fixed; without any a model makes them. No `triggers` means both.
    """

    texts: list[str] = []
    instructions: str = ""
    triggers: list[Literal["tool", "latency"]] = []
    latency_threshold_ms: int = 2000


class RealtimeAgentConfig(ConversationalAgent, tag="realtime", frozen=True, kw_only=True):
    """A realtime speech model: which, and its session.

    Attributes:
        service: whose.
        endpoint: the resource's https address; for `openai` it may be left out. ws:// on loopback takes an emulated model.
        model: the model's name; on Azure OpenAI the deployment's.
        api_version: Voice Live's.
        foundry_agent: Voice Live: an agent instead of a model.
        auth: `key`, or `entra` for a managed identity (or whoever runs this, locally).
        key: reference to the key.
        voice: a name, or Voice Live's voice object such as `{type: azure-standard, name: …}`.
        speed: 0.25 to 1.5; Voice Live: 0.5 to 1.5.
        temperature: Voice Live's.
        max_output_tokens: of one response.
        turn_detection, transcription, interim_response: see there.
        noise_reduction: `near_field`, `far_field`; Voice Live also `azure_deep_noise_suppression`.
        echo_cancellation: Voice Live's.
        max_session_s: a session is renewed after this long at most (s), sooner if the service says so.
        connections_per_minute: new sessions that the resource allows; more fall back at once.
    """

    service: Literal["openai", "azure-openai", "voice-live"]
    endpoint: str = ""
    model: str = ""
    api_version: str = "2026-07-15"
    foundry_agent: FoundryAgent | None = None
    auth: Literal["key", "entra", "none"] = "key"
    key: str = ""
    voice: str | dict[str, Any] = ""
    speed: float | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    turn_detection: TurnDetection = TurnDetection()
    transcription: Transcription | None = None
    noise_reduction: Literal["", "near_field", "far_field", "azure_deep_noise_suppression"] = ""
    echo_cancellation: bool = False
    interim_response: InterimResponse | None = None
    max_session_s: int = 1500
    connections_per_minute: int = 30

    @property
    def is_emulated(self) -> bool:
        """Whether the model is on this machine."""
        return bool(LOOPBACK.fullmatch(self.endpoint))


def realtime_mistakes(place: str, agent: RealtimeAgentConfig) -> Iterator[Mistake]:
    """What is wrong with a realtime agent."""
    yield from _endpoint_mistakes(place, agent)
    yield from _model_mistakes(place, agent)
    yield from _session_mistakes(place, agent)
    yield from _turn_mistakes(f"{place}.turn_detection", agent)
    for name, value, low, high in (
        ("max_session_s", agent.max_session_s, 60, 7200),
        ("connections_per_minute", agent.connections_per_minute, 1, 10_000),
        ("max_output_tokens", agent.max_output_tokens, 1, 4096),
    ):
        if value is not None and not low <= value <= high:
            yield Mistake(f"{place}.{name}", f"a whole number from {low} to {high}", str(value))


def _endpoint_mistakes(place: str, agent: RealtimeAgentConfig) -> Iterator[Mistake]:
    if not (_is_known(agent) or agent.is_emulated or (not agent.endpoint and agent.service == "openai")):
        shown = ", ".join(("NAME" if name.startswith(".") else "") + name for name in HOSTS[agent.service])
        yield Mistake(
            f"{place}.endpoint",
            f"https:// and one of {shown}, without a path (ws:// only on loopback)",
            agent.endpoint,
        )
    if agent.service == "voice-live" and not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", agent.api_version):
        yield Mistake(f"{place}.api_version", "a version such as 2026-07-15", agent.api_version)
    if agent.auth == "none" and not agent.is_emulated:
        yield Mistake(f"{place}.auth", "key or entra (none is for an emulated model)", agent.auth)
    if agent.auth == "entra" and agent.service == "openai":
        yield Mistake(f"{place}.auth", "key: OpenAI knows no Entra tokens", agent.auth)
    if agent.auth == "key" and not SECRET.fullmatch(agent.key):
        yield Mistake(f"{place}.key", SECRET_EXPECTED)  # not shown: it may be the key


def _is_known(agent: RealtimeAgentConfig) -> bool:
    """Whether the service's keys may be sent to the endpoint."""
    host = re.fullmatch(r"(?:https|wss)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)/?", agent.endpoint.lower())
    return host is not None and any(
        host[1].endswith(name) if name.startswith(".") else host[1] == name for name in HOSTS[agent.service]
    )


def _model_mistakes(place: str, agent: RealtimeAgentConfig) -> Iterator[Mistake]:
    foundry = agent.foundry_agent
    if foundry is None:
        if not agent.model:
            yield Mistake(f"{place}.model", "the model's name (Azure OpenAI: the deployment's)")
        return
    if agent.service != "voice-live":
        yield Mistake(f"{place}.foundry_agent", "service: voice-live, which alone knows Foundry agents")
    if not (foundry.name and foundry.project):
        yield Mistake(f"{place}.foundry_agent", "a name and a project")
    if agent.auth == "key":
        yield Mistake(f"{place}.auth", "entra: Foundry agents do not take keys", agent.auth)
    for name, given in (
        ("model", agent.model),
        ("instructions", agent.instructions),
        ("tools", agent.tools),
        ("temperature", agent.temperature is not None),
        ("max_output_tokens", agent.max_output_tokens is not None),
    ):
        if given:
            yield Mistake(f"{place}.{name}", "nothing beside foundry_agent, which has its own in Foundry")


def _session_mistakes(place: str, agent: RealtimeAgentConfig) -> Iterator[Mistake]:
    flat = agent.service == "voice-live"
    if not flat:
        for name, there in (
            ("audio", agent.audio != "pcm24KMono"),
            ("temperature", agent.temperature is not None),
            ("echo_cancellation", agent.echo_cancellation),
            ("interim_response", agent.interim_response is not None),
            ("noise_reduction", agent.noise_reduction == "azure_deep_noise_suppression"),
        ):
            if there:
                yield Mistake(f"{place}.{name}", "a value that is not only Voice Live's")
    yield from voice_mistakes(
        f"{place}.voice", agent.voice, voice_live=flat, with_speed=agent.speed is not None
    )
    for name, number, low, high in (
        ("speed", agent.speed, 0.5 if flat else 0.25, 1.5),
        ("temperature", agent.temperature, 0, 1.2),
    ):
        if number is not None and not low <= number <= high:
            yield Mistake(f"{place}.{name}", f"a number from {low:g} to {high:g}", f"{number:g}")
    heard = agent.transcription
    if heard is not None and not heard.model:
        yield Mistake(f"{place}.transcription.model", "the model's name (Azure OpenAI: the deployment's)")
    if heard is not None and heard.phrases and not (flat and heard.model == "azure-speech"):
        yield Mistake(
            f"{place}.transcription.phrases", "model: azure-speech (Voice Live), which alone takes them"
        )
    interim = agent.interim_response
    if interim is not None and interim.texts and interim.instructions:
        yield Mistake(f"{place}.interim_response", "texts or instructions, not both")
    if interim is not None and not 0 <= interim.latency_threshold_ms <= 60_000:
        yield Mistake(
            f"{place}.interim_response.latency_threshold_ms",
            "milliseconds from 0 to 60000",
            str(interim.latency_threshold_ms),
        )


def _turn_mistakes(place: str, agent: RealtimeAgentConfig) -> Iterator[Mistake]:
    wanted = agent.turn_detection
    flat = agent.service == "voice-live"
    if agent.service == "azure-openai" and wanted.type == "semantic_vad":
        yield Mistake(
            f"{place}.type",
            "server_vad: Azure OpenAI takes semantic_vad and then never reports speech (livekit/agents#6871)",
            wanted.type,
        )
    if flat and wanted.type == "semantic_vad":
        yield Mistake(f"{place}.type", "azure_semantic_vad or another of Voice Live's", wanted.type)
    if not flat and wanted.type.startswith("azure_"):
        yield Mistake(f"{place}.type", "server_vad or semantic_vad (azure_… is Voice Live's)", wanted.type)
    kind = wanted.type or ("azure_semantic_vad" if flat else "server_vad")
    azure = kind.startswith("azure_")
    for name, given, fits in (
        ("threshold", wanted.threshold is not None, kind != "semantic_vad"),
        ("prefix_padding_ms", wanted.prefix_padding_ms is not None, kind != "semantic_vad"),
        ("silence_duration_ms", wanted.silence_duration_ms is not None, kind != "semantic_vad"),
        ("eagerness", bool(wanted.eagerness), kind == "semantic_vad"),
        ("speech_duration_ms", wanted.speech_duration_ms is not None, azure),
        ("remove_filler_words", wanted.remove_filler_words is not None, azure),
        ("languages", bool(wanted.languages), azure and kind != "azure_semantic_vad_en"),
        ("end_of_utterance", bool(wanted.end_of_utterance), flat),
    ):
        if given and not fits:
            yield Mistake(f"{place}.{name}", f"nothing: {kind} of {agent.service} does not know it")
    if wanted.threshold is not None and not 0.01 <= wanted.threshold < 1:
        yield Mistake(f"{place}.threshold", "a number from 0.01 to below 1", f"{wanted.threshold:g}")
    for name, value in (
        ("prefix_padding_ms", wanted.prefix_padding_ms),
        ("silence_duration_ms", wanted.silence_duration_ms),
        ("speech_duration_ms", wanted.speech_duration_ms),
    ):
        if value is not None and not 0 <= value <= 10_000:
            yield Mistake(f"{place}.{name}", "milliseconds from 0 to 10000", str(value))
    yield from _utterance_mistakes(f"{place}.end_of_utterance", wanted.end_of_utterance)


def _utterance_mistakes(place: str, wanted: dict[str, Any]) -> Iterator[Mistake]:
    """`azure.ai.voicelive.models.EouDetection` has the fields."""
    if not wanted:
        return
    models = tuple("semantic_detection_v1" + language for language in ("", "_en", "_multilingual"))
    levels = ("low", "medium", "high", "default")
    timeout = wanted.get("timeout_ms", 1)
    for name, fits, expected in (
        ("model", wanted.get("model") in models, f"one of {', '.join(models)}"),
        ("threshold_level", wanted.get("threshold_level", "low") in levels, f"one of {', '.join(levels)}"),
        ("timeout_ms", type(timeout) is int and 0 < timeout <= 10_000, "milliseconds from 1 to 10000"),
    ):
        if not fits:
            yield Mistake(f"{place}.{name}", expected, str(wanted.get(name, "")))
    for name in wanted.keys() - {"model", "threshold_level", "timeout_ms"}:
        yield Mistake(f"{place}.{name}", "nothing: Voice Live does not know it")
