"""The image's file system is assembled and started: read-only, as nobody in particular, two processes on one port."""

import asyncio
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from shared.security.key_document import new_document, public_part, serialise
from tests.media_host.image.contents import ROOT, environment, rules, stages
from tests.media_host.image.rootfs import UID, assemble, command, inside, unshared
from tests.support.timing import patience

IMAGE = stages((ROOT / "media_host" / "Dockerfile").read_text(encoding="utf-8"))

LOOK = """
import errno, json, os, sys
def write(path):
    try:
        open(path, "w").close()
        return "written"
    except OSError as error:
        return errno.errorcode[error.errno]
paths = ["/x", "/app/x", "/app/shared/x", "/venv/x", "/usr/x", "/tmp/x", "/recordings/x"]
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "paths": {one: write(one) for one in paths},
                  "first": open("/proc/1/cmdline").read().split(chr(0))[:3], "in app": sorted(os.listdir("/app"))}))
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def settings(port: int) -> dict[str, str]:
    """The image's own environment, and what the deployment must add."""
    own = environment(IMAGE[-1])
    return own | {
        "PATH": own["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin"),
        "MEDIA_LISTEN_HOST": "127.0.0.1",
        "MEDIA_LISTEN_PORT": str(port),
        "MEDIA_CAPACITY": "9",
        "MEDIA_DRAIN_S": "5",
        "MEDIA_RECORDINGS": "/recordings",
        "PATCHCORD_STORE": "sqlite:/tmp/store.db",
        "PATCHCORD_VERIFICATION_KEYS": "file:/etc/keys.json",
        "CALLBACK_URI_HOST": "wss://media.example",
        "AZURE_ACS_CONN_KEY": "endpoint=http://127.0.0.1:1;accesskey=QUJDREVGR0hJSktMTU5PUA==",
        "ACS_RESOURCE_ID": "a-resource",
    }


def asked(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def output(words: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, words
    return out.decode()


async def test_the_image_starts_read_only_as_nobody(tmp_path):
    if why := unshared():
        pytest.skip(f"THE IMAGE WAS NOT STARTED: {why}")
    root, port, last = tmp_path / "root", free_port(), IMAGE[-1]
    assemble(root, IMAGE, rules(ROOT / ".dockerignore"))
    (root / "etc" / "keys.json").write_text(serialise(public_part(new_document(time.time()))))
    for folder in (tmp_path, root):  # pytest's are closed to others
        folder.chmod(0o755)
    folder, values = last.all("WORKDIR")[-1], settings(port)
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command(root, values, folder, [*last.words("ENTRYPOINT"), "--workers", "2"]),
            stdout=log,
            stderr=log,
        )
        try:
            end = time.monotonic() + patience(60)
            ready = 0
            while ready < 5:  # one answer may be the other worker's
                assert process.returncode is None and time.monotonic() < end, (tmp_path / "log").read_text()
                ready = ready + 1 if await asyncio.to_thread(asked, port, "/readyz") == 200 else 0
                await asyncio.sleep(0.05)
            [first] = children(process.pid)
            assert len(children(first)) == 2
            assert {owner(pid) for pid in (first, *children(first))} == {UID}

            seen = json.loads(await output(inside(first, values, folder, ["python", "-c", LOOK])))
            assert (seen["uid"], seen["gid"]) == (UID, UID)
            written = {path for path, result in seen["paths"].items() if result == "written"}
            assert written == {"/tmp/x", "/recordings/x"}  # noqa: S108  # the container's own
            assert seen["paths"]["/app/x"] == seen["paths"]["/venv/x"] == seen["paths"]["/x"] == "EROFS"
            assert seen["first"] == last.words("ENTRYPOINT")
            assert seen["in app"] == ["dialogues", "media_host", "patchcord.yaml", "shared"]
            await output(inside(first, values, folder, last.words("HEALTHCHECK")))

            os.kill(first, signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), patience(30)) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    said = (tmp_path / "log").read_text()
    assert said.count(f"listening on 127.0.0.1:{port}") == 2
    assert "Traceback" not in said and "Read-only file system" not in said
