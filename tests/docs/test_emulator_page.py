"""docs/emulator.md keeps its word: its commands run, its files load, and it names every knob and step."""

import asyncio
import dataclasses
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from cli.processes import ROOT, free_port
from emulator.event_grid.config import parse_subscription
from emulator.faults import Faults
from emulator.phone.script import SHORT_FORMS, parse_script
from emulator.twilio.config import TwilioConfig
from tests.support.scan import find_secrets
from tests.support.timing import patience

PAGE = (ROOT / "docs" / "emulator.md").read_text()
BLOCKS = {
    section.partition("\n")[0]: block[1]
    for section in PAGE.split("\n## ")
    if (block := re.search(r"```\w*\n(.*?)```", section, re.DOTALL))
}
COMMANDS = [line.partition("#")[0].strip() for line in BLOCKS["In five minutes"].splitlines()]


def test_every_knob_is_named() -> None:
    table = PAGE.partition("| knob |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) >= {item.name for item in dataclasses.fields(Faults)}


def test_the_script_is_one_and_has_every_step() -> None:
    script = yaml.safe_load(BLOCKS["Callers"])
    assert len(parse_script(script).steps) == len(script["steps"])
    assert set(SHORT_FORMS) <= set(re.findall(r"\w+", BLOCKS["Callers"]))


def test_the_subscriptions_are_some() -> None:
    for subscription in yaml.safe_load(BLOCKS["Events"])["subscriptions"]:
        parse_subscription(subscription)


def test_the_twilio_account_is_one() -> None:
    block = PAGE.partition("\n## Twilio\n")[2].partition("```yaml\n")[2].partition("```")[0]
    config = msgspec.convert(yaml.safe_load(block)["twilio"], TwilioConfig)
    config.check()
    assert {item.name for item in dataclasses.fields(TwilioConfig)} >= set(yaml.safe_load(block)["twilio"])


def test_the_foreign_app_is_as_short_as_it_says() -> None:
    lines = (ROOT / "docs" / "examples" / "answer_a_call.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 41


async def start(command: str, folder: Path, ports: dict[str, int], log: Path) -> asyncio.subprocess.Process:
    """A command of the page, in a folder and on ports of the test's own."""
    python = shlex.quote(sys.executable)
    here = {"patchcord": f"{python} -m cli", "python": python}
    command = re.sub(r"\.venv/bin/(\w+)", lambda found: here[found[1]], command)
    command = command.replace("docs/examples/", f"{ROOT}/docs/examples/").replace(":8080", f":{ports['app']}")
    if " emulate " in command:
        command += f" --port {ports['emulator']}"
    head, mark, last = command.rpartition("; ")
    env = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "APP_BASE": f"http://127.0.0.1:{ports['app']}"
    }  # fmt: skip
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            "sh", "-c", f"{head}{mark}exec {last}", cwd=folder, env=env, stdout=output, stderr=output
        )


@pytest.mark.e2e
async def test_its_commands_make_a_call(tmp_path: Path) -> None:
    _, emulate, app, dial, trace = COMMANDS
    ports = {"app": free_port(), "emulator": free_port()}
    logs = {name: tmp_path / f"{name}.log" for name in ("emulate", "app", "dial", "trace")}
    running = []
    try:
        running.append(await start(emulate, tmp_path, ports, logs["emulate"]))
        await said(logs["emulate"], "asking again every second")
        running.append(await start(app, tmp_path, ports, logs["app"]))
        await said(logs["emulate"], "events are delivered from now on")
        for name, command in (("dial", dial), ("trace", trace)):
            process = await start(command, tmp_path, ports, logs[name])
            assert await asyncio.wait_for(process.wait(), patience(40)) == 0, logs[name].read_text()
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), patience(15))
    told = logs["emulate"].read_text()
    assert "Hello from an app that has never met a phone" in told
    assert "ended         agent_hung_up" in told
    assert told.endswith("Stopped.\n")
    assert "agent_hung_up" in logs["dial"].read_text()
    assert "RecognizeCompleted" in logs["trace"].read_text()
    folder = tmp_path / ".patchcord" / "emulator"
    assert (folder / "app.env").stat().st_mode & 0o777 == 0o600
    assert not (folder / "run.json").exists()
    key = re.search(r"accesskey=([^']+)", (folder / "app.env").read_text())[1]
    for log in logs.values():
        assert key not in log.read_text()
        assert find_secrets(log.read_text()) == []


async def said(log: Path, text: str) -> None:
    async with asyncio.timeout(patience(20)):
        while text not in log.read_text():
            await asyncio.sleep(0.1)
