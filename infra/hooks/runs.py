"""What each of azd's three hooks does, step by step."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from infra.hooks import preconditions
from infra.hooks.agent_identity import agent_identity
from infra.hooks.health import healthy
from infra.hooks.keys import make_keys
from infra.hooks.steps import ROOT, Deployment, StepFailed
from infra.hooks.subscriptions import subscribe
from shared.config.document import load_config
from shared.errors import PatchcordError


async def before_provision(deployment: Deployment) -> None:
    """Nothing is created yet: find the mistakes that can be found now.

    Raises:
        StepFailed: there are some.
    """
    await preconditions.check(deployment)


async def after_provision(deployment: Deployment) -> None:
    """The vault is there: put the signing keys in, unless they are in it.

    Raises:
        StepFailed: that does not work.
    """
    await make_keys(deployment)


async def after_deploy(deployment: Deployment) -> None:
    """The code is there: let calls come, once both processes are well, and say where to dial.

    Raises:
        StepFailed: a step does not work; those before it stay done, and running this again goes on from there.
    """
    identity = await agent_identity(deployment)
    await healthy(deployment)
    await subscribe(deployment, identity)
    tell(deployment, identity)


def tell(deployment: Deployment, identity: str) -> None:
    """Say where to dial, and what is still to be done by people."""
    config = load_config(ROOT / "patchcord.yaml")
    numbers = deployment.listed("PATCHCORD_PHONE_NUMBERS")
    lost = set(preconditions.unrouted(deployment, config))
    for number in numbers:
        deployment.say(
            f"dial {number}" + (": but no route of patchcord.yaml takes it yet" if number in lost else "")
        )
    if not numbers:
        name = deployment.get("ACS_NAME") or "the ACS resource"
        deployment.say(
            f"next: get a number for {name} in the portal (Phone numbers), name it in a route of patchcord.yaml, then: "
            "azd env set PATCHCORD_PHONE_NUMBERS +…; azd up"
        )
    if lost:
        deployment.say("next: give each number a route in patchcord.yaml, then: azd deploy")
    if config.recovery.identity != identity:
        deployment.say(
            "next: so that calls survive the end of a media host, write into patchcord.yaml "
            f'`recovery: {{identity: "{identity}"}}`, then: azd deploy'
        )
    deployment.say(f"records of calls: {deployment.need('CALLBACK_EVENTS_URI')}/api/calls (docs/api.md)")


_RUNS: dict[str, Callable[[Deployment], Awaitable[None]]] = {
    run.__name__: run for run in (before_provision, after_provision, after_deploy)
}


def main(name: str) -> int:
    """Run one of them in azd's environment; returns the exit code: 0, or 1 when something is to be done first."""
    deployment = Deployment(os.environ, say=lambda line: print(line, flush=True))

    async def run() -> None:
        await _RUNS[name](deployment)

    try:
        asyncio.run(run())
    except StepFailed as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except PatchcordError as error:
        print(f"{error}\n    what to do: mend this and run the same command again", file=sys.stderr)
        return 1
    return 0
