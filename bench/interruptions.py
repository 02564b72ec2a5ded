"""Interruptions at random moments, in virtual time: what the ledger says was heard against what was.

The host's side is real (playout, ledger, marks, the ACS line's messages); time, network and model are made up, so that a
thousand calls take seconds and any of them can be had again by its number.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Literal

from bench.ear import TICK_WAIT_MS, AcsEnd, MarkEnd, speech
from emulator.acs.media import FRAME_MS
from media_host.agents.base import Codec, Heard
from media_host.ledger import PATH_DELAY_MS
from media_host.playout import Playout, Ticker
from shared.wire.acs_media import STOP_AUDIO, encode_audio

type Kind = Literal["acs", "acs, path guessed", "marks"]

TRUE_PATH_MS = (60.0, 250.0)
NETWORK_MS = 5.0
RETURN_MS = (1.0, 10.0)
LATE_TICK_MS = 4.0
ANSWER = 99


@dataclass(frozen=True, slots=True)
class Point:
    """One interruption.

    Attributes:
        error_ms: reported minus heard, of the turn where they differ most.
        stale: frames of what had been said before it that were played, or sent, after it.
        path_ms: of this call, on the average.
    """

    error_ms: float
    stale: int
    path_ms: float


class Timeline:
    """Virtual time in ms: what is due is done in order, and nobody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = count()

    def at(self, ms: float, do: Callable[[], None]) -> None:
        """Do it then, or now if that is past."""
        heapq.heappush(self._due, (max(ms, self.now), next(self._count), do))

    def run(self, until: float) -> None:
        """Do all that is due by then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until


class _Hand(Ticker):
    """The timeline does its work."""

    def add(self, playout: Playout) -> None:
        """Nothing."""


class Wire:
    """A network in one direction: some delay and jitter, and the order is kept."""

    def __init__(self, timeline: Timeline, dice: random.Random, delay_ms: float) -> None:
        self._timeline, self._dice, self._delay = timeline, dice, delay_ms
        self._last = 0.0

    def carry(self, arrive: Callable[[], None]) -> None:
        """Let it arrive."""
        jitter = min(self._dice.expovariate(1 / 1.5), NETWORK_MS * 3)
        self._last = max(self._last, self._timeline.now + self._delay + jitter)
        self._timeline.at(self._last, arrive)


class Call:
    """One call with its model, which talks in several turns; `interrupt` ends it.

    Args:
        kind: of the line.
        dice: all chance in it.
    """

    def __init__(self, kind: Kind, dice: random.Random) -> None:
        self.path_ms = PATH_DELAY_MS if kind == "acs" else dice.uniform(*TRUE_PATH_MS)
        self.timeline = Timeline()
        self.reported: list[Heard] = []
        self._dice = dice
        self._marks = kind == "marks"
        self._codec = Codec.ULAW_8K if self._marks else Codec.PCM16_24K
        there = self.path_ms if self._marks else NETWORK_MS
        self._there = Wire(self.timeline, dice, there)
        self._back = Wire(self.timeline, dice, dice.uniform(*RETURN_MS))
        self.end: AcsEnd | MarkEnd
        if self._marks:
            self.end = self._mark_end = MarkEnd(self._echo)
        else:
            self.end = self._acs_end = AcsEnd(self.path_ms - NETWORK_MS - TICK_WAIT_MS)
        self.playout = Playout(
            self._codec,
            self._send,
            lambda: self.timeline.now,
            ticker=_Hand(),
            on_played=self.reported.append,
            send_mark=self._send_mark if self._marks else None,
        )
        self._host_tick()
        self.timeline.at(dice.uniform(0, FRAME_MS), self._far_tick)
        self._spoken: list[int] = []
        self._flushed: set[int] = set()
        self.over_ms = self._plan()

    def _plan(self) -> float:
        """The model's turns, some of them ready long before the one in front is heard; returns when all would be heard."""
        dice, made, heard = self._dice, 0.0, 0.0
        for voice in range(1, dice.randint(2, 5)):
            self._spoken.append(voice)
            made += dice.choice([0.0, 200.0, 800.0, 2500.0])
            left, piece = dice.choice([300.0, 1200.0, 4000.0]), dice.choice([20.0, 60.0, 100.0, 400.0])
            speed = dice.uniform(0.95, 6)
            heard = max(made, heard) + left
            while left > 0:
                ms = min(piece, left)
                left -= ms
                audio = speech(self._codec, voice, ms)
                self.timeline.at(made, partial(self._push, voice, audio))
                made += ms / speed + dice.uniform(0, 5)
            self.timeline.at(made, partial(self.playout.end, str(voice)))
        return heard + self.path_ms

    def _push(self, voice: int, audio: bytes) -> None:
        if voice not in self._flushed:  # the session drops what still comes of a flushed turn
            self.playout.push(str(voice), audio)

    def _host_tick(self) -> None:
        self.playout.tick(self.timeline.now)
        self.timeline.at(self.timeline.now + FRAME_MS + self._dice.uniform(0, LATE_TICK_MS), self._host_tick)

    def _far_tick(self) -> None:
        self.end.tick(self.timeline.now)
        self.timeline.at(self.timeline.now + (1 if self._marks else FRAME_MS), self._far_tick)

    def _send(self, audio: bytes) -> None:
        if self._marks:
            self._there.carry(lambda: self._mark_end.take_in(audio, self.timeline.now))
        else:
            message = encode_audio(audio)
            self._there.carry(lambda: self._arrive(message))

    def _arrive(self, message: bytes) -> None:
        self._acs_end.take_in(message, self.timeline.now)

    def _send_mark(self, name: str) -> None:
        self._there.carry(lambda: self._mark_end.mark(name, self.timeline.now))

    def _echo(self, at_ms: float, name: str) -> None:
        self.timeline.at(
            at_ms, lambda: self._back.carry(lambda: self.playout.marked(name, self.timeline.now))
        )

    def interrupt(self, at_ms: float) -> bool:
        """Interrupt at `at_ms`, as a session does it; False when nobody was speaking."""
        self.timeline.run(at_ms)
        if self.playout.idle:
            return False
        truth = self.end.ear.heard(at_ms)
        self._flushed.update(self._spoken)
        self._there.carry(self._clear if self._marks else self._stop)
        self.reported += self.playout.flush()
        errors = [item.heard_ms - truth.get(int(item.turn), 0.0) for item in self.reported]
        self.error_ms = max(errors, key=abs)
        return True

    def go_on(self) -> None:
        """The model answers the interruption; a second later all is known."""
        answer = speech(self._codec, ANSWER, 400)
        self.timeline.at(self.timeline.now + self._dice.uniform(0, 200), lambda: self._push(ANSWER, answer))
        self.timeline.run(self.timeline.now + 1000)

    def _clear(self) -> None:
        self._mark_end.clear(self.timeline.now)
        self.end.forbidden |= self._flushed

    def _stop(self) -> None:
        self._acs_end.take_in(STOP_AUDIO, self.timeline.now)
        self.end.forbidden |= self._flushed


def interruption(kind: Kind, number: int) -> Point:
    """The interruption of this number: the same each time."""
    for attempt in count():
        dice = random.Random(f"{kind} {number} {attempt}")
        call = Call(kind, dice)
        if call.interrupt(dice.uniform(20, call.over_ms)):
            call.go_on()
            return Point(call.error_ms, call.end.stale, call.path_ms)
    raise AssertionError
