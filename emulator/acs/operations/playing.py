"""Play, recognise and cancel on one call: the queue's shell. Callbacks and sounds go to the call, results come from its legs."""

import asyncio
import logging
from typing import Any, Self

from emulator.acs.calls import Call
from emulator.acs.events import result
from emulator.acs.legs import Leg
from emulator.acs.operations.hearing import Hearing
from emulator.acs.operations.play_queue import Audience, Change, Job, MediaQueue, Step
from emulator.acs.operations.recognition import Heard, Options, Outcome, Recognition
from emulator.acs.operations.sources import SoundFailed, Sounds
from emulator.acs.operations.utterance import Utterances
from emulator.acs.services import Operation
from emulator.acs.sounds import Sound

log = logging.getLogger(__name__)

type Json = dict[str, Any]

CANCELED = result(400, 8508, "Action failed, the operation was canceled.")
FRAMES_PER_S = 50
TEXT_AHEAD_S = 1.0
"""A script's text is announced before its first sound is heard, by at most this (s)."""


class Playing:
    """The media operations of a call, made when the first one comes.

    Args:
        call: whose they are.
        sounds: makes sound of play sources.
        hearing: recognises speech.
    """

    def __init__(self, call: Call, sounds: Sounds, hearing: Hearing) -> None:
        self.call = call
        self.sounds = sounds
        self.hearing = hearing
        self.queue = MediaQueue()
        call.when_gone.append(self.cancel_all)

    @property
    def rate(self) -> int:
        """Of all sound in the call (Hz)."""
        return self.call.conversation.rate if self.call.conversation is not None else 0

    @classmethod
    def of(cls, call: Call, sounds: Sounds, hearing: Hearing) -> Self:
        """The operations of `call`."""
        known = call.extras.get("playing")
        if not isinstance(known, cls):
            known = call.extras["playing"] = cls(call, sounds, hearing)
        return known

    def play(
        self, sources: list[Json], to: Audience, *, loop: bool, interrupt: bool, operation: Operation
    ) -> None:
        """Queue a play.

        Raises:
            RestError: 400/8500, 412/8583: see `MediaQueue.submit`.
        """
        self._submit(Job("play", to, loop, _Play(self, operation)), sources, interrupt)

    def recognize(
        self, target: Leg, options: Options, prompts: list[Json], *, interrupt: bool, operation: Operation
    ) -> None:
        """Queue a recognition. Its prompt is heard by its target alone (guessed).

        Raises:
            RestError: 400/8500, 412/8583: see `MediaQueue.submit`.
        """
        owner = _Recognize(self, operation, target, options)
        self._submit(Job("recognize", frozenset((target.raw_id,)), owner=owner), prompts, interrupt)

    def cancel_all(self) -> None:
        """Throw away everything that plays, listens or waits."""
        self.apply(self.queue.cancel_all())

    def _submit(self, job: Job, sources: list[Json], interrupt: bool) -> None:
        self.apply(self.queue.submit(job, interrupt=interrupt))
        self.call.spawn(self._load(job, sources))

    async def _load(self, job: Job, sources: list[Json]) -> None:
        try:
            pcm = await self.sounds.all(sources, self.rate)
        except SoundFailed as failure:
            self.apply(self.queue.failed(job, failure))
        except Exception:  # whatever happens, the app must hear that its operation is over
            log.exception("a play source failed")
            unknown = SoundFailed(500, 9999, "Unknown internal server error.")
            self.apply(self.queue.failed(job, unknown))
        else:
            self.apply(self.queue.loaded(job, pcm))

    def apply(self, changes: list[Change]) -> None:
        """Carry out what the queue decided."""
        for step, job in changes:
            job.owner.take(step, job)

    def sound(self, job: Job) -> Sound:
        """Play a job's sound; the queue is told when it was heard."""

        def ended(completed: bool) -> None:
            if completed:
                self.apply(self.queue.ended(job))

        return self.call.play(job.pcm or b"", job.audience, loop=job.loop, on_end=ended)

    def silence(self, sound: Sound | None) -> None:
        """Break off a sound, if it is still to be heard."""
        if sound is not None and not sound.ended:
            sound.cancel()
            self.call.play_flushed(sound.to)


class _Play:
    """A play on its way."""

    def __init__(self, playing: Playing, operation: Operation) -> None:
        self._playing = playing
        self._operation = operation
        self._sound: Sound | None = None

    def take(self, step: Step, job: Job) -> None:
        """Carry out a step."""
        post, operation = self._playing.call.post, self._operation
        if step is Step.SOUND:
            post("PlayStarted", None, operation)
            self._sound = self._playing.sound(job)
        elif step is Step.COMPLETED:
            post("PlayCompleted", None, operation)
        elif step is Step.FAILED:
            post("PlayFailed", _failure(job), operation)
        else:
            self._playing.silence(self._sound)
            post("PlayCanceled", {"resultInformation": CANCELED}, operation)


