"""Playout: the agent's audio on its way to the caller, paced, bounded, and cut off at once when the caller speaks.

Audio stays base64 text. While the line has little in hand it is passed through as it comes; what an agent makes faster
than real time waits here in its original pieces and is cut at whole samples without being decoded.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from media_host.agents.base import Codec, Heard
from media_host.ledger import PATH_DELAY_MS, Ledger
from media_host.marks import Marks

LEAD_MS = 200.0
"""The line is kept this far ahead of real time: enough for a late tick, cheap to flush (acs.md 3.4)."""

BOUND_MS = 30_000.0
"""An agent may be this far ahead of the caller's ear; more is dropped and counted."""

TICK_S = 0.02


def piece_chars(codec: Codec) -> int:
    """Base64 characters of the smallest run of 20 ms frames that ends without padding: 20 ms at 24 kHz, 60 ms elsewhere."""
    frame = codec.bytes_per_ms * 20
    return (frame if frame % 3 == 0 else frame * 3) // 3 * 4


def base64_bytes(text: bytes) -> int:
    """How many bytes canonical base64 text stands for."""
    padding = 0 if text[-1:] != b"=" else 2 if text[-2:] == b"==" else 1
    return len(text) // 4 * 3 - padding


def clock_ms() -> float:
    """Milliseconds of the monotonic clock."""
    return time.monotonic() * 1000


class Ticker:
    """One timer per process: every 20 ms it wakes the playouts that have something waiting, and none when there are none.

    Args:
        clock: the playouts' clock (ms).
    """

    def __init__(self, clock: Callable[[], float] = clock_ms) -> None:
        self._clock = clock
        self._busy: dict[Playout, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, playout: "Playout") -> None:
        """Wake `playout` from now on, until its `tick` returns False."""
        self._busy[playout] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def remove(self, playout: "Playout") -> None:
        """Forget it."""
        self._busy.pop(playout, None)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick)
        now = self._clock()
        for playout in list(self._busy):
            if not playout.tick(now):
                self._busy.pop(playout, None)
        if not self._busy:
            self._timer.cancel()
            self._timer = None


class Playout:
    """One call's.

    Args:
        codec: the line's format.
        send: hands base64 audio to the line.
        clock: milliseconds that never go back.
        ticker: wakes this playout while something waits.
        recorder_tap: called with (time on `clock` when it begins to play, base64) for all audio handed to the line.
        on_played: called when an ended turn has been heard to its end.
        path_delay_ms: from here to the caller's ear, as far as is known.
        send_mark: hands the line a mark to send back when it has played everything before it (`marked`); None for a line
            that knows no marks.
        bound_ms: more audio than this does not wait.

    Attributes:
        dropped_ms: audio that the agent made too far ahead, in ms.
    """

    def __init__(
        self,
        codec: Codec,
        send: Callable[[bytes], object],
        clock: Callable[[], float],
        *,
        ticker: Ticker,
        recorder_tap: Callable[[float, bytes], None] | None = None,
        on_played: Callable[[Heard], None] | None = None,
        path_delay_ms: float = PATH_DELAY_MS,
        send_mark: Callable[[str], object] | None = None,
        bound_ms: float = BOUND_MS,
    ) -> None:
        self.dropped_ms = 0.0
        self._send = send
        self._clock = clock
        self._ticker = ticker
        self._tap = recorder_tap
        self._on_played = on_played
        self._bound_ms = bound_ms
        self._send_mark = send_mark
        self._marks = None if send_mark is None else Marks(path_delay_ms)
        self._piece = piece_chars(codec)
        self._per_ms = codec.bytes_per_ms
        self._piece_ms = self._piece // 4 * 3 / self._per_ms
        self._ledger = Ledger(path_delay_ms)
        self._queue: deque[tuple[str, bytes, int]] = deque()  # turn, base64, where to go on
        self._queued_ms = 0.0

    def push(self, turn: str, data: bytes) -> None:
        """Audio of a turn, base64 of whole samples, any length."""
        size = len(data)
        ms = self._piece_ms if size == self._piece else base64_bytes(data) / self._per_ms
        ledger = self._ledger
        if not self._queue:
            now = self._clock()
            if ledger.lead(now) + ms <= LEAD_MS:
                ledger.made(turn, ms)
                self._hand_over(now, turn, data, ms)
                return
        if self._queued_ms + ms > self._bound_ms:
            self.dropped_ms += ms
            return
        ledger.made(turn, ms)
        self._queue.append((turn, data, 0))
        self._queued_ms += ms
        self.tick(self._clock())
        self._ticker.add(self)

    def end(self, turn: str) -> None:
        """The agent has given all of `turn`."""
        self._ledger.end(turn)
        if self._ledger.ending:
            self._ticker.add(self)

    def tick(self, now_ms: float) -> bool:
        """Hand over what is due and tell of turns that are over; whether to be woken again."""
        queue, ledger = self._queue, self._ledger
        while queue and ledger.lead(now_ms) < LEAD_MS:
            turn, data, at = queue.popleft()
            piece = data[at : at + self._piece]
            if at + len(piece) < len(data):
                queue.appendleft((turn, data, at + len(piece)))
            ms = base64_bytes(piece) / self._per_ms
            # Exactly 0 when nothing is left: what rounding leaves over would count as audio that is never heard.
            self._queued_ms = self._queued_ms - ms if queue else 0.0
            self._hand_over(now_ms, turn, piece, ms)
        if ledger.ending:
            self._learn(now_ms)
        for heard in ledger.finished(now_ms):
            if self._on_played is not None:
                self._on_played(heard)
        return bool(queue) or ledger.ending

    def _hand_over(self, now_ms: float, turn: str, data: bytes, ms: float) -> None:
        start = self._ledger.sent(now_ms, turn, ms)
        self._send(data)
        if self._tap is not None:
            self._tap(start, data)
        if self._marks is not None and self._send_mark is not None:
            mark = self._marks.sent(ms, start + ms)
            if mark:
                self._send_mark(mark)

    def marked(self, name: str, now_ms: float) -> None:
        """The line has sent back a mark at `now_ms`: everything before it is played, or was flushed."""
        if self._marks is not None:
            self._marks.echoed(name, now_ms)
            self._learn(now_ms)

    def _learn(self, now_ms: float) -> None:
        if self._marks is not None:
            self._ledger.delay_ms = self._marks.delay_ms(now_ms)

    def heard_out(self) -> None:
        """The line says that it has played all that it was given: every turn that has ended is heard to its end.

        Without it the clock would have to agree first, and the call may be over before it does.
        """
        self._ledger.delay_ms = 0.0
        now = self._clock()
        for heard in self._ledger.finished(now + self._ledger.lead(now)):
            if self._on_played is not None:
                self._on_played(heard)

    def flush(self) -> list[Heard]:
        """Forget what is waiting; what the caller has heard of each turn that was not over."""
        self._queue.clear()
        self._queued_ms = 0.0
        now = self._clock()
        self._learn(now)
        if self._marks is not None:
            self._marks.flushed()
        return self._ledger.cut(now)

    def close(self) -> None:
        """Forget everything, and be woken no more."""
        self.flush()
        self._ticker.remove(self)

    @property
    def lead_ms(self) -> float:
        """Milliseconds until all that has come would begin to be silent at the line, queue included."""
        return self._ledger.lead(self._clock()) + self._queued_ms

    @property
    def left_ms(self) -> float:
        """Milliseconds until the caller has heard everything, 0 when that is so."""
        lead = self.lead_ms
        return lead + self._ledger.delay_ms if lead else 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing waits and every turn is over."""
        return not self._queue and not self._ledger.open
