"""What we say to the model, with an id on every event, so that an error tells what it is about (realtime.md section 3)."""

from collections.abc import Callable, Mapping
from typing import Any

from media_host.agents.realtime.dialect import Dialect
from media_host.agents.realtime.responses import Ask

CONFIGURATION = "cfg_"
"""Begins the ids of what configures a session: an error about it is a mistake of patchcord.yaml."""


class ModelClient:
    """One call's; whichever session is there takes the frames.

    Args:
        dialect: the service's.
        send: takes a frame.
    """

    def __init__(self, dialect: Dialect, send: Callable[[bytes], None]) -> None:
        self.dialect = dialect
        self._send = send
        self._count = 0

    def configure(self, session: Mapping[str, Any]) -> None:
        """Change the session."""
        self._send(self.dialect.session_update(session, self._id(CONFIGURATION)))

    def note(self, text: str) -> None:
        """Something the model is to know."""
        self._send(self.note_frame(text))

    def note_frame(self, text: str) -> bytes:
        """The same, to be sent later."""
        return self.dialect.system_text(text, self._id("note_"))

    def said_frame(self, who: str, text: str) -> bytes:
        """What was said in another session."""
        write = self.dialect.user_text if who == "caller" else self.dialect.assistant_text
        return write(text, self._id("said_"))

    def keys(self, keys: str) -> None:
        """Keys that the caller pressed."""
        self._send(self.dialect.user_text(f"[keypad] {keys}", self._id("keys_")))

    def respond(self, event_id: str, ask: Ask) -> None:
        """Ask for a response."""
        self._send(self.dialect.response_create(event_id, exact=ask.exact))

    def cancel(self, response: str) -> None:
        """Stop a response."""
        self._send(self.dialect.cancel(response, self._id("cancel_")))

    def cut(self, item: str, heard_ms: int) -> None:
        """Forget what was not heard of an item: all of it, or what comes after `heard_ms`."""
        if heard_ms > 0:
            self._send(self.dialect.truncate(item, 0, heard_ms, self._id("cut_")))
        else:
            self._send(self.dialect.delete(item, self._id("cut_")))

    def tool_output(self, call_id: str, output: str) -> None:
        """Answer a function call."""
        self._send(self.dialect.tool_output(call_id, output, self._id("tool_")))

    def mcp_approval(self, approval_id: str, *, approve: bool) -> None:
        """Allow or refuse a tool of an MCP server."""
        self._send(self.dialect.mcp_approval(approval_id, approve, self._id("mcp_")))

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"
