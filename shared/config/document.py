"""The whole of `patchcord.yaml`; every mistake is named with its place."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.config.agents import AgentConfig, agent_mistakes
from shared.config.call_transfers import CallTransferConfig, call_transfer_mistakes
from shared.config.checks import Mistake, Part
from shared.config.ivr import Ivr
from shared.config.ivr_checks import ivr_mistakes
from shared.config.recovery import RecoveryConfig, recovery_mistakes
from shared.config.routes import Route, route_mistakes
from shared.config.tenants import TenantConfig, tenant_mistakes
from shared.config.tools import ToolConfig, tool_mistakes
from shared.config.twilio import TwilioConfig, twilio_mistakes
from shared.errors import ConfigurationError


class Config(Part, frozen=True, kw_only=True):
    """All of `patchcord.yaml`."""

    agents: dict[str, AgentConfig]
    routes: list[Route]
    tools: dict[str, ToolConfig] = {}
    tenants: dict[str, TenantConfig] = {}
    call_transfers: dict[str, CallTransferConfig] = {}
    ivrs: dict[str, Ivr] = {}
    twilio: dict[str, TwilioConfig] = {}
    recovery: RecoveryConfig = RecoveryConfig()

    @property
    def all_routes(self) -> list[Route]:
        """The routes, and one for each IVR's identity, to which agents give their callers back."""
        back = [
            Route(name=f"ivr-{name}", to=[ivr.identity], ivr=name, tenant=ivr.tenant)
            for name, ivr in self.ivrs.items()
        ]
        return [*self.routes, *back]

    def may_return(self, tenant: str, identity: str) -> bool:
        """Whether an agent may give a caller of `tenant` back to `identity` (requirement 58)."""
        own = {ivr.identity for ivr in self.ivrs.values() if ivr.tenant == tenant}
        return identity in own or identity in self.tenant(tenant).return_identities

    @property
    def tenant_names(self) -> list[str]:
        """Every tenant that may have calls, sorted."""
        callers = {name for name, tenant in self.tenants.items() if tenant.outbound is not None}
        return sorted(
            {route.tenant for route in self.all_routes}
            | set(self.call_transfers)
            | set(self.twilio)
            | callers
        )

    @property
    def acs_resources(self) -> dict[str, str]:
        """Ids of the ACS resources of tenants that have their own."""
        return {name: tenant.acs.resource_id for name, tenant in self.tenants.items() if tenant.acs}

    def twilio_tenant(self, account_sid: str) -> str | None:
        """The tenant whose Twilio account this is."""
        return next((name for name, entry in self.twilio.items() if entry.account_sid == account_sid), None)

    def tenant(self, name: str) -> TenantConfig:
        """What is said about a tenant, or nothing."""
        return self.tenants.get(name, TenantConfig())

    def concurrent_calls(self, tenant: str, default: int) -> int:
        """How many calls `tenant` may have at once."""
        limit = self.tenant(tenant).max_concurrent_calls
        return default if limit is None else limit


def load_config(path: Path) -> Config:
    """Read and check the file.

    Raises:
        ConfigurationError: the file cannot be read, or names the first mistake with its place and all others of meaning.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "PATCHCORD_CONFIG", f"a readable file ({error.strerror})", str(path)
        ) from error
    return parse_config(text, path.name)


def parse_config(text: bytes, name: str = "patchcord.yaml") -> Config:
    """The configuration in YAML text.

    Raises:
        ConfigurationError: with the place of the mistake, such as `patchcord.yaml: routes[0].to[0]`.
    """
    try:
        config = msgspec.yaml.decode(text, type=Config)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        place = place.rstrip("`").replace("[...]", "")
        raise ConfigurationError(f"{name}: {place or 'top level'}", _expected(message)) from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(name, f"YAML ({' '.join(str(error).split())})") from error
    if mistakes := list(_mistakes(config)):
        place, expected, found = mistakes[0]
        more = f" (and {len(mistakes) - 1} more: {', '.join(other[0] for other in mistakes[1:])})"
        raise ConfigurationError(f"{name}: {place}", expected + (more if len(mistakes) > 1 else ""), found)
    return config


def _expected(message: str) -> str:
    """What msgspec says, as the end of a sentence that begins with "expected"."""
    for start, phrase in (
        ("Object missing required ", "the required "),
        ("Object contains unknown ", "nothing but known fields, found the "),
        ("Expected ", ""),
    ):
        if message.startswith(start):
            message = phrase + message.removeprefix(start)
            break
    else:
        message = f"a valid value ({message})"
    hint = " (put telephone numbers in quotes)" if "`str`, got `int`" in message else ""
    return message + hint


def _mistakes(config: Config) -> Iterator[Mistake]:
    for name, agent in config.agents.items():
        yield from agent_mistakes(f"agents.{name}", name, agent, config.agents, config.tools)
    for name, tool in config.tools.items():
        yield from tool_mistakes(f"tools.{name}", name, tool)
    yield from tenant_mistakes(config.tenants, config.agents)
    yield from call_transfer_mistakes(config.call_transfers, config.agents, config.tenants)
    yield from twilio_mistakes(config.twilio, config.agents, config.tenants)
    dialled = {address for route in config.routes for address in route.to}
    yield from ivr_mistakes(config.ivrs, config.tenants, dialled)
    yield from route_mistakes(config.routes, config.agents, config.ivrs, config.tenants)
    identities = {ivr.identity for ivr in config.ivrs.values()}
    lent = {entry.acs_user for entry in config.call_transfers.values()}
    yield from recovery_mistakes(config.recovery, dialled | identities | lent)
