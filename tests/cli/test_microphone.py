"""`patchcord dial --mic`, with stand-in programs on PATH in place of those that know a sound card."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.__main__ import parser
from cli.dial import script_of
from cli.microphone import find_programs
from cli.processes import ROOT
from cli.run_files import write_private
from emulator.phone.audio import share_at
from emulator.phone.script import parse_script
from shared.errors import InvalidInput, PatchcordError
from tests.support.app import CONTROL_KEY, App, Media, emulated_app, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

RATE = 24000
RECORDER = """
import math, sys, time
from array import array
assert sys.argv[sys.argv.index("-r") + 1] == "24000" and "S16_LE" in sys.argv
n = 0
start = time.monotonic()
while True:  # 500 Hz in pieces of 50 ms, as fast as a microphone
    sys.stdout.buffer.write(array("h", (int(8000 * math.sin(2 * math.pi * 500 * (n + i) / 24000)) for i in range(1200))))
    sys.stdout.buffer.flush()
    n += 1200
    time.sleep(max(0, start + n / 24000 - time.monotonic()))
"""
PLAYER = """
import os, sys
with open(os.environ["PLAYED"], "wb", buffering=0) as file:
    while piece := os.read(0, 4096):
        file.write(piece)
"""


def program(folder: Path, name: str, source: str) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "arecord", RECORDER)
    program(tmp_path / "bin", "aplay", PLAYER)
    return tmp_path


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with emulated_app() as app:
        app.on_media = lambda media: media.speak(sine(800, 600))
        yield app


@contextlib.asynccontextmanager
async def dialling(app: App, folder: Path) -> AsyncIterator[Process]:
    run = {"emulator": app.emulator.endpoint, "control_key": CONTROL_KEY, "ca_file": None}
    write_private(folder / "run.json", json.dumps(run))
    options = ["dial", "--mic", "--folder", str(folder), "--out", str(folder / "out")]
    environment = {**os.environ, "PATH": str(folder / "bin"), "PLAYED": str(folder / "played.pcm")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *options,
        cwd=ROOT,
        env=environment,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def end_of(process: Process) -> tuple[int, str]:
    async with asyncio.timeout(patience(20)):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


def hears_500_hz(media: Media) -> bool:
    return share_at(media.pcm()[-RATE:], RATE, 500) > 0.9  # half a second


async def test_both_hear_each_other_and_ctrl_c_hangs_up(app: App, folder: Path) -> None:
    async with dialling(app, folder) as process:
        await app.until(lambda: bool(app.media), 20)
        media = await app.connected()
        await media.until(hears_500_hz, 20)
        process.stdin.write(b"hello\n42#\n")
        await media.until(lambda media: media.kinds().count("DtmfData") == 3, 20)
        process.send_signal(signal.SIGINT)
        code, out = await end_of(process)
    await app.callback("CallDisconnected")
    assert code == 0, out
    assert "Not pressed" in out
    assert "42#" not in out
    summary = json.loads((folder / "out" / "call.json").read_text())
    assert summary["ended"] == {"reason": "caller_hung_up", "by": "caller"}
    assert set(summary["live"]) == {"voiceDroppedMs", "hearingDroppedMs"}
    played = (folder / "played.pcm").read_bytes()
    loud = played[played.index(sine(800, 600)[2:100]) :][: RATE * 2 // 2]
    assert share_at(loud, RATE, 800) > 0.95


async def test_the_app_hangs_up(app: App, folder: Path) -> None:
    async with dialling(app, folder) as process:
        await app.until(lambda: bool(app.media), 20)
        await (await app.connected()).until(hears_500_hz, 20)
        await app.connection.hang_up(is_for_everyone=True)
        code, out = await end_of(process)
    assert code == 0, out
    assert json.loads((folder / "out" / "call.json").read_text())["ended"]["by"] == "agent"


@pytest.mark.parametrize("broken", ["arecord", "aplay"])
async def test_a_program_that_stops_ends_the_call(app: App, folder: Path, broken: str) -> None:
    program(folder / "bin", broken, "import sys; sys.exit('no such device')")
    async with dialling(app, folder) as process:
        code, out = await end_of(process)
    assert code == 1, out
    assert "no such device" in out
    assert f"patchcord: {broken} stopped" in out
    assert "Traceback" not in out
    await app.callback("CallDisconnected")


async def test_missing_programs_are_named_before_anything_rings(app: App, folder: Path) -> None:
    (folder / "bin" / "aplay").unlink()
    async with dialling(app, folder) as process:
        code, out = await end_of(process)
    assert code == 1
    assert len(out.splitlines()) == 1 and "install alsa-utils" in out
    assert not app.events


def test_the_first_pair_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PatchcordError, match="pulseaudio-utils"):
        find_programs()
    for name in ("rec", "play", "parec"):
        program(tmp_path, name, "")
    assert find_programs().recorder == str(tmp_path / "rec")
    program(tmp_path, "pacat", "")
    assert find_programs().player == str(tmp_path / "pacat")


def test_the_options_of_a_microphone() -> None:
    parse_script(script_of(parser().parse_args(["dial", "--mic"])))
    with pytest.raises(InvalidInput):
        script_of(parser().parse_args(["dial", "--mic", "--keys", "1"]))
