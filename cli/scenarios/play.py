"""`patchcord demo --scenario NAME`: set everything up for a story, and play it."""

import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from cli.processes import ROOT
from cli.scenarios import ivr, outbound, transfer
from cli.scenarios.stage import Stage
from cli.stack import Stack, StackOptions
from shared.errors import PatchcordError


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story.

    Attributes:
        tell: plays it.
        configure: changes the shipped configuration for it.
        numbers: temporary numbers in the pool.
        agent: an emulated model answers (see `StackOptions`).
    """

    tell: Callable[[Stage], Awaitable[None]]
    configure: Callable[[dict[str, Any]], None]
    numbers: Sequence[str] = ()
    agent: str = ""


SCENARIOS: Mapping[str, Scenario] = {
    "transfer": Scenario(transfer.tell, transfer.configure, transfer.NUMBERS, "emulated-openai"),
    "ivr": Scenario(ivr.tell, ivr.configure, agent="emulated-openai"),
    "outbound": Scenario(outbound.tell, outbound.configure),
}


async def play(name: str, folder: Path, out: TextIO = sys.stdout) -> int:
    """Start everything, play the story `name`, and write each call's record, recording and picture into `folder`.

    Returns:
        The exit code: 0 when all went as told.
    """
    scenario = SCENARIOS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder.resolve() / "patchcord.yaml"
    config.write_text(configuration(scenario))
    out.write(
        "Starting ACS, Event Grid, phones and a model (emulated), the function app and the media host …\n"
    )
    out.flush()
    options = StackOptions(folder / "stack", config=config, agent=scenario.agent, numbers=scenario.numbers)
    async with Stack(options) as stack:
        client = stack.client()
        stage = Stage(stack, client, folder, out)
        try:
            await scenario.tell(stage)
        except (PatchcordError, LookupError, ValueError) as error:
            stage.expect(False, str(error))
        finally:
            await client.close()
        return stage.end()


def configuration(scenario: Scenario) -> str:
    """The shipped `patchcord.yaml`, changed for the story."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "patchcord.yaml").read_text())
    for agent in config["agents"].values():
        agent["dialogue"] = str((ROOT / agent["dialogue"]).resolve())
    scenario.configure(config)
    return yaml.safe_dump(config, sort_keys=False)
