"""The two dialects: GA (OpenAI, Azure OpenAI `/openai/v1`) and flat (Voice Live), as the server speaks them (realtime.md 4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from emulator.realtime import sessions_flat as flat
from emulator.realtime import sessions_ga as ga
from emulator.realtime.errors import ClientError, refusal
from emulator.realtime.formats import FLAT_OUTPUTS, Format, flat_input, ga_format

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Names and shapes.

    Attributes:
        name: `ga` or `flat`.
        audio, transcript: prefixes of the events about what is spoken.
        spoken, written: types of an assistant's content.
        item_events: what a new item is announced by: one event at its beginning, or one more at its end.
        rate_limits: whether `rate_limits.updated` is sent.
        defaults: the session before its first update.
    """

    name: str
    audio: str
    transcript: str
    spoken: str
    written: str
    item_events: tuple[str, ...]
    rate_limits: bool
    defaults: Callable[[str, str, int], Json]

    @property
    def is_ga(self) -> bool:
        """Whether this is OpenAI's."""
        return self.name == "ga"

    def updated(self, session: Json, value: Json) -> Json:
        """The session after an update.

        Raises:
            ClientError: a field is wrong.
        """
        if "model" in value:
            raise ClientError("invalid_value", "The model of a session cannot be changed.", "session.model")
        try:
            if self.is_ga:
                if "type" not in value:  # flat sessions end here, whatever else they have
                    text = "Missing required parameter: 'session.type'."
                    raise ClientError("missing_required_parameter", text, "session.type")
                return ga.merged(session, msgspec.convert(value, ga.Update))
            if "agent" in session:
                for name in flat.FROM_FOUNDRY:
                    if name in value:
                        text = f"'{name}' is set by the agent."
                        raise ClientError("invalid_value", text, f"session.{name}")
            return flat.merged(session, msgspec.convert(value, flat.Update))
        except msgspec.ValidationError as error:
            raise refusal(error, "session") from None

    def response_create(self, value: Json) -> ga.ResponseCreate | flat.ResponseCreate:
        """The object in `response.create`.

        Raises:
            ClientError: a field is wrong.
        """
        try:
            if self.is_ga:
                return msgspec.convert(value, ga.ResponseCreate)
            return msgspec.convert(value, flat.ResponseCreate)
        except msgspec.ValidationError as error:
            raise refusal(error, "response") from None

    # --- what a session says ---

    def input_format(self, session: Json) -> Format:
        """Of the caller's audio."""
        return ga_format(session["audio"]["input"]["format"]) if self.is_ga else flat_input(session)

    def output_format(self, session: Json) -> Format:
        """Of the model's audio."""
        if self.is_ga:
            return ga_format(session["audio"]["output"]["format"])
        return FLAT_OUTPUTS[session["output_audio_format"]]

    def turn_detection(self, session: Json) -> Mapping[str, Any] | None:
        """None: the client ends each turn by hand."""
        holder = session["audio"]["input"] if self.is_ga else session
        found: Json | None = holder["turn_detection"]
        return found

    def transcribes(self, session: Json) -> bool:
        """Whether the caller's words are reported."""
        if self.is_ga:
            return session["audio"]["input"]["transcription"] is not None
        return session["input_audio_transcription"] is not None

    def voice(self, session: Json) -> object:
        """Who speaks."""
        return session["audio"]["output"]["voice"] if self.is_ga else session["voice"]

    def speaks(self, modalities: list[str]) -> bool:
        """Whether a response with these modalities is spoken."""
        return "audio" in modalities

    def modalities(self, session: Json) -> list[str]:
        """Of responses that name none."""
        found: list[str] = session["output_modalities" if self.is_ga else "modalities"]
        return found

    def wordy(self, session: Json) -> bool:
        """Whether the time of each word is reported."""
        return "word" in session.get("output_audio_timestamp_types", ())

    def with_format(self, session: Json, name: str) -> Json:
        """The session as if another format had been set."""
        if not self.is_ga:
            return {**session, "input_audio_format": name, "output_audio_format": name}
        audio = session["audio"]
        return {**session, "audio": {side: {**audio[side], "format": {"type": name}} for side in audio}}

    def with_turn_detection(self, session: Json, **values: object) -> Json:
        """The session with other values in its turn detection."""
        changed = {**(self.turn_detection(session) or {}), **values}
        if not self.is_ga:
            return {**session, "turn_detection": changed}
        audio = session["audio"]
        return {**session, "audio": {**audio, "input": {**audio["input"], "turn_detection": changed}}}

    # --- shapes ---

    def response(self, session: Json, modalities: list[str], **fields: object) -> Json:
        """A response object."""
        if self.is_ga:
            output = session["audio"]["output"]
            audio = {"output": {"format": output["format"], "voice": output["voice"]}}
            return {
                "object": "realtime.response",
                "output_modalities": modalities,
                "audio": audio,
                "max_output_tokens": session["max_output_tokens"],
                **fields,
            }
        return {
            "object": "realtime.response",
            "modalities": modalities,
            "voice": session["voice"],
            "output_audio_format": session["output_audio_format"],
            "temperature": session["temperature"],
            "max_output_tokens": session["max_response_output_tokens"],
            **fields,
        }

    def usage(self, news: int, spoken_ms: float) -> Json:
        """Tokens, roughly as the services count: 10 a second of caller audio is not known here, so only texts and speech."""
        spoken = round(spoken_ms / 50)
        before: Json = {"text_tokens": news * 20, "audio_tokens": 0, "cached_tokens": 0}
        kept: Json = {"text_tokens": 0, "audio_tokens": 0}
        if not self.is_ga:
            before["image_tokens"] = kept["image_tokens"] = 0
        return {
            "total_tokens": news * 20 + spoken,
            "input_tokens": news * 20,
            "output_tokens": spoken,
            "input_token_details": {**before, "cached_tokens_details": kept},
            "output_token_details": {"text_tokens": 0, "audio_tokens": spoken},
        }


GA = Dialect(
    "ga",
    "response.output_audio",
    "response.output_audio_transcript",
    "output_audio",
    "output_text",
    ("conversation.item.added", "conversation.item.done"),
    True,
    ga.defaults,
)
FLAT = Dialect(
    "flat",
    "response.audio",
    "response.audio_transcript",
    "audio",
    "text",
    ("conversation.item.created",),
    False,
    flat.defaults,
)
