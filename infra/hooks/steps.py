"""What all steps share: how one fails, how one waits, and what the environment of azd says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.hooks.commands import Command, run
from shared.errors import PatchcordError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline.transport import AsyncHttpTransport
    from azure.core.rest import AsyncHttpResponse, HttpRequest

    type Transport = AsyncHttpTransport[HttpRequest, AsyncHttpResponse]

ROOT = Path(__file__).resolve().parents[2]


class StepFailed(PatchcordError):
    """A step of the deployment did not work.

    Args:
        what: what is wrong, for people; never a secret.
        cure: what to do about it.
    """

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what}\n    what to do: {cure}")


def deployer() -> "AsyncTokenCredential":
    """Whoever is signed in to azd, or else to az. Both programs take seconds to answer."""
    from azure.identity.aio import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    return ChainedTokenCredential(
        AzureDeveloperCliCredential(process_timeout=30), AzureCliCredential(process_timeout=30)
    )


@dataclass(frozen=True, slots=True)
class Deployment:
    """One run of a hook.

    Attributes:
        values: the environment: azd puts its own values into it.
        say: gets a line for each thing done, or found done.
        sleep: waits so many seconds.
        credential: makes what the vault and ACS are asked with.
        vault_transport: makes the transport for the vault instead of azure-core's own.
        acs_transport: the same for ACS.
        run: starts `az` and `azd`.
    """

    values: Mapping[str, str]
    say: Callable[[str], None] = print
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    credential: "Callable[[], AsyncTokenCredential]" = deployer
    vault_transport: "Callable[[], Transport] | None" = None
    acs_transport: "Callable[[], Transport] | None" = None
    run: Command = run

    def get(self, name: str) -> str:
        """A value without white space around it; "" when there is none."""
        return self.values.get(name, "").strip()

    def need(self, name: str, cure: str = "run `azd provision`: it sets this") -> str:
        """A value that must be there.

        Raises:
            StepFailed: it is not.
        """
        if value := self.get(name):
            return value
        raise StepFailed(f"{name} is not set in azd's environment", cure)

    def listed(self, name: str) -> list[str]:
        """A comma-separated value's parts, as Bicep reads them: trimmed, empty ones left out."""
        return [part.strip() for part in self.get(name).split(",") if part.strip()]

    async def keep(self, name: str, value: str) -> None:
        """Write a value into azd's environment, if it is not there already.

        Raises:
            StepFailed: azd does not take it.
        """
        if self.get(name) != value:
            await self.run("azd", "env", "set", name, value, "-e", self.need("AZURE_ENV_NAME"))
