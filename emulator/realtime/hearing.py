"""The caller's turns in a session: speech, interruptions, transcripts, silence."""

import asyncio
from typing import TYPE_CHECKING, Any

from emulator.realtime.errors import ClientError
from emulator.realtime.input_buffer import InputBuffer, Started, Stopped
from emulator.realtime.response import Response, new_id
from media_host.speech.vad import Detector, pocketsphinx_detector

if TYPE_CHECKING:
    from emulator.realtime.session import ModelSession

type Json = dict[str, Any]


class Loudness:
    """Every frame over the level gate is speech: where pocketsphinx with its detector is not installed."""

    def is_speech(self, frame: bytes) -> bool:
        """True."""
        return True


def detector() -> Detector:
    """The best detector that there is."""
    try:
        return pocketsphinx_detector()
    except ImportError:
        return Loudness()


class CallersTurn:
    """Of one session."""

    def __init__(self, session: "ModelSession") -> None:
        self._session = session
        self._detector = detector()
        self._item_id = new_id("item")
        self._hearing: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._buffer = self._new_buffer(0.0)

    def _new_buffer(self, written_ms: float) -> InputBuffer:
        session = self._session
        detection = session.dialect.turn_detection(session.session)
        format = session.dialect.input_format(session.session)
        self._configured = (format, detection)
        return InputBuffer(format, detection, self._detector, written_ms)

    def configure(self) -> None:
        """The session was updated; a turn under way goes on when nothing has changed that it depends on."""
        session = self._session
        detection = session.dialect.turn_detection(session.session)
        if (session.dialect.input_format(session.session), detection) != self._configured:
            self._buffer = self._new_buffer(self._buffer.written_ms)

    @property
    def _detection(self) -> Json:
        return dict(self._session.dialect.turn_detection(self._session.session) or {})

    async def append(self, audio: bytes) -> None:
        """The caller's audio."""
        if self._session.faults.deaf:
            return
        for found in self._buffer.append(audio):
            match found:
                case Started(start_ms=start_ms):
                    await self._started(start_ms)
                case Stopped(end_ms=end_ms, pcm=pcm):
                    place = {"audio_end_ms": end_ms, "item_id": self._item_id}
                    await self._session.tell("input_audio_buffer.speech_stopped", **place)
                    await self._committed(pcm)
                    if self._detection.get("create_response"):
                        self._session.spawn(self._answer())

    async def commit(self) -> None:
        """The client ends the turn by hand; it asks for the answer by itself.

        Raises:
            ClientError: there is nothing to commit.
        """
        await self._committed(self._buffer.commit())

    def clear(self) -> None:
        """Forget what is not committed."""
        self._buffer.clear()

    async def understood(self) -> None:
        """Returns when all that was committed has been recognised."""
        await asyncio.gather(*self._hearing)

    async def _started(self, start_ms: int) -> None:
        session = self._session
        if self._idle is not None:
            self._idle.cancel()
        place = {"audio_start_ms": start_ms, "item_id": self._item_id}
        await session.tell("input_audio_buffer.speech_started", **place)
        if not self._detection.get("interrupt_response"):
            return
        response = session.active or session.last
        if session.active is not None:
            session.active.cancel("turn_detected")
        if self._detection.get("auto_truncate") and response is not None:
            session.spawn(self._auto_truncate(response, asyncio.get_running_loop().time()))

    async def _auto_truncate(self, response: Response, now: float) -> None:
        """The service's own guess of what was heard: all that would have been played since the first audio (realtime.md 2)."""
        await response.finished.wait()
        if response.audio_from is None:
            return
        heard_ms = (now - response.audio_from) * 1000
        for item in response.spoken_items:
            if not item.cut and 0 <= heard_ms < item.audio_ms:
                self._session.conversation.cut(item, heard_ms, "server")
                place = {"item_id": item.id, "content_index": 0, "audio_end_ms": int(heard_ms)}
                await self._session.tell("conversation.item.truncated", **place)
            heard_ms = max(0.0, heard_ms - item.audio_ms)

    async def _committed(self, pcm: bytes) -> None:
        session = self._session
        item_id, self._item_id = self._item_id, new_id("item")
        before = next(reversed(session.conversation.items), None)
        await session.tell("input_audio_buffer.committed", previous_item_id=before, item_id=item_id)
        part: Json = {"type": "input_audio", "transcript": None}
        if not session.dialect.is_ga:
            part["audio"] = ""  # azure-ai-voicelive's type has it as a must
        body = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": [part]}
        item = await session.add(body)
        rate = session.dialect.input_format(session.session).sample_rate

        async def hear() -> None:
            text = await session.recognise(pcm, rate)
            item.body = {**item.body, "content": [{**part, "transcript": text}]}
            if session.dialect.transcribes(session.session):
                session.spawn(self._transcribed(item_id, text, len(pcm) / 2 / rate))

        task = session.spawn(hear())
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    async def _transcribed(self, item_id: str, text: str, seconds: float) -> None:
        session = self._session
        if session.faults.late_transcript_s:
            await asyncio.sleep(session.faults.late_transcript_s)
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": item_id, "content_index": 0}
        if session.faults.take("transcription_failed"):
            error = {"type": "server_error", "code": "transcription_failed", "message": "Failed on demand."}
            await session.tell(f"{kind}.failed", **place, error=error)
            return
        usage = {"usage": {"type": "duration", "seconds": seconds}} if session.dialect.is_ga else {}
        if text:
            await session.tell(f"{kind}.delta", **place, delta=text)
        await session.tell(f"{kind}.completed", **place, transcript=text, **usage)

    async def _answer(self) -> None:
        """Answer the caller, when the response that they interrupted is out of the way."""
        session = self._session
        interrupted = session.active
        if interrupted is not None and self._detection.get("interrupt_response"):
            await interrupted.finished.wait()
        try:
            session.create_response()
        except ClientError as error:
            await session.refuse(error)

    # --- silence ---

    def answered(self, response: Response) -> None:
        """A response is over: the caller's silence counts from when it has been heard."""
        idle_ms = self._detection.get("idle_timeout_ms")
        if idle_ms is None or response.audio_from is None:
            return
        loop = asyncio.get_running_loop()
        heard_at = max(loop.time(), response.audio_from + response.spoken_ms / 1000)
        self._idle = loop.call_at(heard_at + idle_ms / 1000, self._timed_out, idle_ms)

    def _timed_out(self, idle_ms: int) -> None:
        session = self._session
        if session.active is None and not self._buffer.speaking and not session.ended.is_set():
            session.spawn(self._say_that_it_is_quiet(idle_ms))

    async def _say_that_it_is_quiet(self, idle_ms: int) -> None:
        end_ms = round(self._buffer.written_ms)
        place = {"audio_start_ms": max(0, end_ms - idle_ms), "audio_end_ms": end_ms, "item_id": self._item_id}
        await self._session.tell("input_audio_buffer.timeout_triggered", **place)
        await self._committed(b"")
        await self._answer()