def _failure(job: Job) -> Json:
    failure: SoundFailed = job.failure
    return {
        "failedPlaySourceIndex": failure.index,
        "resultInformation": result(failure.code, failure.sub_code, failure.message),
    }


class _Recognize:
    """A recognition on its way: its target's keys and frames go in, a callback comes out."""

    def __init__(self, playing: Playing, operation: Operation, target: Leg, options: Options) -> None:
        self._playing = playing
        self._operation = operation
        self._target = target
        self._options = options
        self._recognition = Recognition(options)
        self._job: Job | None = None
        self._sound: Sound | None = None
        self._utterances: Utterances | None = None
        self._said: list[tuple[float, str]] = []
        self._over = False

    def take(self, step: Step, job: Job) -> None:
        """Carry out a step."""
        if step is Step.SOUND:
            self._attach(job)
            self._sound = self._playing.sound(job)
        elif step is Step.LISTEN:
            self._attach(job)
            self._recognition.begin(asyncio.get_running_loop().time())
        elif step is Step.FAILED:
            prompt = result(500, 8511, "Action failed, encountered failure while trying to play the prompt.")
            self._end("RecognizeFailed", {**_failure(job), "resultInformation": prompt})
        else:
            self._end("RecognizeCanceled", {"resultInformation": CANCELED})

    def _attach(self, job: Job) -> None:
        target = self._target
        if self._job is not None:
            return
        self._job = job
        if target.is_gone:
            self._gone()
            return
        if self._options.by_speech:
            frame_bytes = self._playing.rate * 2 // FRAMES_PER_S
            self._utterances = Utterances(self._options.end_silence_s, frame_bytes)
        target.ears.append(self._frame)
        target.key_listeners.append(self._key)
        target.text_listeners.append(self._text)
        target.when_gone.append(self._gone)

    def _detach(self) -> None:
        target = self._target
        if self._job is None or target.is_gone:
            return  # it listens to nobody, or to somebody who clears these lists right now
        target.ears.remove(self._frame)
        target.key_listeners.remove(self._key)
        target.text_listeners.remove(self._text)
        target.when_gone.remove(self._gone)

    def _end(self, kind: str, data: Json) -> None:
        """The recognition is over, one way or another."""
        if self._over:
            return
        self._over = True
        self._detach()
        self._playing.silence(self._sound)
        self._playing.call.post(kind, data, self._operation)
        if self._job is not None:
            self._playing.apply(self._playing.queue.finish(self._job))

    def _finish(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            information = result(outcome.code, outcome.sub_code, outcome.message)
            self._end(outcome.kind, {**outcome.data, "resultInformation": information})
        elif self._recognition.prompt_broken:
            self._playing.silence(self._sound)

    def _gone(self) -> None:
        """Guessed: the target has left, so there is nobody to listen to."""
        self._end("RecognizeFailed", {"resultInformation": result(404, 8522, "Participant not found.")})

    def _key(self, key: str) -> None:
        self._finish(self._recognition.key(key, asyncio.get_running_loop().time()))

    def _text(self, text: str) -> None:
        self._said.append((asyncio.get_running_loop().time(), text))

    def _frame(self, pcm: bytes | None, now: float) -> None:
        recognition, utterances = self._recognition, self._utterances
        if utterances is not None and (recognition.wants_speech or utterances.speaking):
            happened = utterances.frame(pcm)
            if happened == "began":
                recognition.speech_began()
            elif happened == "noise":
                recognition.noise()
            elif happened == "ended" and recognition.speaking:
                recognition.speech_ended(now)
                said = [text for at, text in self._said if at >= now - utterances.ago_s - TEXT_AHEAD_S]
                self._playing.call.spawn(self._hear(utterances.pcm, " ".join(said) or None))
                self._utterances = None
        self._finish(recognition.tick(now))

    async def _hear(self, pcm: bytes, text: str | None) -> None:
        if self._options.kind != "choices":
            # Guessed: open-ended speech is what the script says; nothing here takes dictation.
            heard = Heard(text, confidence=0.9)
        else:
            hearing = self._playing.hearing
            heard = await hearing.choice(pcm, self._playing.rate, self._options.choices, text)
        self._finish(self._recognition.heard(heard))
