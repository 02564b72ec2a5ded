"""The process itself: starts, says so, drains on SIGTERM, ends with 0; names what is wrong and ends otherwise."""

import asyncio
import os
import re
import signal
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.security.key_sources import FileKeySource
from shared.security.keyring import ensure_keys
from tests.support.media_world import CONFIG
from tests.support.timing import patience

ROOT = Path(__file__).resolve().parents[2]
REALTIME = """
agents:
  model: {kind: realtime, url: "ws://127.0.0.1:1", model: m}
routes:
  - {name: desk, to: ["*"], agent: model}
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},
        "PYTHONPATH": str(ROOT),
        "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
        "PATCHCORD_STORE": f"sqlite:{folder / 'store.db'}",
        "PATCHCORD_VERIFICATION_KEYS": f"file:{folder / 'public.json'}",
        "AZURE_ACS_CONN_KEY": "endpoint=http://127.0.0.1:9;accesskey=a2V5",
        "ACS_RESOURCE_ID": "r",
        "MEDIA_LISTEN_HOST": "127.0.0.1",
        "MEDIA_LISTEN_PORT": "0",
        **more,
    }


@asynccontextmanager
async def process(folder: Path, **more: str):
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_host",
        env=environment(folder, **more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_a_signal_and_ends_with_0(tmp_path, number):
    (tmp_path / "patchcord.yaml").write_text(REALTIME)
    await ensure_keys(
        FileKeySource(tmp_path / "signing.json"), FileKeySource(tmp_path / "public.json"), time.time()
    )
    async with process(tmp_path) as child:
        async with asyncio.timeout(patience(20)):
            line = (await child.stdout.readline()).decode()
            port = int(re.search(r":(\d+)$", line.strip())[1])

            def get(path):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    return answer.status

            assert await asyncio.to_thread(get, "/healthz") == 200
            child.send_signal(number)
            assert await child.wait() == 0


@pytest.mark.parametrize(
    ("config", "more", "code", "says"),
    [
        (REALTIME, {"PATCHCORD_STORE": ""}, 2, "PATCHCORD_STORE: expected"),
        (REALTIME, {"MEDIA_CAPACITY": "many"}, 2, "MEDIA_CAPACITY: expected"),
        ("agents: 7", {}, 2, "patchcord.yaml: agents"),
        (CONFIG, {}, 2, "none.yaml"),
        (REALTIME, {"MEDIA_LISTEN_HOST": "192.0.2.1"}, 3, "media host:"),
    ],
)
async def test_what_is_wrong_is_named_and_ends_it(tmp_path, config, more, code, says):
    (tmp_path / "patchcord.yaml").write_text(config)
    async with process(tmp_path, **more) as child:
        async with asyncio.timeout(patience(20)):
            _, errors = await child.communicate()
    assert child.returncode == code
    assert says in errors.decode()
    assert "Traceback" not in errors.decode()
