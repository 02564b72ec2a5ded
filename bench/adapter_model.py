"""A realtime model for `bench.adapter`: it counts what it hears, and answers `response.create` with a row of audio deltas.

The address decides: `/voice-live/…` is the flat dialect, `model=bench-20` gives deltas of 20 ms. Each line on stdin is
answered with what was counted since the last one; it ends with stdin.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

from bench.ear import speech
from bench.frames import Peer
from media_host.agents.base import Codec

DELTAS = 500
"""Of one response."""


class Counts:
    """What all sessions have heard."""

    def __init__(self) -> None:
        self.appends = 0
        self.appended_chars = 0


class Model(Peer):
    """One session."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts
        self._responses = 0

    def opened(self) -> None:
        """Describe the session."""
        parts = urlsplit(self.asked)
        self._flat = parts.path.startswith("/voice-live/")
        self._audio = speech(
            Codec.PCM16_24K, 7, float(parse_qs(parts.query)["model"][0].removeprefix("bench-"))
        )
        self._tell("session.created", session={"id": "sess_bench", "object": "realtime.session"})

    def message(self, text: bytes) -> None:
        """Count, or do as told."""
        event: dict[str, Any] = json.loads(text)
        if event["type"] == "input_audio_buffer.append":
            self._counts.appends += 1
            self._counts.appended_chars += len(event["audio"])
        elif event["type"] == "session.update":
            self._tell("session.updated", session={**event["session"], "id": "sess_bench"})
        elif event["type"] == "response.create":
            self._respond(event.get("response") or {})

    def _respond(self, asked: dict[str, Any]) -> None:
        self._responses += 1
        ids = {"response_id": f"resp_{self._responses}", "item_id": f"item_{self._responses}"}
        response: dict[str, Any] = {"id": ids["response_id"], "output": [], "metadata": asked.get("metadata")}
        self._tell("response.created", response={**response, "status": "in_progress"})
        kind = "response.audio.delta" if self._flat else "response.output_audio.delta"
        for number in range(DELTAS):
            event = {
                "type": kind,
                "event_id": f"event_{number:08}",
                **ids,
                "output_index": 0,
                "content_index": 0,
            }
            event["delta"] = self._audio.decode()
            self.send(json.dumps(event, separators=(",", ":")).encode())
        self._tell("response.done", response={**response, "status": "completed"})

    def _tell(self, kind: str, **fields: object) -> None:
        self.send(json.dumps({"type": kind, "event_id": f"event_{kind}", **fields}).encode())


async def serve() -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    counts = Counts()
    server = await loop.create_server(lambda: Model(counts), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"appends": counts.appends, "chars": counts.appended_chars}), flush=True)
        counts.appends = counts.appended_chars = 0


if __name__ == "__main__":
    uvloop.run(serve())
