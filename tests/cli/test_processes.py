import asyncio
import os
import signal

import pytest

from cli.processes import Child, StartFailed, free_port
from cli.stack import answers
from tests.support.timing import patience


def server(tmp_path, port):
    return Child(
        "a web server",
        "http.server",
        [str(port), "--bind", "127.0.0.1"],
        {},
        tmp_path / "log.txt",
    )


async def test_a_child_is_ready_when_it_answers_and_gone_after_stop(tmp_path):
    port = free_port()
    child = server(tmp_path, port)
    await child.start(lambda: answers(f"http://127.0.0.1:{port}/"), patience(10))
    pid = child.pid
    assert child.running
    await child.stop()
    assert not child.running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_ends_at_once_is_reported_with_its_log(tmp_path):
    child = Child("a broken part", "no_such_module_of_ours", [], {}, tmp_path / "log.txt")
    with pytest.raises(StartFailed) as caught:
        await child.start(lambda: answers("http://127.0.0.1:9/"), patience(10))
    assert "a broken part ended with exit code 1" in str(caught.value)
    assert "No module named no_such_module_of_ours" in str(caught.value)


async def test_a_child_that_never_gets_ready_is_stopped(tmp_path):
    port = free_port()
    child = server(tmp_path, port)

    async def never():
        return False

    with pytest.raises(StartFailed, match="was not ready within"):
        await child.start(never, 0.3)
    assert not child.running


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path):
    script = tmp_path / "stubborn.py"
    script.write_text(
        "import signal, time, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    child = Child("a stubborn part", "runpy", [str(script)], {}, tmp_path / "log.txt")
    child._command[1:] = [str(script)]

    async def up():
        return (tmp_path / "up").exists()

    await child.start(up, patience(10))
    assert await asyncio.wait_for(child.stop(0.2), patience(10)) == -signal.SIGKILL


async def test_nobody_answers_on_a_closed_port():
    assert not await answers(f"http://127.0.0.1:{free_port()}/")
