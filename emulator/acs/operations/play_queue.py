"""What is played into a call, in which order: a state machine without clock and I/O.

Plays wait for each other; `interrupt` throws away what plays and what waits [DOC]. The prompt of a recognition takes its turn in
the same queue, and the recognition holds it until it is over. What may not be queued together is guessed (acs.md 4.3 names
the codes 400/8500 and 412/8583 only): see `MediaQueue.submit`.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from emulator.acs.errors import RestError

type Audience = frozenset[str] | None
"""Raw ids of those who hear it; None: everybody."""


class Step(StrEnum):
    """What is to be done with a job, or what became of it."""

    SOUND = "sound"
    """Its sound begins now; `ended` tells when it was heard."""
    LISTEN = "listen"
    """The prompt of a recognition is over, or there was none: it begins."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(slots=True, eq=False)
class Job:
    """A play, or a recognition with its prompt.

    Attributes:
        kind: which.
        audience: who hears it.
        loop: play again and again until it is cancelled.
        owner: whose it is; not looked at here.
        pcm: the sound, once it is there (b"" for a recognition without a prompt).
        failure: why there will be none.
        begun: it has its turn and its sound, if it has one, was started.
    """

    kind: Literal["play", "recognize"]
    audience: Audience
    loop: bool = False
    owner: Any = None
    pcm: bytes | None = None
    failure: Any = None
    begun: bool = False


type Change = tuple[Step, Job]


class MediaQueue:
    """The queue of one call. Every method returns what changed by it, in order."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    @property
    def current(self) -> Job | None:
        """What has its turn."""
        return self._jobs[0] if self._jobs else None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What has its turn and what waits, in order."""
        return tuple(self._jobs)

    def submit(self, job: Job, *, interrupt: bool = False) -> list[Change]:
        """Take a job in; its sound comes later by `loaded` or `failed`.

        Guessed: a second recognition is 400/8500; a play while a recognition runs or waits, and a play to other people than
        the one before it, are 412/8583. `interrupt` makes room first, so it is never refused.

        Raises:
            RestError: it may not be queued.
        """
        changes: list[Change] = []
        if interrupt:
            changes = self.cancel_all()
        else:
            self._check(job)
        self._jobs.append(job)
        return changes

    def _check(self, job: Job) -> None:
        recognizing = any(waiting.kind == "recognize" for waiting in self._jobs)
        if recognizing and job.kind == "recognize":
            raise RestError(400, "8500", "Invalid media mode: a media operation is already active.")
        if recognizing:
            raise RestError(412, "8583", "The media actions are incompatible: a recognition is in progress.")
        if job.kind == "play" and any(waiting.audience != job.audience for waiting in self._jobs):
            raise RestError(412, "8583", "The media actions are incompatible: their participants differ.")

    def loaded(self, job: Job, pcm: bytes) -> list[Change]:
        """The sound of a job is there."""
        job.pcm = pcm
        return self._begin()

    def failed(self, job: Job, failure: object) -> list[Change]:
        """There will be no sound for a job; it fails when it has its turn."""
        job.failure = failure
        return self._begin()

    def ended(self, job: Job) -> list[Change]:
        """The sound of a job was heard to its end. Does nothing when it is not that job's turn."""
        if job is not self.current or not job.begun:
            return []
        if job.kind == "recognize":
            return [(Step.LISTEN, job)]
        self._jobs.popleft()
        return [(Step.COMPLETED, job), *self._begin()]

    def finish(self, job: Job) -> list[Change]:
        """A recognition is over. Does nothing when it is not in the queue any more."""
        if job not in self._jobs:
            return []
        self._jobs.remove(job)
        return self._begin()

    def cancel_all(self) -> list[Change]:
        """Throw everything away, what plays and what waits."""
        changes = [(Step.CANCELED, job) for job in self._jobs]
        self._jobs.clear()
        return changes

    def _begin(self) -> list[Change]:
        """Let the current job begin if it can; those that fail or have nothing to say make room for the next."""
        changes: list[Change] = []
        while (job := self.current) is not None and not job.begun:
            if job.failure is not None:
                changes.append((Step.FAILED, job))
                self._jobs.popleft()
            elif job.pcm is None:
                break
            elif job.pcm or job.kind == "play":
                job.begun = True
                changes.append((Step.SOUND, job))
            else:
                job.begun = True
                changes.append((Step.LISTEN, job))
        return changes
