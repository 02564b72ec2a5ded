"""The process: start, settings, time-outs, clean stop."""

import asyncio
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.emulator.functions_host.hosting import ROOT, HostProcess, eventually, write_app
from tests.support.timing import patience

APP = """
    import asyncio, os, pathlib, time

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route()
    async def slow(req: func.HttpRequest) -> func.HttpResponse:
        pathlib.Path("started").touch()
        while not os.path.exists("go-on"):
            await asyncio.sleep(0.01)
        return func.HttpResponse("finished")

    @app.route()
    def stuck(req: func.HttpRequest) -> func.HttpResponse:
        pathlib.Path("started").touch()
        time.sleep(3600)

    @app.route()
    async def setting(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(os.environ["FROM_FILE"] + " " + os.environ["FROM_BOTH"] + " " + os.getcwd())

    @app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
    async def tick(timer: func.TimerRequest) -> None:
        with open("ticks", "a") as ticks:
            ticks.write("x")
"""
SETTINGS = {"IsEncrypted": False, "Values": {"FROM_FILE": "file", "FROM_BOTH": "file"}}


type Start = Callable[..., HostProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts hosts that the test stops itself; what is left after a failure is killed."""
    hosts: list[HostProcess] = []

    def start_one(app: Path, *arguments: str) -> HostProcess:
        hosts.append(HostProcess(app, *arguments))
        return hosts[-1]

    yield start_one
    for host in hosts:
        host.stop(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_in_flight_finish(
    tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    app = write_app(tmp_path, APP)
    host = start(app)
    request = asyncio.create_task(host.call("GET", "/api/slow"))
    await eventually((app / "started").exists)
    host.process.send_signal(number)
    await eventually(lambda: "stopping" in host.logged)
    with pytest.raises(OSError):  # refused: nothing new is taken in
        await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", int(host.base.rsplit(":", 1)[1])), patience(5)
        )
    (app / "go-on").touch()
    assert (await request)[:2] == (200, "finished")
    assert await asyncio.to_thread(host.wait) == 0


@pytest.mark.parametrize(("function", "code"), [("slow", 0), ("stuck", 1)])
async def test_the_end_is_bounded(tmp_path: Path, start: Start, function: str, code: int) -> None:
    app = write_app(tmp_path, APP)
    host = start(app, "--grace", "0.2")
    request = asyncio.create_task(host.call("POST", f"/api/{function}"))
    await eventually((app / "started").exists)
    assert await asyncio.to_thread(host.stop) == code
    with pytest.raises(aiohttp.ClientConnectionError):
        await request
    assert ("its thread is abandoned" in host.logged) == bool(code)


async def test_settings_prefix_timer_and_keys(tmp_path: Path) -> None:
    host_json = {"extensions": {"http": {"routePrefix": ""}}}
    app = write_app(tmp_path, APP, host_json, SETTINGS)
    with HostProcess(app, env={"FROM_BOTH": "environment"}) as host:
        assert (await host.call("GET", "/setting"))[:2] == (200, f"file environment {app}")
        assert (await host.call("GET", "/api/setting"))[0] == 404
        assert stat.S_IMODE(host.keys_file.stat().st_mode) == 0o600
        await eventually(lambda: (app / "ticks").exists() and len((app / "ticks").read_text()) >= 2)


async def test_function_timeout(tmp_path: Path) -> None:
    with HostProcess(write_app(tmp_path, APP, {"functionTimeout": "00:00:01"})) as host:
        assert (await host.call("GET", "/api/slow"))[:2] == (500, "")
        assert "Timeout value of 1.0 s was exceeded by function slow" in host.logged


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "emulator.functions_host", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=patience(20), check=False,
    )  # fmt: skip


def test_help_has_examples() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "python -m emulator.functions_host --app ../my-app --port 0" in result.stdout


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    result = run("--app", str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{tmp_path / 'host.json'}: expected a file with that name" in result.stderr
    assert run("--port", "70000").returncode == 2


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    app = write_app(tmp_path, APP)
    with HostProcess(app) as host:
        result = run("--app", str(app), "--port", host.base.rsplit(":", 1)[1])
    assert result.returncode == 1
    assert "--port: expected a free address" in result.stderr
