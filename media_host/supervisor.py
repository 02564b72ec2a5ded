"""`python -m media_host.supervisor`: one media host for each core, all on one port; what the container runs.

A call needs few microseconds of many short turns, and Python runs one of them at a time; so a machine is filled by processes.
They share the port (SO_REUSEPORT: the kernel gives each new connection to one of them), and each is a media host in its own
right, with its own heartbeat, its share of MEDIA_CAPACITY, and a name that no process ever had before: a dead one's calls must
not look alive because another has taken its name.

    --workers N     how many; `auto`, the default, is one for each core that this container may use

SIGTERM and SIGINT are handed on, once: every worker drains. A worker that dies is replaced; one that does not stay up is tried
five times, with pauses; a wrong setting (exit code 2) is not tried again. When the last one is gone, so is this process, with
exit code 0 after a drain, else the worst worker's.

Linux only (`sigtimedwait`); on other systems run `python -m media_host`, which is one worker.
"""

import argparse
import math
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STAYED_UP_S = 10.0
"""A worker that lives this long (s) has started well; its death is not held against the next one."""

TRIES = 5
"""So many times in a row a worker may die young."""

WRONG_SETTING = 2
"""`media_host.__main__`'s exit code for it."""

LONGEST_PAUSE_S = 8.0

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")

COMMAND = (sys.executable, "-m", "media_host")


def cores(cpu_max: Path = _CPU_MAX) -> int:
    """Cores that this process may use: those it is allowed on, or fewer if the container's share of time is less (cgroup v2)."""
    allowed = os.process_cpu_count() or 1
    try:
        quota, period = cpu_max.read_text(encoding="ascii").split()[:2]
        return max(1, min(allowed, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file outside containers; `max` is no number: no limit
        return allowed


def shares(capacity: int, workers: int) -> list[int]:
    """How many calls at once each worker takes, together `capacity`."""
    return [capacity // workers + (number < capacity % workers) for number in range(workers)]


@dataclass(slots=True)
class _Worker:
    """A place for one process; `due` says when to start it (s, monotonic), None that it is never to be started again."""

    capacity: int
    pid: int = 0
    due: float | None = 0.0
    started_at: float = 0.0
    young_deaths: int = field(default=0)


class Supervisor:
    """Keeps the workers running.

    Args:
        workers: how many.
        environment: theirs; MEDIA_CAPACITY and MEDIA_HOST_ID are changed for each.
        command: what a worker is.
        pause_s: after a first early death (s); doubled each time.
        stayed_up_s: see STAYED_UP_S.
        say: gets a line for each thing that happens.

    Raises:
        ValueError: there are fewer calls than workers, or MEDIA_CAPACITY is no number.
    """

    def __init__(
        self,
        workers: int,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] = COMMAND,
        pause_s: float = 0.5,
        stayed_up_s: float = STAYED_UP_S,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        capacity = int(environment.get("MEDIA_CAPACITY") or "100")
        if not 1 <= workers <= capacity:
            raise ValueError(f"{workers} workers for MEDIA_CAPACITY={capacity}: each must take a call")
        self._workers = [_Worker(share) for share in shares(capacity, workers)]
        self._environment = environment
        self._command = tuple(command)
        self._pause_s = pause_s
        self._stayed_up_s = stayed_up_s
        self._say = say
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Start them, keep them up, wait for the last one; returns the exit code."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            while self._is_needed():
                self._start_those_due()
                got = signal.sigtimedwait(_SIGNALS, self._until_next())
                if got is not None and got.si_signo != signal.SIGCHLD:
                    self._stop()
                self._reap()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._code

    def _is_needed(self) -> bool:
        return any(worker.pid or worker.due is not None for worker in self._workers)

    def _until_next(self) -> float:
        """Seconds until a worker is to be started; an hour when there is nothing to do but wait."""
        waits = [worker.due - time.monotonic() for worker in self._workers if worker.due is not None]
        return max(0.0, min(waits, default=3600.0))

    def _start_those_due(self) -> None:
        for worker in self._workers:
            if worker.due is not None and worker.due <= time.monotonic():
                worker.due, worker.started_at = None, time.monotonic()
                base = self._environment.get("MEDIA_HOST_ID") or socket.gethostname()
                name = f"{base[-55:]}-{secrets.token_hex(4)}"
                changed = {"MEDIA_CAPACITY": str(worker.capacity), "MEDIA_HOST_ID": name}
                # The workers are to hear the signals that are blocked here, hence the empty mask.
                worker.pid = os.posix_spawn(
                    self._command[0], self._command, {**self._environment, **changed}, setsigmask=()
                )
                self._say(f"supervisor: worker {name} has process {worker.pid}, {worker.capacity} calls")

    def _stop(self) -> None:
        """Let everyone drain; a second signal changes nothing."""
        if self._stopping:
            return
        self._stopping = True
        for worker in self._workers:
            worker.due = None
            if worker.pid:
                os.kill(worker.pid, signal.SIGTERM)
        self._say("supervisor: draining")

    def _reap(self) -> None:
        """Take note of all who died; as the container's first process this one inherits others' children too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in self._workers:
                if worker.pid == pid:
                    self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: _Worker, code: int) -> None:
        pid, worker.pid = worker.pid, 0
        if self._stopping:
            self._worst(code)
            return
        lived_s = time.monotonic() - worker.started_at
        worker.young_deaths = 0 if lived_s >= self._stayed_up_s else worker.young_deaths + 1
        if code == WRONG_SETTING or worker.young_deaths >= TRIES:
            self._say(f"supervisor: process {pid} ended with {code}; it is not started again")
            self._worst(code or 1)
            if code == WRONG_SETTING:  # the others have the same settings
                self._stop()
            return
        pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2 ** max(0, worker.young_deaths - 1))
        worker.due = time.monotonic() + pause_s
        self._say(f"supervisor: process {pid} ended with {code}; another one in {pause_s:g} s")

    def _worst(self, code: int) -> None:
        """Keep the first bad exit code; a signal's is 128 and its number, as in a shell."""
        self._code = self._code or (code if code >= 0 else 128 - code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m media_host.supervisor", description="One media host for each core."
    )
    parser.add_argument("--workers", default="auto", help="how many processes; auto: one for each core")
    wanted = parser.parse_args(arguments).workers
    if wanted != "auto" and not (wanted.isdecimal() and 1 <= int(wanted) <= 256):
        parser.error("--workers: expected auto, or 1 to 256")
    try:
        capacity = int(os.environ.get("MEDIA_CAPACITY") or "100")
        workers = min(cores(), max(1, capacity)) if wanted == "auto" else int(wanted)
        if workers > 1 and (os.environ.get("MEDIA_LISTEN_PORT") or "8080") == "0":
            raise ValueError("MEDIA_LISTEN_PORT=0: several processes must share a port that is known")
        supervisor = Supervisor(workers, os.environ)
    except ValueError as error:
        print(f"media host: {error}", file=sys.stderr)
        return WRONG_SETTING
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
