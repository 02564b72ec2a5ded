"""A caller who is no script but somebody who speaks and listens now: PCM16LE mono both ways, in bounded buffers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from emulator.phone.audio import FRAME_S

KEPT_VOICE_S = 0.500
"""So much of what the caller said may wait (s); then the oldest goes."""
KEPT_HEARING_S = 2.0
"""So much of what the caller heard may wait for a slow listener (s); then the oldest goes."""
HEAD_START_S = 0.060
"""After a pause, so much must be there before it is sent (s): microphones deliver in pieces."""


class Listener:
    """Follows what the caller hears; made by `LiveAudio.listen`."""

    def __init__(self, live: "LiveAudio") -> None:
        self._live = live
        self._frames: deque[bytes] = deque()
        self._limit = round(KEPT_HEARING_S / FRAME_S)
        self._more = asyncio.Event()
        self._over = False

    def add(self, frame: bytes) -> None:
        """20 ms more."""
        if len(self._frames) >= self._limit:
            self._frames.popleft()
            self._live.hearing_dropped_ms += FRAME_S * 1000
        self._frames.append(frame)
        self._more.set()

    def close(self) -> None:
        """There will be no more."""
        self._over = True
        self._more.set()

    async def read(self) -> AsyncIterator[bytes]:
        """All that is there, again and again, until the call has ended."""
        while True:
            await self._more.wait()
            self._more.clear()
            if self._frames:
                pcm = b"".join(self._frames)
                self._frames.clear()
                yield pcm
            if self._over:
                return


class LiveAudio:
    """The live voice and ears of one call.

    Args:
        sample_rate: of the call, in Hz.

    Attributes:
        voice_dropped_ms: what the caller said and nobody could hear, because it came faster than the line takes it (ms).
        hearing_dropped_ms: what listeners missed because they were too slow (ms).
    """

    def __init__(self, sample_rate: int) -> None:
        self.voice_dropped_ms = 0.0
        self.hearing_dropped_ms = 0.0
        self.sample_rate = sample_rate
        self._size = int(sample_rate * FRAME_S) * 2
        self._silence = bytes(self._size)
        self._limit = int(sample_rate * KEPT_VOICE_S) * 2
        self._head_start = int(sample_rate * HEAD_START_S) * 2
        self._voice = bytearray()
        self._flowing = False
        self._listeners: list[Listener] = []

    def say(self, pcm: bytes) -> None:
        """More of what the caller says; pieces may end within a sample."""
        voice = self._voice
        voice += pcm
        surplus = len(voice) - self._limit
        if surplus > 0:
            surplus += surplus % 2
            del voice[:surplus]
            self.voice_dropped_ms += surplus / 2 / self.sample_rate * 1000
        if len(voice) >= self._head_start:
            self._flowing = True

    def pause(self) -> None:
        """The voice has ended for now: what is left is still sent."""
        if len(self._voice) % 2:
            del self._voice[-1]
        if self._voice:
            self._voice += bytes(-len(self._voice) % self._size)
            self._flowing = True

    def next_frame(self) -> bytes | None:
        """20 ms of what the caller says, or None."""
        size = self._size
        if not self._flowing or len(self._voice) < size:
            self._flowing = False
            return None
        frame = bytes(self._voice[:size])
        del self._voice[:size]
        return frame

    def listen(self) -> Listener:
        """Follow what the caller hears from now on; give it back with `leave`."""
        listener = Listener(self)
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Follow no longer."""
        self._listeners.remove(listener)

    def hear(self, pcm: bytes | None) -> None:
        """20 ms of what the caller hears; None is silence."""
        for listener in self._listeners:
            listener.add(self._silence if pcm is None else pcm)

    def close(self) -> None:
        """The call has ended."""
        for listener in self._listeners:
            listener.close()
