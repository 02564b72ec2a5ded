"""`patchcord up` and `patchcord call` as a person uses them: two terminals, and Ctrl-C."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from cli.processes import ROOT, free_port
from tests.support.scan import find_secrets
from tests.support.timing import patience

pytestmark = pytest.mark.e2e


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def finish(process: asyncio.subprocess.Process, within_s: float) -> str:
    output, _ = await asyncio.wait_for(process.communicate(), patience(within_s))
    return output.decode()


async def metrics_of_two_calls(address: str) -> None:
    """The page knows both calls, each with its trace, as soon as the processes have sent them."""
    async with aiohttp.ClientSession() as client, asyncio.timeout(patience(20)):
        text = ""
        while text.count("caller_hung_up</h3>") < 2 or "patchcord.call.duration" not in text:
            await asyncio.sleep(0.2)
            async with client.get(address) as answer:
                text = await answer.text()
        assert "patchcord.calls.capacity" in text and "patchcord-functions" in text


async def test_up_call_and_ctrl_c(tmp_path):
    ports = {name: free_port() for name in ("functions", "media", "acs", "metrics")}
    up = await start(tmp_path, "up", "--metrics", *(f"--{name}-port={port}" for name, port in ports.items()))
    try:
        printed = ""
        async with asyncio.timeout(patience(40)):
            while "Ctrl-C" not in printed:
                raw = await up.stdout.readline()
                assert raw, printed
                printed += raw.decode()
        assert all(str(port) in printed for port in ports.values())
        run_file = tmp_path / ".patchcord" / "run.json"
        assert run_file.stat().st_mode & 0o077 == 0, "only the owner may read the keys"

        script = str(ROOT / "emulator" / "scripts" / "hangup.yaml")
        call = await start(tmp_path, "call", script)
        other = await start(tmp_path, "call", "--line", "twilio", "--out", "out/twilio", script)
        story, on_twilio = await asyncio.gather(finish(call, 40), finish(other, 40))
        for process, told, line in ((call, story, "acs"), (other, on_twilio, "twilio")):
            assert process.returncode == 0, told
            assert "answered" in told
            assert "caller_hung_up" in told
            folder = tmp_path / "out" / ("call" if line == "acs" else line)
            assert json.loads((folder / "call.json").read_text())["line"] == line
        story += on_twilio
        await metrics_of_two_calls(f"http://127.0.0.1:{ports['metrics']}/")
    finally:
        up.send_signal(signal.SIGINT)
        printed += await finish(up, 30)
    assert up.returncode == 0, printed
    assert "Stopped." in printed
    assert not run_file.exists()
    assert find_secrets(printed + story) == []


async def test_call_says_what_to_do_when_nothing_is_running(tmp_path):
    call = await start(tmp_path, "call", str(ROOT / "emulator" / "scripts" / "hangup.yaml"))
    output = await finish(call, 20)
    assert call.returncode == 1
    assert (
        output.strip()
        == "patchcord: nothing is running here: start it with `patchcord up` in another terminal"
    )


async def test_a_taken_port_and_a_missing_script_are_said_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = await start(tmp_path, "up", f"--acs-port={port}")
        output = await finish(up, 20)
    assert up.returncode == 1
    assert str(port) in output
    assert "address already in use" in output
    assert "Traceback" not in output
    demo = await start(tmp_path, "demo", "--script", "no-such.yaml")
    output = await finish(demo, 40)
    assert demo.returncode == 1
    assert "no-such.yaml: expected a caller script" in output


async def test_credentials_are_printed_once_and_stored_as_a_hash(tmp_path):
    store = f"--store=sqlite:{tmp_path / 'store.db'}"
    issue = await start(tmp_path, "credentials", "create", "default", store)
    output = await finish(issue, 20)
    words = output.split()
    api_id, secret = words[1], words[3]
    assert issue.returncode == 0
    assert secret.startswith("pcs_")
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert api_id.encode() in stored
    assert secret.encode() not in stored
    add = await start(tmp_path, "credentials", "rotate", api_id, store)
    assert secret not in await finish(add, 20)
    revoke = await start(tmp_path, "credentials", "revoke", api_id, "--secret=oldest", store)
    assert "no longer opens anything" in await finish(revoke, 20)
    assert (add.returncode, revoke.returncode) == (0, 0)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["up"],
        ["call"],
        ["emulate"],
        ["dial"],
        ["trace"],
        ["credentials"],
        ["credentials", "create"],
    ],
)
async def test_every_command_explains_itself(tmp_path, command):
    helped = await start(tmp_path, *command, "--help")
    output = await finish(helped, 20)
    assert helped.returncode == 0
    assert output.startswith("usage: patchcord")
