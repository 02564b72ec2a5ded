"""Recording: one stereo WAV file per call, the caller on the left, the agent on the right, both on the call's clock.

The audio path only appends to a bounded queue; decoding, mixing and writing happen on one thread for the whole process
(`RecordingWriter`), in pieces of about half a second, one call after another. A disk that is full or slow costs the
recording, never the call: `Recorder.failed` says why, and what was dropped is counted.
"""

import asyncio
import binascii
import errno
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from media_host import g711
from media_host.agents.base import Codec
from media_host.stereo_wav import StereoWav

logger = logging.getLogger(__name__)

HOLD_MS = 1000
"""Nothing younger than this is written: a barge-in may still take the agent's audio back."""
QUEUE_BYTES = 4 << 20
"""Base64 text that may wait for the writer, per call: over 30 s of both sides at 24 kHz."""
MAX_MS = 4 * 3600 * 1000
"""No position is beyond this; a call's own ceiling is below 3 h."""
RUN = 32
"""Pieces of one side that are placed before the other side's have their turn: a window of 2 s must hold both."""
_CALLER, _AGENT, _CUT = 0, 1, 2


class CallerClock:
    """Where the caller's next frame belongs: behind the one before, corrected only when the stream has moved.

    Frames are stamped as they arrive. After a stall they come late, but in a bunch, so the least late frame of half a
    second tells whether frames are really missing. All positions are in ms since the session's start.
    """

    GAP_MS = 1000
    TOLERANCE_MS = 40
    WINDOW_MS = 500
    WINDOW_FRAMES = 25

    def __init__(self) -> None:
        self._next: float | None = None
        self._least = float("inf")
        self._seen = 0
        self._since = 0.0

    @property
    def begun(self) -> bool:
        """Whether there has been a frame."""
        return self._next is not None

    def begin(self, at_ms: float) -> None:
        """The first frame belongs here, whenever it arrived."""
        self._next = at_ms

    def place(self, at_ms: float, length_ms: float) -> float:
        """The start of a frame that arrived at `at_ms` and lasts `length_ms`."""
        if self._next is None or abs(at_ms - self._next) > self.GAP_MS:
            self._next = at_ms
            self._seen = 0
        if self._seen == 0:
            self._least, self._since = float("inf"), at_ms
        self._seen += 1
        self._least = min(self._least, at_ms - self._next)
        if self._seen >= self.WINDOW_FRAMES and at_ms - self._since >= self.WINDOW_MS:
            if abs(self._least) > self.TOLERANCE_MS:
                self._next = max(self._next + self._least, 0.0)
            self._seen = 0
        start = self._next
        self._next = start + length_ms
        return start


class AgentClock:
    """Where the agent's audio belongs: where the ledger says, but without seams of a few ms in running speech."""

    SEAM_MS = 5

    def __init__(self) -> None:
        self._next = 0.0

    def place(self, at_ms: float, length_ms: float) -> float:
        """The start of a piece that is heard from `at_ms` on and lasts `length_ms`."""
        start = self._next if abs(at_ms - self._next) <= self.SEAM_MS else max(at_ms, 0.0)
        self._next = start + length_ms
        return start


@dataclass(slots=True)
class _Run:
    """Pieces of one side that follow each other: from and to, in ms, and whether any ends with padding."""

    start: float = 0.0
    end: float = 0.0
    padded: bool = False
    pieces: list[bytes] = field(default_factory=list)


