"""Microsoft's JavaScript SDK against the emulator, over https: answer, play, recognise, transfer, hang up."""

import asyncio
import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest

from emulator.event_grid.subscriptions import Subscription
from emulator.service import Emulator
from tests.support.app import INCOMING_CALL, emulator_config
from tests.support.node import node_modules
from tests.support.timing import patience

HERE = Path(__file__).parent
LISTEN = {"listen": {"quiet_ms": 1200}}  # longer than the pause between the welcome and the menu


@pytest.fixture
def modules() -> Path:
    return node_modules(HERE / "package.json")


class JavaScript:
    """The running app and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict] = []

    async def until(self, key: str, value: str | None = None) -> dict:
        """The first line from here on that has the key (with the value)."""
        try:
            async with asyncio.timeout(patience(20)):
                while True:
                    printed = await self._process.stdout.readline()
                    assert printed, f"the app has ended, after {self.lines}"
                    line = json.loads(printed)
                    assert "error" not in line, line
                    self.lines.append(line)
                    if key in line and value in (None, line[key]):
                        return line
        except TimeoutError:
            raise AssertionError(f"no {key} {value or ''}, only {self.lines}") from None

    def told(self) -> list[str]:
        return [line["told"] for line in self.lines if "told" in line]


@contextlib.asynccontextmanager
async def javascript(folder: Path, modules: Path, **environment: str):
    """The app in a folder of its own, as a project with its `node_modules` would be."""
    shutil.copy(HERE / "app.mjs", folder)
    (folder / "node_modules").symlink_to(modules)
    process = await asyncio.create_subprocess_exec(
        "node", "app.mjs", cwd=folder, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield JavaScript(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def test_the_javascript_sdk_takes_two_calls(tmp_path, modules):
    folder = tmp_path / "app"
    folder.mkdir()
    transfer_to = "+14255550177"
    async with (
        asyncio.timeout(patience(60)),
        Emulator(emulator_config(tls_folder=tmp_path / "ca")) as emulator,
        javascript(
            folder,
            modules,
            ACS_CONNECTION_STRING=emulator.connection_string,
            NODE_EXTRA_CA_CERTS=str(emulator.authority.ca_file),
            TRANSFER_TO=transfer_to,
        ) as app,
    ):
        assert emulator.endpoint.startswith("https://")
        endpoint = (await app.until("listening"))["listening"] + "/events"
        types = [INCOMING_CALL]
        await emulator.subscribe(Subscription("app", endpoint, included_event_types=types))
        await emulator.add_phone({"at": transfer_to, "after_ms": 50, "steps": [{"wait_ms": 300}, "hang_up"]})

        call = await emulator.dial({"steps": [LISTEN, {"press": "1#"}, "expect_hang_up"]})
        await app.until("told", "CallDisconnected")
        await call.ended()
        assert call.failed is None
        assert (await call.first("transferred"))["to"] == transfer_to
        assert [line["did"] for line in app.lines if "did" in line] == [
            "answerCall",
            "transferCallToParticipant",
        ]
        recognized = next(line for line in app.lines if line.get("told") == "RecognizeCompleted")
        assert recognized["dtmfResult"] == {"tones": ["one", "pound"]}
        assert (recognized["code"], recognized["subCode"]) == (200, 8514)
        accepted = next(line for line in app.lines if line.get("told") == "CallTransferAccepted")
        assert accepted["operationContext"] == "transfer"
        told = [kind for kind in app.told() if kind != "ParticipantsUpdated"]
        assert told == [
            "CallConnected", "PlayStarted", "PlayCompleted", "RecognizeCompleted", "CallTransferAccepted", "CallDisconnected",
        ]  # fmt: skip

        app.lines.clear()
        call = await emulator.dial({"steps": [LISTEN, {"press": "2#"}, "expect_hang_up"]})
        ended = await app.until("told", "CallDisconnected")
        assert (ended["code"], ended["subCode"]) == (200, 7000)
        await call.ended()
        assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}
        assert emulator.operations["terminate", 204] == 1
        assert emulator.operations["play", 202] == 2
