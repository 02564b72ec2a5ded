"""What a session needs of the telephone side of a call, whoever provides it.

A line is made before its session, which then sets whom it tells (`on_audio`, `on_key`, `on_fault`, `on_mark`, `on_stop`).
"""

from collections.abc import Callable
from typing import Protocol

from media_host.agents.base import Codec
from media_host.websocket import WebSocketConnection


class Line(Protocol):
    """The telephone side of one call.

    Attributes:
        codec: the session's format; what a line has otherwise it converts itself.
        audio_format: what the record calls the line's own format.
        on_audio: gets each piece of the caller's audio, base64 in `codec`.
        on_key: gets each key.
        on_fault: called when this side of the call cannot go on, with a machine name.
        on_mark: gets the name of each mark that the line has sent back.
        on_stop: called when the caller has gone, by the line's own word.
        send_mark: sends a mark that comes back when everything before it has been played; None on a line without marks.
        ready: the other side has described its audio as we expect it.
        bad_frames: frames that could not be read.
        sends_keys: keys can be pressed on it.
        ends_by_rest: a call is ended by REST, and then the other side closes the WebSocket; otherwise closing it is all.
        reports_end: the other side reports to the function app what became of a call; otherwise this host records it.
        stopped: `on_stop` was called.
        fault_code: the close code after a fault of ours.
    """

    codec: Codec
    audio_format: str
    on_audio: Callable[[bytes], None]
    on_key: Callable[[str], None]
    on_fault: Callable[[str], None]
    on_mark: Callable[[str], None]
    on_stop: Callable[[], None]
    send_mark: Callable[[str], None] | None
    ready: bool
    bad_frames: int
    sends_keys: bool
    ends_by_rest: bool
    reports_end: bool
    stopped: bool
    fault_code: int

    @property
    def dropped(self) -> int:
        """Messages that the line was too slow to take."""

    def attach(self, connection: WebSocketConnection) -> None:
        """Use `connection`, before it delivers anything."""

    def on_text(self, frame: bytes) -> None:
        """A frame from the other side."""

    def send_audio(self, data: bytes) -> None:
        """Base64 audio in `codec` to the caller."""

    def stop_audio(self) -> None:
        """Let the other side forget what it has not played."""

    async def played_out(self, within_s: float) -> bool:
        """Wait until the other side has played everything, `within_s` seconds at most; whether it says so."""

    async def hang_up(self, *, everyone: bool) -> str:
        """End the call, or only our part of it; why that failed, or ""."""

    def over(self) -> None:
        """The caller has gone, or the WebSocket is closed: nothing is waited for any more."""

    def close(self, code: int = 1000) -> None:
        """Close the WebSocket."""


def nobody(*_: object) -> None:
    """Where a line's words go until there is a session."""