class Recorder:
    """The recording of one call. `caller`, `agent` and `cut` are for the event loop, and return at once.

    Args:
        path: the file to write; if it exists, `-2`, `-3` … is added to its name, so that nothing is overwritten.
        codec: of the session; the file is PCM16 at the same rate.
        writer: the process's writer thread.

    Attributes:
        failed: "" or why the recording is not whole: `disk-full`, `os-error-N`, `bad-audio`, `slow-disk`.
        dropped: pieces that were not recorded, because the writer was too far behind or had failed.
    """

    def __init__(self, path: Path, codec: Codec, writer: "RecordingWriter") -> None:
        self.failed = ""
        self.dropped = 0
        self._wav = StereoWav(path, codec.sample_rate)
        self._per_ms = codec.sample_rate / 1000
        self._bytes_per_ms = codec.bytes_per_ms
        self._ulaw = codec is Codec.ULAW_8K
        self._caller_clock, self._agent_clock = CallerClock(), AgentClock()
        self._runs = (_Run(), _Run())
        self._queue: deque[tuple[int, float, bytes]] = deque()
        self._put = 0  # bytes of base64, counted on the loop
        self._taken = 0  # the same, counted on the thread
        self._now_ms = 0.0
        self._closing: tuple[float, Future[None]] | None = None
        self._finished = False
        self._writer = writer
        writer.add(self)

    def caller(self, at_ms: float, data: bytes) -> None:
        """One frame of the caller's audio.

        Args:
            at_ms: when it came, ms since the session's start.
            data: base64 text of whole samples.
        """
        self._append(_CALLER, at_ms, data)

    def agent(self, at_ms: float, data: bytes) -> None:
        """A piece of the agent's audio; `at_ms` is when it will be heard, ms since the session's start."""
        self._append(_AGENT, at_ms, data)

    def cut(self, at_ms: float) -> None:
        """The agent was interrupted: of its audio, nothing from `at_ms` on was heard."""
        self._append(_CUT, at_ms, b"")

    async def close(self, duration_ms: float, *, within_s: float = 5.0) -> tuple[str, int]:
        """Finish the file at `duration_ms`; call it once. A disk that takes longer than `within_s` fails the recording.

        Returns:
            The file's name and its length in ms; `failed` says whether it is whole.
        """
        done: Future[None] = Future()
        self._closing = (min(duration_ms, MAX_MS), done)
        self._writer.hurry(self)
        try:
            await asyncio.wait_for(asyncio.wrap_future(done), within_s)
        except TimeoutError:
            self.fail("slow-disk")
        return self._wav.path.name, round(self._wav.written / self._per_ms)

    def fail(self, reason: str) -> None:
        """Give the recording up; the first reason stays."""
        if not self.failed:
            self.failed = reason
            logger.error("recording %s failed: %s", self._wav.path.name, reason)

    def _append(self, kind: int, at_ms: float, data: bytes) -> None:
        if self.failed or self._put - self._taken > QUEUE_BYTES:
            self.dropped += 1
            return
        self._put += len(data)
        self._queue.append((kind, at_ms, data))

    def work(self) -> bool:
        """On the writer's thread: take what has queued up, write what is old enough. False when all is done."""
        if self._finished:
            return False
        closing = self._closing  # before the queue: what was queued before close() is in the file
        try:
            self._drain(last=closing is not None)
            if not self.failed:
                ready_ms = closing[0] if closing else self._now_ms - HOLD_MS
                self._wav.flush(round(min(ready_ms, MAX_MS) * self._per_ms))
        except binascii.Error:
            self.fail("bad-audio")
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.fail("disk-full" if full else f"os-error-{error.errno}")
        if closing is None:
            return True
        self._wav.close()
        self._finished = True
        if closing[1].set_running_or_notify_cancel():
            closing[1].set_result(None)
        return False

    def _length_ms(self, data: bytes) -> float:
        padding = data[-2:].count(b"=") if data.endswith(b"=") else 0
        return (len(data) * 3 // 4 - padding) / self._bytes_per_ms

    def _begin(self, *, last: bool) -> bool:
        """Set the caller's clock by the first half second; False when that is not here yet.

        A host that is busy when a call comes in reads its first frames late and all at once: they belong before the moment
        at which they were read.
        """
        first_ms = start_ms = newest_ms = self._queue[0][1]
        spoken_ms = 0.0
        for kind, at_ms, data in self._queue.copy():
            if kind == _CALLER:
                newest_ms = max(newest_ms, at_ms)
                start_ms = min(start_ms, at_ms - spoken_ms)
                spoken_ms += self._length_ms(data)
            else:
                newest_ms = max(newest_ms, at_ms - HOLD_MS)
        if newest_ms - first_ms < CallerClock.WINDOW_MS and not last:
            return False
        self._caller_clock.begin(max(start_ms, 0.0))
        return True

    def _drain(self, *, last: bool) -> None:
        """Place what has queued up; pieces of one side that follow each other are decoded in one go."""
        if self.failed:
            self._queue.clear()
            return
        while self._queue:
            if self._queue[0][0] == _CALLER and not (self._caller_clock.begun or self._begin(last=last)):
                break
            kind, at_ms, data = self._queue.popleft()
            self._taken += len(data)
            if kind == _CUT:
                self._place(_AGENT)
                self._wav.clear(_AGENT, round(at_ms * self._per_ms))
                continue
            # Up to HOLD_MS of the agent's audio may be ahead of the clock.
            now_ms = at_ms if kind == _CALLER else at_ms - HOLD_MS
            if now_ms > self._now_ms:
                self._now_ms = now_ms
            length_ms = self._length_ms(data)
            clock = self._caller_clock if kind == _CALLER else self._agent_clock
            start = clock.place(min(at_ms, MAX_MS), length_ms)
            run = self._runs[kind]
            if run.pieces and abs(start - run.end) > 0.01:
                self._place(kind)
            if not run.pieces:
                run.start = start
            run.pieces.append(data)
            run.padded = run.padded or data.endswith(b"=")
            run.end = start + length_ms
            if len(run.pieces) >= RUN:
                self._place(_CALLER)
                self._place(_AGENT)
        self._place(_CALLER)
        self._place(_AGENT)

    def _place(self, side: int) -> None:
        run = self._runs[side]
        if run.pieces:
            if run.padded:  # what follows padding is another text
                raw = b"".join(map(binascii.a2b_base64, run.pieces))
            else:
                raw = binascii.a2b_base64(b"".join(run.pieces))
            run.pieces.clear()
            run.padded = False
            if self._ulaw:
                raw = g711.decode(raw)
            samples = np.frombuffer(raw, dtype="<i2", count=len(raw) // 2)
            self._wav.put(side, round(run.start * self._per_ms), samples)
            time.sleep(0)  # lets the loop have the interpreter, between one decoding and the next


class RecordingWriter:
    """The one thread that writes all recordings of this process. It starts with the first and ends with `close()`.

    Args:
        period_s: how often each call's audio is written (s).
    """

    def __init__(self, period_s: float = 0.5) -> None:
        self._period_s = period_s
        self._recorders: deque[Recorder] = deque()
        self._urgent: deque[Recorder] = deque()
        self._wake = threading.Event()
        self._stop = False
        self._thread: threading.Thread | None = None

    def add(self, recorder: Recorder) -> None:
        """Take charge of a recorder until it is closed."""
        self._recorders.append(recorder)
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()

    def hurry(self, recorder: Recorder) -> None:
        """This one was closed: finish it now."""
        self._urgent.append(recorder)
        self._wake.set()

    def close(self) -> None:
        """End the thread, after a last look at every recording. It blocks: call it when no call is left."""
        self._stop = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop:
            # Spread over the period, so that a hundred calls never keep the interpreter for one long stretch.
            waiting = len(self._recorders)
            self._wake.wait(self._period_s / waiting if waiting else None)
            self._wake.clear()
            while self._urgent:
                self._work(self._urgent.popleft())
            if self._recorders:
                recorder = self._recorders.popleft()
                if self._work(recorder):
                    self._recorders.append(recorder)
        for recorder in [*self._urgent, *self._recorders]:
            self._work(recorder)

    def _work(self, recorder: Recorder) -> bool:
        try:
            return recorder.work()
        except Exception:  # one broken recording must not end the thread that writes all the others
            logger.exception("a recording was given up")
            recorder.fail("internal")
            return True  # until it is closed: somebody waits for that
