"""https and wss: an unmodified app in a process of its own that only had its environment set, sync and aio."""

import asyncio
import contextlib
import json
import os
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from emulator.__main__ import load_config
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.validation import SubscriptionRefused
from emulator.service import Emulator
from emulator.tls import Authority
from shared.errors import ConfigurationError
from tests.support.app import ACCESS_KEY, emulator_config
from tests.support.timing import patience

APP = Path(__file__).parents[1] / "support" / "https_app.py"
SCRIPT = {"from": "+14255550100", "to": "+18005550000", "steps": [{"wait_ms": 60_000}]}


@contextlib.asynccontextmanager
async def emulated(folder: Path, **options: object):
    async with Emulator(emulator_config(tls_folder=folder, **options)) as emulator:
        yield emulator


class Foreign:
    """The app's process and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict] = []

    async def until(self, what: str, **data: object) -> dict:
        async with asyncio.timeout(patience(30)):
            while True:
                for line in self.said:
                    if line["what"] == what and data.items() <= line.items():
                        return line
                text = await self.process.stdout.readline()
                assert text, (await self.process.stderr.read()).decode()
                self.said.append(json.loads(text))


@contextlib.asynccontextmanager
async def foreign_app(emulator: Emulator, mode: str):
    certificate, key = emulator.authority.issue("app")
    bundle = str(emulator.authority.bundle_file)
    environment = {
        "PATH": os.environ["PATH"],
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "ACS_CONNECTION_STRING": emulator.connection_string,
        "IDENTITY_ENDPOINT": f"{emulator.endpoint}/msi/token",
        "IDENTITY_HEADER": ACCESS_KEY,
        "CERTIFICATE": str(certificate),
        "KEY": str(key),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        APP,
        mode,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Foreign(process)
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience(10)):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("mode", ["sync", "aio"])
async def test_an_unmodified_app(tmp_path: Path, mode: str) -> None:
    async with emulated(tmp_path) as emulator, foreign_app(emulator, mode) as app:
        base = (await app.until("ready"))["base"]
        await emulator.subscribe(Subscription("calls", f"https://{base}/events"))
        call = await emulator.dial(SCRIPT)
        assert (await app.until("answered"))["state"] in ("connecting", "connected")
        assert (await app.until("media")) == {"what": "media", "kind": "AudioMetadata", "secure": True}
        await app.until("callback", type="MediaStreamingStarted")
        call.hang_up()
        await app.until("callback", type="CallDisconnected")


async def test_addresses_and_trust(tmp_path: Path) -> None:
    async with emulated(tmp_path / "ca") as emulator:
        assert emulator.endpoint.startswith("https://127.0.0.1:")
        assert emulator.connection_string.startswith("endpoint=https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=emulator.authority.ca_file)
        async with aiohttp.ClientSession() as session:
            async with session.get(emulator.jwks_url, ssl=trusted) as response:
                assert response.status == 200
            stranger = Authority(tmp_path / "other").client_context()
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(emulator.jwks_url, ssl=stranger)


async def test_an_endpoint_of_another_authority_is_not_called(tmp_path: Path) -> None:
    async with emulated(tmp_path / "ca") as emulator, emulated(tmp_path / "other") as stranger:
        with pytest.raises(SubscriptionRefused, match="no answer"):
            await emulator.subscribe(Subscription("calls", f"{stranger.endpoint}/events"))


async def test_plain_http_is_the_default() -> None:
    async with Emulator(emulator_config()) as emulator:
        assert emulator.endpoint.startswith("http://")
        assert emulator.authority is None


def write(path: Path, **more: object) -> Path:
    values = {
        "access_key": ACCESS_KEY,
        "control_key": "a control key of 24 signs",
        "resource_id": "r",
        **more,
    }
    path.write_text(json.dumps(values))  # JSON is YAML
    return path


def test_folders_in_a_configuration_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "e.yaml", tls_folder="ca", trace_folder="traces"))
    assert (config.tls_folder, config.trace_folder) == (Path("ca"), Path("traces"))
    assert load_config(write(tmp_path / "e.yaml")).tls_folder is None
    with pytest.raises(ConfigurationError, match="tls_folder"):
        load_config(write(tmp_path / "e.yaml", tls_folder=7))
