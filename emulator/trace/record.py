"""Who a line of the trace belongs to, and what it looks like."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emulator.trace.files import COMMON, TraceFiles
from emulator.trace.redaction import fingerprint, redact_body, redact_headers

type Json = dict[str, Any]

KNOWN_IDS = 10_000
MAX_ID = 64 * 1024
NAME = re.compile(r"[0-9A-Za-z-]{1,64}")
ID_KEYS = ("callConnectionId", "serverCallId", "recordingId", "incomingCallContext")


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Trace:
    """Takes what happened on the wires and knows to which call it belongs.

    Args:
        folder: where the files go; None for listeners alone.
        now: Unix time (s).

    Attributes:
        listeners: called with every record, redacted as it is written; they must not block.
    """

    def __init__(self, folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self.files = None if folder is None else TraceFiles(folder)
        self.listeners: list[Callable[[Json], None]] = []
        self._now = now
        self._calls: OrderedDict[str, str] = OrderedDict()

    def close(self) -> None:
        """Write what waits and stop; blocks."""
        if self.files is not None:
            self.files.close()

    # --- whose is it ---

    def learn(self, *values: object) -> str | None:
        """The call that bodies speak of, or None; their other ids are remembered as that call's."""
        found = [item for value in values for item in _ids(value)]
        call = next((text for key, text in found if key == "correlationId"), None)
        if call is None:
            call = next((self._calls[text] for _, text in found if text in self._calls), None)
        if call is not None:
            for key, text in found:
                if key != "correlationId":
                    self._calls[text] = call
                    self._calls.move_to_end(text)
            while len(self._calls) > KNOWN_IDS:
                self._calls.popitem(last=False)
        return call

    # --- lines ---

    def line(self, call: str | None, what: str, **data: object) -> None:
        """One line of a call, or of none; `data` must hold no secrets any more."""
        record = {"at": _rfc3339(self._now()), "call": call, "what": what, **data}
        for listener in self.listeners:
            listener(record)
        if self.files is None:
            return
        text = json.dumps(record, ensure_ascii=False, default=str)
        name = f"call-{call}" if call is not None and NAME.fullmatch(call) else COMMON
        self.files.write(name, text.encode(errors="replace") + b"\n")

    def exchange(
        self,
        what: str,
        method: str,
        where: str,
        headers: Mapping[str, str],
        request: bytes,
        response: bytes | None,
        ms: float,
        outcome: Mapping[str, object],
        *,
        named: Mapping[str, str] | None = None,
    ) -> None:
        """One request and how it was answered.

        Args:
            what: `rest`, `callback`, `event` or `fetch`.
            method: the HTTP verb.
            where: path or address, redacted.
            headers: of the request.
            request: its body.
            response: the answer's body; None when nobody looked at it.
            ms: how long it took.
            outcome: `status`, or `error` when there was no answer.
            named: ids in the path, by their names in bodies.
        """
        asked, answered = parse(request), parse(response or b"")
        call = self.learn(answered, asked, named)
        data: Json = {"method": method, "where": where, **outcome, "ms": round(ms, 1)}
        if headers := redact_headers(headers):
            data["headers"] = headers
        if request:
            data["request"] = redact_body(asked)
        if response:
            data["response"] = redact_body(answered)
        self.line(call, what, **data)


def parse(body: bytes) -> object:
    """A JSON body, or a text that says what there was instead."""
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return f"[{len(body)} bytes, no JSON]"


def _ids(value: object) -> list[tuple[str, str]]:
    """The ids that a body names: at its top, in an array's elements, and in `data`. A context is known by its fingerprint."""
    if isinstance(value, list):
        return [item for element in value[:10] for item in _ids(element)]
    if not isinstance(value, Mapping):
        return []
    found = [
        (key, fingerprint(text) if key == "incomingCallContext" else text)
        for key in ("correlationId", *ID_KEYS)
        if isinstance(text := value.get(key), str) and 0 < len(text) <= MAX_ID
    ]
    return found + _ids(value.get("data"))
