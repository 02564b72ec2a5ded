"""A person on the phone: follows a script, by what is heard and not by the clock alone."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from emulator.phone.audio import Ears, Mouth, tone
from emulator.phone.script import (
    ExpectHangUp,
    HangUp,
    Interrupt,
    Listen,
    MakeFault,
    Play,
    Press,
    Say,
    Step,
    Tone,
    Wait,
    step_name,
)
from emulator.phone.story import Story

KEY_GAP_S = 0.100
SILENT_AFTER_STOP_S = 0.100
SILENT_WITHOUT_STOP_S = 0.400
"""Without `StopAudio`, so much silence with nothing queued (s) counts as the agent having fallen silent."""


class StepFailed(Exception):
    """The call did not go as the script says; the text names the step."""


class CallOver(Exception):
    """The call ended while a step was waiting."""


class Line(Protocol):
    """What the caller can do with the telephone."""

    def press_key(self, key: str) -> None:
        """Press one key."""

    def hang_up(self) -> None:
        """Hang up."""

    def saying(self, text: str) -> None:
        """Begin to say `text`."""

    def fault(self, knobs: Mapping[str, Any]) -> None:
        """From now on the call has these faults."""


@dataclass(slots=True, eq=False)
class _Wait:
    """Something that is looked for at every tick."""

    holds: Callable[[float], bool]
    future: asyncio.Future[float]


class Caller:
    """Runs the steps of a script. `tick` is called after each 20 ms of audio, with loop time (s).

    Args:
        steps: what to do.
        speech: PCM16LE of every text and file, at the call's sample rate.
        sample_rate: in Hz.
        line: the telephone.
        story: takes what happens.

    Attributes:
        mouth: what the caller says.
        ears: what the caller hears.
        step: the present step, for messages: `step 4 (listen)`.
        done: steps that went as they should.
        barge_in_ms: for each interruption, speech onset to the agent's silence (ms).
    """

    def __init__(
        self,
        steps: tuple[Step, ...],
        speech: Mapping[str, bytes],
        sample_rate: int,
        line: Line,
        story: Story,
    ) -> None:
        self.mouth = Mouth()
        self.ears = Ears()
        self.step = ""
        self.done = 0
        self.barge_in_ms: list[float] = []
        self._steps = steps
        self._speech = speech
        self._sample_rate = sample_rate
        self._line = line
        self._story = story
        self._waits: list[_Wait] = []
        self._over = False

    # --- the clock ---

    def tick(self, now: float) -> None:
        """Look whether what the present step waits for has happened."""
        for wait in self._waits:
            if not wait.future.done() and wait.holds(now):
                wait.future.set_result(now)

    def over(self) -> None:
        """The call has ended."""
        self._over = True
        self.mouth.say(
            b"", self._sample_rate
        )  # whoever keeps the call need not keep what was still to be said
        for wait in self._waits:
            if not wait.future.done():
                wait.future.set_exception(CallOver())

    async def _until(self, holds: Callable[[float], bool], within_s: float) -> float:
        """Wait for `holds(now)`; returns the tick's time.

        Raises:
            TimeoutError: not within `within_s`.
            CallOver: the call ended.
        """
        if self._over:
            raise CallOver
        wait = _Wait(holds, asyncio.get_running_loop().create_future())
        self._waits.append(wait)
        try:
            async with asyncio.timeout(within_s):
                return await wait.future
        finally:
            self._waits.remove(wait)

    # --- the script ---

    async def run(self) -> None:
        """Do all steps; returns when they are done, or the other side ended the call where the script allows it.

        Raises:
            StepFailed: names the step.
        """
        for number, step in enumerate(self._steps, 1):
            self.step = f"step {number} ({step_name(step)})"
            try:
                await self._do(step)
            except TimeoutError:
                raise StepFailed(f"{self.step}: not within {step.within_s:g} s") from None
            except CallOver:
                rest = self._steps[number:]
                heard = isinstance(step, Listen) and self.ears.onset_at is not None
                if (heard or isinstance(step, HangUp | ExpectHangUp)) and all(
                    isinstance(item, HangUp | ExpectHangUp) for item in rest
                ):
                    self.done = len(self._steps)
                    return
                raise StepFailed(f"{self.step}: the call ended") from None
            self.done = number

    async def _do(self, step: Step) -> None:
        if isinstance(step, Listen):
            await self._listen(step)
        elif isinstance(step, Say):
            self.ears.mark()
            await self._say(step.text, step.within_s)
        elif isinstance(step, Interrupt):
            await self._interrupt(step)
        elif isinstance(step, Press):
            await self._press(step)
        elif isinstance(step, Wait):
            await self._wait(step.ms / 1000, step.within_s)
        elif isinstance(step, Tone):
            self._story.tell("tone", hz=step.hz, seconds=step.seconds)
            # In a thread: a minute of samples takes longer than the other calls can wait.
            pcm = await asyncio.to_thread(tone, step.hz, step.seconds, self._sample_rate)
            self.mouth.say(pcm, self._sample_rate)
            await self._until(lambda _: self.mouth.idle, step.seconds + step.within_s)
        elif isinstance(step, Play):
            self.ears.mark()
            await self._play(step.file, step.within_s)
        elif isinstance(step, MakeFault):
            self._line.fault(step.knobs)
        elif isinstance(step, HangUp):
            self._line.hang_up()
        else:
            await self._expect_hang_up(step)

    async def _listen(self, step: Listen) -> None:
        quiet_s = step.quiet_ms / 1000
        try:
            await self._until(lambda now: self.ears.finished(quiet_s, now), step.within_s)
        except TimeoutError:
            what = "said nothing" if self.ears.onset_at is None else "did not stop speaking"
            raise StepFailed(f"{self.step}: the agent {what} within {step.within_s:g} s") from None
        self.ears.mark()

    async def _say(self, text: str, within_s: float) -> None:
        pcm = self._speech[text]
        self._story.tell("caller_says", text=text)
        self._line.saying(text)
        self.mouth.say(pcm, self._sample_rate)
        await self._until(lambda _: self.mouth.idle, len(pcm) / (2 * self._sample_rate) + within_s)
        self._story.tell("caller_silent")

    async def _play(self, file: str, within_s: float) -> None:
        pcm = self._speech[file]
        self._story.tell(
            "caller_plays", file=Path(file).name, ms=round(len(pcm) / 2 / self._sample_rate * 1000)
        )
        self.mouth.say(pcm, self._sample_rate)
        await self._until(lambda _: self.mouth.idle, len(pcm) / (2 * self._sample_rate) + within_s)
        self._story.tell("caller_silent")

    async def _interrupt(self, step: Interrupt) -> None:
        ears, mouth = self.ears, self.mouth
        after_s = step.after_ms / 1000

        def speaking_long_enough(now: float) -> bool:
            return ears.loud and ears.onset_at is not None and now - ears.onset_at >= after_s

        try:
            await self._until(speaking_long_enough, step.within_s)
        except TimeoutError:
            raise StepFailed(
                f"{self.step}: the agent did not speak for {step.after_ms} ms within {step.within_s:g} s"
            ) from None
        ears.flushed_at = None
        pcm = self._speech[step.say]
        self._story.tell("caller_says", text=step.say, interrupting=True)
        self._line.saying(step.say)
        mouth.say(pcm, self._sample_rate)
        onset = await self._until(lambda _: mouth.onset_at is not None, step.within_s)

        def fell_silent(now: float) -> bool:
            if ears.flushed_at is not None:
                return ears.quiet_s(now) >= SILENT_AFTER_STOP_S
            return not ears.waiting_ms and ears.quiet_s(now) >= SILENT_WITHOUT_STOP_S

        try:
            await self._until(fell_silent, step.within_s)
        except TimeoutError:
            raise StepFailed(f"{self.step}: the agent went on speaking for {step.within_s:g} s") from None
        onset = mouth.onset_at if mouth.onset_at is not None else onset
        silence_ms = round(max(0.0, (ears.last_loud_at or onset) - onset) * 1000, 1)
        ears.mark()
        self.barge_in_ms.append(silence_ms)
        self._story.tell("barge_in", ms=silence_ms, stopped=ears.flushed_at is not None)
        await self._until(lambda _: mouth.idle, len(pcm) / (2 * self._sample_rate) + step.within_s)
        self._story.tell("caller_silent")

    async def _press(self, step: Press) -> None:
        self.ears.mark()
        self._story.tell("keys", count=len(step.keys))
        for key in step.keys.upper():
            self._line.press_key(key)
            await self._wait(KEY_GAP_S, step.within_s)

    async def _wait(self, seconds: float, within_s: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        await self._until(lambda now: now >= end, seconds + within_s)

    async def _expect_hang_up(self, step: ExpectHangUp) -> None:
        try:
            await self._until(lambda _: False, step.within_s)
        except TimeoutError:
            if step.or_hang_up:
                self._line.hang_up()
                return
            raise StepFailed(
                f"{self.step}: the other side did not hang up within {step.within_s:g} s"
            ) from None
