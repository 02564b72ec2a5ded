import asyncio
import os
import signal
import subprocess
import sys

import pytest

from media_host.speech.child import ROOT, Child
from shared.errors import AgentUnavailable
from tests.support.timing import patience

ECHO = "tests.media_host.speech.echo_child"


async def until(condition):
    async with asyncio.timeout(patience(10)):
        while not condition():
            await asyncio.sleep(0.005)


async def test_requests_are_answered_each_with_its_own():
    async with Child(ECHO) as child:
        requests = [child.request({"text": str(n)}, bytes([n, 0, n])) for n in range(50)]
        answers = await asyncio.gather(*requests)
    assert [(a["echo"], d) for a, d in answers] == [(str(n), bytes([n, 0, n])) for n in range(50)]


async def test_an_error_in_a_request_is_told_and_the_child_lives_on():
    async with Child(ECHO) as child:
        pid = child.pid
        with pytest.raises(AgentUnavailable, match="ValueError: no good"):
            await child.request({"do": "raise"})
        assert (await child.request({"text": "x"}))[0]["echo"] == "x"
        assert child.pid == pid


async def test_what_a_library_prints_does_not_break_the_frames():
    async with Child(ECHO) as child:
        assert (await child.request({"do": "print"}, b"ab"))[1] == b"ba"


async def test_a_crash_fails_what_waited_and_the_next_child_answers():
    async with Child(ECHO) as child:
        waiting = [asyncio.create_task(child.request({"do": "crash"})) for _ in range(3)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, AgentUnavailable) for result in results)
        assert (await child.request({"text": "again"}))[0]["echo"] == "again"
        assert child.restarts == 1


async def test_a_killed_child_is_replaced():
    async with Child(ECHO) as child:
        old = child.pid
        os.kill(old, signal.SIGKILL)
        await until(lambda: child.restarts == 1 and child.pid not in (None, old))
        assert (await child.request({"text": "hi"}))[0]["echo"] == "hi"


async def test_a_stuck_child_is_replaced():
    async with Child(ECHO, work_s=0.2, wait_s=patience(20)) as child:
        with pytest.raises(AgentUnavailable):
            await child.request({"do": "sleep"})
        assert (await child.request({"text": "after"}))[0]["echo"] == "after"


async def test_a_request_waits_for_so_long_only():
    async with Child(ECHO, work_s=patience(30), wait_s=0.1) as child:
        with pytest.raises(AgentUnavailable, match=r"0\.1 s"):
            await child.request({"do": "sleep"})


async def test_one_request_too_many_is_refused_at_once():
    async with Child(ECHO, max_pending=2) as child:
        waiting = [asyncio.create_task(child.request({"do": "sleep"})) for _ in range(2)]
        await asyncio.sleep(0)
        await until(lambda: len(child._pending) == 2)
        with pytest.raises(AgentUnavailable, match="are waiting"):
            await child.request({"text": "x"})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_cancelled_request_harms_nobody():
    async with Child(ECHO) as child:
        task = asyncio.create_task(child.request({"text": "gone"}))
        await asyncio.sleep(0)
        task.cancel()
        assert (await child.request({"text": "here"}))[0]["echo"] == "here"


async def test_a_child_that_cannot_start_says_why_and_is_not_retried():
    child = Child("tests.media_host.speech.no_such_module")
    with pytest.raises(AgentUnavailable, match="died"):
        await child.start()
    with pytest.raises(AgentUnavailable):
        await child.request({})


async def test_an_engine_that_cannot_be_built_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "echo-child-broken").touch()
    with pytest.raises(AgentUnavailable, match="RuntimeError: told to fail"):
        await Child(ECHO).start()


async def test_the_environment_of_the_child_has_no_secrets(monkeypatch):
    monkeypatch.setenv("ACS_ACCESS_KEY", "secret")
    async with Child(ECHO) as child:
        names = (await child.request({"do": "env"}))[0]["names"]
    assert "ACS_ACCESS_KEY" not in names
    assert "PYTHONPATH" in names


async def test_closing_ends_the_process_and_what_waits():
    child = Child(ECHO)
    await child.start()
    pid = child.pid
    waiting = asyncio.create_task(child.request({"do": "sleep"}))
    await until(lambda: child._pending)
    await child.close()
    await child.close()
    with pytest.raises(AgentUnavailable):
        await waiting
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(AgentUnavailable):
        await child.start()


PARENT = f"""
import asyncio
from media_host.speech.child import Child
async def main():
    child = Child({ECHO!r})
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_child_does_not_outlive_a_parent_that_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert int(parent.stdout.readline()) > 0
        parent.kill()
        # The child holds the other end of this pipe as its standard error: end of file means that it is gone as well.
        assert b"Traceback" not in parent.communicate(timeout=patience(10))[1]
    finally:
        parent.kill()
        parent.wait()
