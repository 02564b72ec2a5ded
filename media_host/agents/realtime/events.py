"""The GA dialect of realtime models, without a socket: what we send, and what we make of what comes (realtime.md 2-4, 11).

Audio is not parsed: a delta in the usual shape is cut out of its frame, an append is spliced around the caller's text.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from media_host.agents.base import Codec, ToolSpec

APPEND = b'{"type":"input_audio_buffer.append","audio":"'
APPEND_END = b'"}'
DELTA_TYPE = b'"type":"response.output_audio.delta"'

BENIGN = frozenset(
    {
        "response_cancel_not_active",
        "item_already_truncated",
        "input_audio_buffer_commit_empty",
        "conversation_already_has_active_response",
        "invalid_value",  # "already shorter", after configuration
        "item_truncate_invalid_item_id",
        "item_delete_invalid_item_id",
    }
)
FATAL = frozenset(
    {
        "invalid_api_key",
        "insufficient_quota",
        "account_deactivated",
        "billing_hard_limit_reached",
        "session_expired",
    }
)


def error_class(code: str) -> Literal["benign", "fatal", "other"]:
    """What an error code means for a session that is configured (realtime.md section 11)."""
    return "fatal" if code in FATAL else "benign" if code in BENIGN else "other"


def encode(event: Mapping[str, object]) -> bytes:
    """A client event as the text of a frame."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def session_update(instructions: str, voice: str, tools: Sequence[ToolSpec]) -> dict[str, object]:
    """The configuration of a session: 24 kHz PCM both ways, server VAD (realtime.md sections 0.4 and 2)."""
    pcm = {"type": "audio/pcm", "rate": Codec.PCM16_24K.sample_rate}
    speaking: dict[str, object] = {"format": pcm}
    if voice:
        speaking["voice"] = voice
    session: dict[str, object] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": pcm,
                "turn_detection": {
                    "type": "server_vad",
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": speaking,
        },
    }
    if instructions:
        session["instructions"] = instructions
    if tools:
        session["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }
            for tool in tools
        ]
        session["tool_choice"] = "auto"
    return {"type": "session.update", "event_id": "cfg_1", "session": session}


def user_text(text: str) -> dict[str, object]:
    """Something the caller did that is no speech."""
    content = [{"type": "input_text", "text": text}]
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": content},
    }


def system_text(text: str) -> dict[str, object]:
    """Something the model is to know, as data."""
    content = [{"type": "input_text", "text": text}]
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "system", "content": content},
    }


def tool_output(call_id: str, output: Mapping[str, object]) -> dict[str, object]:
    """The answer to a function call."""
    item = {"type": "function_call_output", "call_id": call_id, "output": json.dumps(output)}
    return {"type": "conversation.item.create", "item": item}


def audio_format_of(session: object, side: Literal["input", "output"]) -> object:
    """`session.audio.SIDE.format` of a session.updated, or None."""
    for name in ("audio", side, "format"):
        session = session.get(name) if isinstance(session, Mapping) else None
    return session


def is_24k_pcm(value: object) -> bool:
    """Whether an echoed format is what the line carries; a missing rate is 24000, the only one there is."""
    return (
        isinstance(value, Mapping)
        and value.get("type") == "audio/pcm"
        and value.get("rate", Codec.PCM16_24K.sample_rate) == Codec.PCM16_24K.sample_rate
    )


def audio_start(frame: bytes) -> int:
    """Where the base64 text begins in an audio delta of the usual shape: flat, the audio last, no escapes.

    Returns:
        The index behind `"delta":"`; the text ends two bytes before the frame does. -1 for every other frame, which is
        to be parsed as JSON. A quotation mark inside a JSON string is always escaped, so what is found here is a key.
    """
    at = frame.find(b'"delta":"', 0, 1024)
    if at < 0 or frame.find(DELTA_TYPE, 0, at) < 0 or frame.find(b"{", 1, at) > 0:
        return -1
    at += 9
    if frame.find(b'"', at) != len(frame) - 2 or not frame.endswith(b'"}') or frame.find(b"\\", at) > 0:
        return -1
    return at


class Ids(msgspec.Struct):
    """The ids of an audio delta."""

    response_id: str
    item_id: str


_IDS = msgspec.json.Decoder(Ids)


def delta_ids(frame: bytes, start: int) -> Ids:
    """The ids of a delta whose audio starts at `start`.

    Raises:
        msgspec.DecodeError: they are missing, or what stands before the audio is no JSON.
    """
    return _IDS.decode(frame[:start] + b'"}')


class WholeSamples:
    """Makes whole PCM16 samples of deltas that split one: the odd byte waits for the next delta (realtime.md section 5)."""

    def __init__(self) -> None:
        self._carried = b""

    @property
    def carrying(self) -> bool:
        """Whether half a sample waits."""
        return bool(self._carried)

    def take(self, text: bytes) -> bytes:
        """Base64 text of whole samples, unchanged if it was so already.

        Raises:
            binascii.Error: it is no base64.
        """
        if not self._carried and len(text) % 8 == 0 and not text.endswith(b"="):
            return text
        raw = self._carried + base64.b64decode(text)
        even = len(raw) & ~1
        self._carried = raw[even:]
        return base64.b64encode(raw[:even])

    def drop(self) -> None:
        """A new turn: half a sample of the old one is of no use."""
        self._carried = b""
