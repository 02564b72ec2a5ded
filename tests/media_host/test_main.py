"""`python -m media_host` as a process: how it ends when it cannot begin."""

import asyncio
import socket
import sys

import pytest

from cli.processes import ROOT
from tests.support.timing import patience

CONFIG = """
agents:
  reception: {kind: embedded, dialogue: dialogue.yaml}
routes:
  - {name: desk, to: ["+18005550000"], agent: reception}
"""


def environment(folder, **changed):
    (folder / "patchcord.yaml").write_text(CONFIG)
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
        "PATCHCORD_STORE": f"sqlite:{folder / 'store.db'}",
        "PATCHCORD_VERIFICATION_KEYS": f"file:{folder / 'keys.json'}",
        "AZURE_ACS_CONN_KEY": "endpoint=http://127.0.0.1:1;accesskey=QUJDREVGR0hJSktMTU5PUA==",
        "ACS_RESOURCE_ID": "a-resource",
        "MEDIA_LISTEN_HOST": "127.0.0.1",
        "MEDIA_LISTEN_PORT": "0",
    } | changed


async def run(env) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_host",
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), patience(20))
    return process.returncode, output.decode()


@pytest.mark.parametrize(("name", "value"), [("PATCHCORD_STORE", ""), ("MEDIA_CAPACITY", "many")])
async def test_a_wrong_setting_is_named_and_ends_it_with_2(tmp_path, name, value):
    code, output = await run(environment(tmp_path, **{name: value}))
    assert code == 2
    assert output.startswith(f"media host: {name}: expected ")
    assert len(output.splitlines()) == 1


async def test_a_wrong_dialogue_is_named_and_leaves_nothing_open(tmp_path):
    (tmp_path / "dialogue.yaml").write_text(
        "name: d\nstart: nowhere\nno_match: a\nno_input: a\nstates: {a: {say: hi}}\n"
    )
    code, output = await run(environment(tmp_path))
    assert code == 2
    assert "dialogue.yaml: " in output
    assert "Unclosed" not in output
    assert "Traceback" not in output


async def test_a_taken_address_ends_it_with_3(tmp_path):
    (tmp_path / "dialogue.yaml").write_bytes((ROOT / "dialogues" / "order_desk.yaml").read_bytes())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, output = await run(environment(tmp_path, MEDIA_LISTEN_PORT=port))
    assert code == 3
    assert "address already in use" in output
    assert "Unclosed" not in output
