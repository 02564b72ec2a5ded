"""Running `az` and `azd`: the only two programs that the hooks start."""

import asyncio
import shutil
from pathlib import Path
from typing import Protocol

from shared.errors import PatchcordError

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 600
"""So many characters of a failed program's words are shown, from the end."""

WITHIN_S = 1200.0
"""A program's time (s); a deployment of three subscriptions takes two or three minutes."""

INSTALL = {
    "az": "install the Azure CLI (https://learn.microsoft.com/cli/azure/install-azure-cli) and sign in: az login",
    "azd": "install the Azure Developer CLI (https://aka.ms/azd-install) and sign in: azd auth login",
}


class CommandFailed(PatchcordError):
    """A program is missing (`code` 127), did not end in time (124), or ended with a code that is not 0.

    Args:
        command: the program and what it was to do, without its parameters.
        code: its exit code.
        words: what it wrote to standard error.
    """

    def __init__(self, command: str, exit_code: int, words: str) -> None:
        self.exit_code = exit_code
        self.words = words
        super().__init__(f"`{command}` ended with {exit_code}: {words[-SHOWN:].strip()}")


class Command(Protocol):
    """See `run`."""

    async def __call__(self, program: str, *arguments: str) -> str:
        """See `run`."""


async def run(program: str, *arguments: str) -> str:
    """Start `az` or `azd` in the repository's root; returns what it wrote to standard output.

    Raises:
        CommandFailed: see there.
    """
    command = " ".join([program, *arguments[:3]])
    if (path := shutil.which(program)) is None:
        raise CommandFailed(command, 127, f"{program} is not installed; {INSTALL[program]}")
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, words = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandFailed(command, 124, "no end in 20 minutes") from None
    if process.returncode:
        raise CommandFailed(command, process.returncode, words.decode(errors="replace"))
    return out.decode(errors="replace")
