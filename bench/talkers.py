"""Both neighbours of a media host whose agent is interrupted again and again: ACS's end of the line, and the realtime model.

The model (GA) talks without end, faster than real time, and at random moments reports that the caller speaks; audio that was on
its way follows. The line is the emulator's media socket and its queue. Each side notes when what arrived: one clock.
"""

import asyncio
import json
import random
import time
from contextlib import suppress
from typing import Any

from bench.ear import TICK_WAIT_MS, AcsEnd, speech
from bench.frames import Peer
from bench.load import Call
from emulator.acs.media import AudioWriter, MediaOptions, audio_metadata
from emulator.acs.socket import MediaSocket
from emulator.pacing import Ticker
from media_host.agents.base import Codec
from media_host.ledger import PATH_DELAY_MS

PIECE_MS = 100.0
EVERY_S = 0.04
"""The model is this often done with `PIECE_MS`: two and a half times real time; it begins with `FIRST_PIECES` at once."""
FIRST_PIECES = 5
LATE_PIECES = 3
TALK_S = (0.25, 2.2)
LISTEN_S = 0.25
TOLD_S = 5.0
"""How long a host may take to tell the model what was heard (s)."""


def now_ms() -> float:
    """The one clock (ms)."""
    return time.monotonic() * 1000


class Interruption:
    """What became of one.

    Attributes:
        latency_ms: from the model's event to StopAudio at the line; None: it did not come.
        truth_ms: what the caller had heard of the turn by then.
        told_ms: what the model was told that the caller had heard: truncate, or delete (0); None: nothing.
    """

    def __init__(self, voice: int) -> None:
        self.voice = voice
        self.began_ms = now_ms()
        self.latency_ms: float | None = None
        self.truth_ms = 0.0
        self.told_ms: float | None = None
        self.told = asyncio.Event()


class Line:
    """ACS's end of one call.

    Args:
        call: how to reach the host.
        port: of the host.
        ticker: of the process.
    """

    def __init__(self, call: Call, port: int, ticker: Ticker) -> None:
        self.current: Interruption | None = None
        self.end = AcsEnd(PATH_DELAY_MS - TICK_WAIT_MS)
        self.is_over = False
        self._ticker = ticker
        self._options = MediaOptions("", True, True, Codec.PCM16_24K.sample_rate, True, "mixed")
        self._writer = AudioWriter(self._options)
        self._socket = MediaSocket(
            f"ws://127.0.0.1:{port}{call.path}", call.headers, self._message, self._closed
        )

    async def open(self) -> None:
        """Dial the host, and say 50 times a second that the caller is silent."""
        await self._socket.open(10)
        self._socket.send(audio_metadata("bench", self._options))
        self._ticker.add(self._tick)

    def _tick(self, _due: float) -> None:
        self._socket.send(self._writer.frame(None))
        self.end.tick(now_ms())

    def _message(self, message: bytes) -> None:
        now = now_ms()
        kind = self.end.take_in(message, now)
        current = self.current
        if kind == "stop" and current is not None and current.latency_ms is None:
            current.latency_ms = now - current.began_ms
            current.truth_ms = self.end.ear.heard(now).get(current.voice, 0.0)
            self.end.forbidden.add(current.voice)

    def _closed(self, _code: int) -> None:
        self.is_over = True

    async def close(self) -> None:
        """Hang up."""
        self._ticker.remove(self._tick)
        await self._socket.close()


class TalkingModel(Peer):
    """One session of the model.

    Args:
        dice: when the caller interrupts.
        line: the other end of the same call.
        wanted: so many interruptions.

    Attributes:
        done: the interruptions that are over.
        finished: all are, or the session is lost.
    """

    def __init__(self, dice: random.Random, line: Line, wanted: int) -> None:
        super().__init__()
        self.done: list[Interruption] = []
        self.finished = asyncio.Event()
        self._dice, self._line, self._wanted = dice, line, wanted
        self._voice = 0
        self._asked = asyncio.Event()
        self._answers_itself = True
        self._task: asyncio.Task[None] | None = None

    def opened(self) -> None:
        """Describe the session."""
        self._tell("session.created", session={"id": "sess_bench", "type": "realtime"})

    def lost(self) -> None:
        """The host is gone."""
        if self._task is not None:
            self._task.cancel()
        self.finished.set()

    def message(self, text: bytes) -> None:
        """Do as told."""
        if text.startswith(b'{"type":"input_audio_buffer.append"'):
            return
        event: dict[str, Any] = json.loads(text)
        match event.get("type"):
            case "session.update":
                session = event["session"]
                turns = session.get("audio", {}).get("input", {}).get("turn_detection") or {}
                self._answers_itself = turns.get("create_response", True)
                self._tell("session.updated", session={**session, "id": "sess_bench"})
            case "response.create":
                self._asked.set()
                if self._task is None:
                    self._task = asyncio.ensure_future(self._talk())
            case "conversation.item.truncate":
                self._told(event["item_id"], float(event["audio_end_ms"]))
            case "conversation.item.delete":
                self._told(event["item_id"], 0.0)

    def _told(self, item: str, ms: float) -> None:
        current = self._line.current
        if current is not None and item == f"item_{current.voice}":
            current.told_ms = ms
            current.told.set()

    async def _talk(self) -> None:
        try:
            for _ in range(self._wanted):
                await self._one()
        finally:
            self.finished.set()

    async def _one(self) -> None:
        """One turn, interrupted while it is heard."""
        self._voice += 1
        voice, audio = self._voice, speech(Codec.PCM16_24K, self._voice, PIECE_MS).decode()
        response = {"id": f"resp_{voice}", "object": "realtime.response", "status": "in_progress"}
        self._tell("response.created", response=response)
        item = {"id": f"item_{voice}", "object": "realtime.item", "type": "message", "role": "assistant"}
        self._tell("response.output_item.added", response_id=f"resp_{voice}", output_index=0, item=item)
        made, limit, began = -FIRST_PIECES, self._dice.uniform(*TALK_S), now_ms()
        while (talked := (now_ms() - began) / 1000) < limit:
            while made * EVERY_S <= talked:
                self._piece(voice, audio)
                made += 1
            await asyncio.sleep(min(EVERY_S, limit - talked))
        found = self._line.current = Interruption(voice)
        self._tell("input_audio_buffer.speech_started", audio_start_ms=0, item_id=f"said_{voice}")
        for _ in range(LATE_PIECES):
            self._piece(voice, audio)
            await asyncio.sleep(0.01)
        self._asked.clear()
        self._tell("response.done", response={**response, "status": "cancelled", "output": [item]})
        await asyncio.sleep(LISTEN_S)
        self._tell("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=f"said_{voice}")
        self._tell("input_audio_buffer.committed", item_id=f"said_{voice}", previous_item_id=None)
        if not self._answers_itself:
            await self._asked.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(found.told.wait(), TOLD_S)
        self._line.current = None
        self.done.append(found)

    def _piece(self, voice: int, audio: str) -> None:
        self._tell(
            "response.output_audio.delta",
            response_id=f"resp_{voice}",
            item_id=f"item_{voice}",
            output_index=0,
            content_index=0,
            delta=audio,
        )

    def _tell(self, kind: str, **fields: object) -> None:
        if self.is_open:
            event = {"type": kind, "event_id": "event_b", **fields}
            self.send(json.dumps(event, separators=(",", ":")).encode())
