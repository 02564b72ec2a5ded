"""What the emulated model does wrong when a test asks for it. The default is to do nothing wrong.

Given to `EmulatedModel(faults=…)`, changed for further sessions by `model.faults`, or in mid-session by `session.faults`;
from a command line by `--fault KNOB=VALUE`. Each is something that users of the real services have met (realtime.md 5, 11, 13).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from shared.errors import InvalidInput

MOST = 3600.0


@dataclass(slots=True)
class ModelFaults:
    """Knobs of one session; counts go down as faults happen.

    Attributes:
        sessions: only so many sessions have these faults, from the first one on; None is all of them. Handshakes that
            `handshake_status` refuses are no sessions.
        handshake_status: answers to the first handshakes instead of the upgrade: 401, 403, 404, 429 (with Retry-After), 5xx.
        mute: what is never answered: `session` (not even `session.created`), `update` (no `session.updated`) or
            `responses` (`response.create` is taken and nothing follows).
        first_audio_s: from the beginning of a response to its first audio (s).
        speed: audio is sent so many times as fast as it is heard; 10 is a burst. 0 sends all at once.
        chunk_ms: shortest and longest audio delta (ms); each length between is as likely.
        odd_bytes: deltas end inside a sample.
        expires_after_s: the session's life (s), as `expires_at` says; then it ends as the next three knobs say.
        expiry_error: the event `error` with `session_expired` comes before the end.
        close_code: 1001, 1011 …; 1006 cuts the connection without a word.
        lost_after_s: the connection ends after this time (s) without any announcement, by `close_code`; None is never.
        failed_responses: so many responses fail at once, with `response_error`.
        response_error: code of a failed response.
        unknown_events: so many responses begin with an event of a type that nobody knows.
        double_updated: `session.updated` is sent twice.
        updated_format: the echoed session names this audio format instead of the one that was asked for.
        ignored_silence: `silence_duration_ms` is taken and ignored; the echo has the default.
        deaf: speech is never noticed (as with semantic_vad on Azure OpenAI).
        duplicate_arguments: `response.function_call_arguments.done` and the item's end are sent twice.
        huge_frame: after `session.updated` comes an event of 8 MiB.
        malformed: so many responses begin with a frame that is no JSON.
        truncate_refused: `conversation.item.truncate` is answered by `invalid_value`, whatever it says.
        transcription_failed: so many transcriptions of the caller fail.
        late_transcript_s: the caller's transcript comes this much later (s), after the answer.
    """

    sessions: int | None = None
    handshake_status: Sequence[int] = ()
    mute: Literal["", "session", "update", "responses"] = ""
    first_audio_s: float = 0.15
    speed: float = 4.0
    chunk_ms: tuple[int, int] = (40, 260)
    odd_bytes: bool = False
    expires_after_s: float = MOST
    expiry_error: bool = True
    close_code: int = 1001
    lost_after_s: float | None = None
    failed_responses: int = 0
    response_error: str = "rate_limit_exceeded"
    unknown_events: int = 0
    double_updated: bool = False
    updated_format: str = ""
    ignored_silence: bool = False
    deaf: bool = False
    duplicate_arguments: bool = False
    huge_frame: bool = False
    malformed: int = 0
    truncate_refused: bool = False
    transcription_failed: int = 0
    late_transcript_s: float = 0.0

    def for_session(self) -> "ModelFaults":
        """A session's own copy; the plain defaults when `sessions` are used up."""
        if self.sessions is not None:
            if self.sessions <= 0:
                return ModelFaults()
            self.sessions -= 1
        return dataclasses.replace(self)

    def take(
        self, name: Literal["failed_responses", "unknown_events", "malformed", "transcription_failed"]
    ) -> bool:
        """Whether this fault is due; if so, there is one less of it."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True

    def take_status(self) -> int | None:
        """The status with which this handshake is refused, or None."""
        if not self.handshake_status:
            return None
        status, *rest = self.handshake_status
        self.handshake_status = tuple(rest)
        return status


def parse_model_faults(value: object) -> ModelFaults:
    """Faults from JSON or YAML data with the fields of `ModelFaults`.

    Raises:
        InvalidInput: names the wrong knob.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput("faults", "a mapping of knobs to values")
    known = [item.name for item in dataclasses.fields(ModelFaults)]
    for name in value:
        if name not in known:
            raise InvalidInput(f"faults.{name}", "one of " + ", ".join(sorted(known)))
    try:
        faults: ModelFaults = msgspec.convert(dict(value), ModelFaults)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidInput(f"faults{path.rstrip('`')}", text) from None
    if any(not 400 <= status <= 599 for status in faults.handshake_status):
        raise InvalidInput("faults.handshake_status", "statuses from 400 to 599")
    if not 1 <= faults.chunk_ms[0] <= faults.chunk_ms[1] <= 10_000:
        raise InvalidInput("faults.chunk_ms", "shortest and longest, 1 to 10000 ms")
    for name in ("first_audio_s", "speed", "expires_after_s", "late_transcript_s"):
        if not 0 <= getattr(faults, name) <= MOST:
            raise InvalidInput(f"faults.{name}", "a number from 0 to 3600")
    return faults
