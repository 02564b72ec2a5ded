"""What we say to a realtime model, and how its answers are read, in either of two dialects (realtime.md sections 2-4).

GA is spoken by OpenAI and by Azure OpenAI's `/openai/v1`; flat, the older one, by Voice Live. No socket and no clock here.
Audio is not built or parsed by these functions: the caller's base64 is put between `APPEND` and `APPEND_END`, and a
delta in the usual shape is cut out of its frame (`audio_frames`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from media_host.agents.realtime.server_events import ServerEvent
from media_host.agents.realtime.server_frames import FLAT_TYPES, GA_TYPES, Reader, read
from shared.config.realtime import RealtimeAgentConfig

APPEND = b'{"type":"input_audio_buffer.append","audio":"'
APPEND_END = b'"}'
"""What stands around the base64 text of the caller's audio; this one event has no id, for it is never answered."""

_encode = msgspec.json.Encoder().encode


class Dialect:
    """One dialect; each method that is named after something we want returns the frame (UTF-8) that says so.

    `event_id` is what an error about the event will name.

    Attributes:
        name: `ga` or `flat`.
        audio_delta_mark: bytes that every audio delta in the usual shape holds.
    """

    def __init__(
        self, name: Literal["ga", "flat"], *, audio: str, own_text: str, readers: Mapping[str, Reader]
    ) -> None:
        self.name = name
        self.audio_delta_mark = b'"type":"%s"' % audio.encode()
        self._own_text = own_text
        self._readers = readers

    def parse(self, frame: bytes) -> ServerEvent | None:
        """The event in a frame; None for those that nobody needs, or that are not known.

        Raises:
            InvalidInput: no JSON object with a type, or a field that we need is missing or of a wrong type.
        """
        return read(frame, self._readers)

    def session_update(self, session: Mapping[str, Any], event_id: str) -> bytes:
        """Configure the session as `session_setup.session_of` made it."""
        return _encode({"type": "session.update", "event_id": event_id, "session": session})

    def user_text(self, text: str, event_id: str) -> bytes:
        """Something that the caller did or said, and that is no audio."""
        return self._message("user", "input_text", text, event_id)

    def system_text(self, text: str, event_id: str) -> bytes:
        """Something that the model is to know."""
        return self._message("system", "input_text", text, event_id)

    def assistant_text(self, text: str, event_id: str) -> bytes:
        """Something that the agent has said before (a session that is replayed, a notice of the host's)."""
        return self._message("assistant", self._own_text, text, event_id)

    def tool_output(self, call_id: str, output: str, event_id: str) -> bytes:
        """The answer to a function call: `output` is the text of a JSON object."""
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        return _item(item, event_id)

    def mcp_approval(self, approval_id: str, approve: bool, event_id: str) -> bytes:
        """Allow or refuse the use of a tool of an MCP server."""
        item: dict[str, Any] = {"type": "mcp_approval_response"}
        if self.name == "ga":
            item["id"] = "mcpa_" + hashlib.sha256(approval_id.encode()).hexdigest()[:24]  # ours to choose
        item |= {"approval_request_id": approval_id, "approve": approve}
        return _item(item, event_id)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int, event_id: str) -> bytes:
        """Make the model forget what the caller did not hear of an item."""
        return _encode(
            {
                "type": "conversation.item.truncate",
                "event_id": event_id,
                "item_id": item_id,
                "content_index": content_index,
                "audio_end_ms": audio_end_ms,
            }
        )

    def delete(self, item_id: str, event_id: str) -> bytes:
        """Make the model forget an item."""
        return _encode({"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id})

    def cancel(self, response_id: str, event_id: str) -> bytes:
        """Stop making a response; "" is the present one."""
        event = {"type": "response.cancel", "event_id": event_id}
        return _encode(event | {"response_id": response_id} if response_id else event)

    def response_create(
        self,
        event_id: str,
        *,
        instructions: str = "",
        exact: str = "",
        tool_choice: Literal["", "none", "auto", "required"] = "",
        metadata: Mapping[str, str] | None = None,
        modalities: Sequence[Literal["text", "audio"]] | None = None,
    ) -> bytes:
        """Ask for a response.

        Args:
            event_id: see the class.
            instructions: in place of the session's, for this response.
            exact: words to be spoken, in place of instructions and tools; the flat dialect speaks exactly these, a GA
                model is asked to.
            tool_choice: "" leaves it to the session.
            metadata: comes back with `ResponseCreated`; at most 16 short texts.
            modalities: `["text"]` for a text without audio; None is what the session has, speech.
        """
        wanted: dict[str, Any] = {}
        if exact and self.name == "flat":
            content = [{"type": "text", "text": exact}]
            wanted["pre_generated_assistant_message"] = {
                "type": "message",
                "role": "assistant",
                "content": content,
            }
        elif exact:
            words = json.dumps(exact, ensure_ascii=False)
            wanted |= {
                "instructions": f"Say exactly these words, and nothing else: {words}",
                "tool_choice": "none",
            }
        else:
            wanted |= {"instructions": instructions} if instructions else {}
            wanted |= {"tool_choice": tool_choice} if tool_choice else {}
        if modalities is not None:
            wanted["output_modalities" if self.name == "ga" else "modalities"] = list(modalities)
        if metadata:
            wanted["metadata"] = dict(metadata)
        event: dict[str, Any] = {"type": "response.create", "event_id": event_id}
        return _encode(event | {"response": wanted} if wanted else event)

    def _message(self, role: str, content_type: str, text: str, event_id: str) -> bytes:
        content = [{"type": content_type, "text": text}]
        return _item({"type": "message", "role": role, "content": content}, event_id)


def _item(item: Mapping[str, Any], event_id: str) -> bytes:
    return _encode({"type": "conversation.item.create", "event_id": event_id, "item": item})


GA = Dialect("ga", audio="response.output_audio.delta", own_text="output_text", readers=GA_TYPES)
FLAT = Dialect("flat", audio="response.audio.delta", own_text="text", readers=FLAT_TYPES)


def dialect_of(config: RealtimeAgentConfig) -> Dialect:
    """The dialect that the agent's service speaks."""
    return FLAT if config.service == "voice-live" else GA
