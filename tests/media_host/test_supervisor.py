"""The supervisor with workers that are small programs; the real ones are in tests/media_host/image/test_start.py."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cli.processes import ROOT
from media_host.supervisor import TRIES, cores, shares
from tests.support.timing import patience

RUN = """
import os, sys
from media_host.supervisor import Supervisor
workers, stayed_up_s, program = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
sys.exit(Supervisor(workers, os.environ, command=[sys.executable, "-I", "-S", program, sys.argv[4]], pause_s=0.01,
                    stayed_up_s=stayed_up_s).run())
"""

DRAINS = """
signal.signal(signal.SIGTERM, lambda *_: (folder / f"drained-{os.getpid()}").touch() or sys.exit(0))
(folder / str(os.getpid())).write_text(os.environ["MEDIA_HOST_ID"] + " " + os.environ["MEDIA_CAPACITY"])
while True:
    signal.pause()
"""


class Run:
    """A supervisor in a process of its own, with `body` as its workers' program."""

    def __init__(
        self,
        folder: Path,
        body: str,
        *,
        workers: int = 1,
        stayed_up_s: float = 0.0,
        code: str = RUN,
        **env: str,
    ) -> None:
        self.folder = folder / "workers"
        self.folder.mkdir()
        program = folder / "worker.py"
        head = "import os, signal, sys, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
        program.write_text(head + textwrap.dedent(body))
        command = [sys.executable, "-c", code, str(workers), str(stayed_up_s), str(program), str(self.folder)]
        environment = {"PYTHONPATH": str(ROOT), "MEDIA_CAPACITY": "5", **env}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def up(self, count: int) -> list[int]:
        """Wait until so many have said that they are up; all that ever did."""
        end = time.monotonic() + patience(20)
        while time.monotonic() < end:
            pids = [
                int(path.name)
                for path in self.folder.iterdir()
                if path.name.isdigit() and path.stat().st_size
            ]
            if len(pids) >= count:
                return pids
            time.sleep(0.01)
        raise AssertionError(f"not {count} workers: {list(self.folder.iterdir())}")

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=patience(20))
        return self.process.returncode, output

    def drained(self) -> set[int]:
        return {int(path.name.partition("-")[2]) for path in self.folder.glob("drained-*")}

    def names(self) -> list[str]:
        return [path.read_text().split()[0] for path in self.folder.iterdir() if path.name.isdigit()]

    def capacities(self) -> list[int]:
        return sorted(
            int(path.read_text().split()[1]) for path in self.folder.iterdir() if path.name.isdigit()
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_everyone_drains_and_the_calls_are_shared_out(tmp_path, number):
    run = Run(tmp_path, DRAINS, workers=2)
    pids = set(run.up(2))
    run.process.send_signal(number)
    code, output = run.end()
    assert (code, run.drained()) == (0, pids)
    assert run.capacities() == [2, 3]
    assert output.count("draining") == 1


def test_a_dead_one_is_replaced_under_a_name_that_nobody_had(tmp_path):
    run = Run(tmp_path, DRAINS, workers=2, MEDIA_HOST_ID="desk")
    first = run.up(2)
    os.kill(first[0], signal.SIGKILL)
    pids = run.up(3)
    run.process.terminate()
    code, _ = run.end()
    assert (code, run.drained()) == (0, set(pids) - {first[0]})
    assert len(set(run.names())) == 3 and all(name.startswith("desk-") for name in run.names())


def test_one_that_never_stays_up_is_given_up(tmp_path):
    run = Run(
        tmp_path, "(folder / f'{os.getpid()}').write_text('x 1'); sys.exit(7)", workers=1, stayed_up_s=60
    )
    code, output = run.end()
    assert code == 7
    assert len(list(run.folder.iterdir())) == TRIES
    assert "it is not started again" in output


def test_a_wrong_setting_ends_it_all_at_once(tmp_path):
    body = "if os.environ['MEDIA_CAPACITY'] == '2':\n    (folder / str(os.getpid())).write_text('x 2')\n"
    run = Run(tmp_path, f"{body}    time.sleep(0.1)\n    sys.exit(2)\n{DRAINS}", workers=2, stayed_up_s=0)
    code, _ = run.end()
    assert code == 2
    assert len(run.names()) == 2


def test_a_second_signal_changes_nothing(tmp_path):
    counts = """
    def hear(*_):
        with (folder / "heard").open("a") as file:
            file.write("x")
        time.sleep(0.3)
        sys.exit(0)
    signal.signal(signal.SIGTERM, hear)
    (folder / str(os.getpid())).write_text("x 1")
    signal.pause()
    """
    run = Run(tmp_path, counts)
    run.up(1)
    run.process.terminate()
    while not (run.folder / "heard").exists():
        time.sleep(0.01)
    run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 0
    assert (run.folder / "heard").read_text() == "x"


def test_a_worker_that_does_not_end_well_is_told_to_the_platform(tmp_path):
    run = Run(tmp_path, DRAINS.replace("sys.exit(0)", "os._exit(9)"), workers=1)
    run.up(1)
    run.process.terminate()
    assert run.end()[0] == 9


def test_children_of_dead_workers_are_not_left_as_zombies(tmp_path):
    """As a container's first process it inherits them; here it is made a subreaper, which does the same."""
    orphan = "if os.fork() == 0:\n    time.sleep(0.05)\n    os._exit(0)\n" + DRAINS
    run = Run(tmp_path, orphan, code="import ctypes\nctypes.CDLL(None).prctl(36, 1)\n" + RUN)
    [first] = run.up(1)
    os.kill(first, signal.SIGKILL)
    run.up(2)
    end = time.monotonic() + patience(10)
    while len(_children(run.process.pid)) > 2 or _zombies(run.process.pid):
        assert time.monotonic() < end, "a zombie is left"
        time.sleep(0.02)
    run.process.terminate()
    run.end()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _zombies(pid: int) -> list[int]:
    return [
        one
        for one in _children(pid)
        if Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    ]


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["--workers", "0"], {}, "expected auto"),
        (["--workers", "3"], {"MEDIA_CAPACITY": "2"}, "each must take a call"),
        (["--workers", "2"], {"MEDIA_LISTEN_PORT": "0"}, "share a port"),
        ([], {"MEDIA_CAPACITY": "many"}, "many"),
    ],
)
def test_what_cannot_be_is_said_with_exit_code_2(arguments, env, words):
    ended = subprocess.run(
        [sys.executable, "-m", "media_host.supervisor", *arguments],
        env={"PYTHONPATH": str(ROOT), **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patience(20),
    )
    assert ended.returncode == 2
    assert words in ended.stderr and "Traceback" not in ended.stderr


def test_shares():
    assert shares(100, 3) == [34, 33, 33]
    assert shares(2, 2) == [1, 1]


@pytest.mark.parametrize(
    ("text", "most"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_cores_are_those_that_the_container_may_use(tmp_path, text, most):
    path = tmp_path / "cpu.max"
    if text:
        path.write_text(text)
    allowed = os.process_cpu_count()
    assert cores(path) == (allowed if most is None else min(allowed, most))
