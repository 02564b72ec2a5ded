"""Azurite, Microsoft's storage emulator, as a fixture: the Azure Tables store is tested against it.

`make test` installs it into .node; AZURITE_HOME may name another `node_modules` folder. Without it the tests that need it are
skipped with the reason, or fail when REQUIRE_AZURITE=1.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.timing import patience

ACCOUNT = "devstoreaccount1"
# The published key of every Azurite and storage emulator; no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FLAGS = ("--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence")
LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)")


def connection_string(table_endpoint: str) -> str:
    """For a table endpoint such as `http://127.0.0.1:10002`; anything may stand there, also a proxy."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"TableEndpoint={table_endpoint}/{ACCOUNT};"
    )


def _command() -> list[str] | str:
    """How to start it, or why that is not possible."""
    default = Path(__file__).parents[2] / ".node" / "node_modules"
    program = Path(os.environ.get("AZURITE_HOME") or default) / "azurite" / "dist" / "src" / "azurite.js"
    node = shutil.which("node")
    if node is None:
        return "Node is not installed"
    if not program.is_file():
        return "Azurite is not installed (`make test` does it; or set AZURITE_HOME to its node_modules)"
    ports = [part for service in ("blob", "queue", "table") for part in (f"--{service}Port", "0")]
    return [node, str(program), *FLAGS, *ports]


def _endpoints(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """The three services' addresses, once it has printed them."""
    end = time.monotonic() + patience(30)
    while time.monotonic() < end and process.poll() is None:
        found = dict(LISTENING.findall(log.read_text()))
        if len(found) == 3:
            return found
        time.sleep(0.02)
    pytest.fail(f"Azurite did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a running Azurite (in memory, free ports)."""
    command = _command()
    if isinstance(command, str):
        (pytest.fail if os.environ.get("REQUIRE_AZURITE") == "1" else pytest.skip)(command)
    folder = tmp_path_factory.mktemp("azurite")
    log = folder / "azurite.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield connection_string(_endpoints(process, log)["Table"])
    finally:
        process.terminate()
        try:
            process.wait(patience(10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
