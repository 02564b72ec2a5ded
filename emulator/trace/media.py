"""Media sockets in the trace: the first frames, then counts per second; every other message by its kind alone.

Pressed keys and spoken words are never written: a `DtmfData` line says that a key was sent, not which. ACS names a message's kind
`kind`, Twilio `event`.
"""

import json
import re
import time
from collections.abc import Callable

from emulator.trace.record import Trace
from emulator.trace.redaction import redact_body, redact_headers, redact_url

FIRST_FRAMES = 3
MAX_OTHER = 1000
"""Lines for messages that are not audio, of one socket; after that they are only counted."""
TO_APP, FROM_APP = "to app", "from app"
_KIND = re.compile(rb'\s*\{\s*"(?:kind|event)"\s*:\s*"(\w{1,40})"', re.IGNORECASE)
_AUDIO = frozenset({"audiodata", "media"})
_NAMES = frozenset({"kind", "event"})
_SHOWN = frozenset({"audiometadata", "transcriptionmetadata"})
_SILENT = re.compile(rb'"silent"\s*:\s*true', re.IGNORECASE)


def kind_of(message: bytes) -> str:
    """The kind of a message as written, `?` when it has none."""
    found = _KIND.match(message)
    if found is not None:
        return found[1].decode()
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return "?"
    if not isinstance(value, dict):
        return "?"
    kind = next((item for key, item in value.items() if key.lower() in _NAMES), None)
    return kind[:40] if isinstance(kind, str) else "?"


class _Counter:
    """The audio of one direction within the present second."""

    def __init__(self) -> None:
        self.seen = 0
        self.frames = 0
        self.size = 0
        self.silent = 0


class SocketTrace:
    """One media connection.

    Args:
        trace: takes the lines.
        uri: the app's address.
        headers: of the upgrade.
        number: of the connection, to tell a call's sockets apart.
        call: whose it is; None when the headers say so.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        trace: Trace,
        uri: str,
        headers: dict[str, str],
        number: int,
        now: Callable[[], float] = time.monotonic,
        *,
        call: str | None = None,
    ) -> None:
        self._trace = trace
        self._now = now
        self._number = number
        self._call = call or trace.learn(
            {
                "correlationId": headers.get("x-ms-call-correlation-id"),
                "callConnectionId": headers.get("x-ms-call-connection-id"),
            }
        )
        self._where = redact_url(uri)
        self._headers = redact_headers(headers)
        self._started = now()
        self._counters = {TO_APP: _Counter(), FROM_APP: _Counter()}
        self._second = self._started
        self._others = 0
        self._opened = False
        self._closed = False

    def _line(self, what: str, **data: object) -> None:
        self._trace.line(self._call, "media", socket=self._number, **{"is": what}, **data)

    def opened(self) -> None:
        """The app took the upgrade; idempotent: its first messages may be read before the dialler knows of it."""
        if self._opened:
            return
        self._opened = True
        self._line("opened", where=self._where, ms=self._elapsed_ms(), headers=self._headers)

    def refused(self, why: str) -> None:
        """There is no connection; `why` is the name of an error."""
        self._line("refused", where=self._where, ms=self._elapsed_ms(), error=why)

    def _elapsed_ms(self) -> float:
        return round((self._now() - self._started) * 1000, 1)

    def message(self, way: str, message: bytes) -> None:
        """A message went `TO_APP` or came `FROM_APP`."""
        self.opened()
        kind = kind_of(message)
        if kind.lower() in _AUDIO:
            self._audio(way, message)
        else:
            self._other(way, kind, message)
        if self._now() - self._second >= 1:
            self._flush()

    def _audio(self, way: str, message: bytes) -> None:
        counter = self._counters[way]
        counter.seen += 1
        silent = _SILENT.search(message, max(0, len(message) - 60)) is not None
        if counter.seen <= FIRST_FRAMES:
            self._line("frame", dir=way, kind=kind_of(message), bytes=len(message), silent=silent)
            return
        counter.frames += 1
        counter.size += len(message)
        counter.silent += silent

    def _other(self, way: str, kind: str, message: bytes) -> None:
        self._others += 1
        if self._others > MAX_OTHER:
            return
        shown = {}
        if way == TO_APP and kind.lower() in _SHOWN:
            shown["message"] = redact_body(json.loads(message))
        self._line("message", dir=way, kind=kind, bytes=len(message), **shown)

    def _flush(self) -> None:
        self._second = self._now()
        for way, counter in self._counters.items():
            if counter.frames:
                self._line(
                    "second", dir=way, frames=counter.frames, bytes=counter.size, silent=counter.silent
                )
                counter.frames = counter.size = counter.silent = 0

    def closed(self, code: int, dropped: int) -> None:
        """The connection has ended with `code`; `dropped` frames did not go out. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._flush()
        total = {way: counter.seen for way, counter in self._counters.items()}
        self._line("closed", code=code, ms=self._elapsed_ms(), frames=total, dropped=dropped)
