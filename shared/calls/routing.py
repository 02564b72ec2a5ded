"""`patchcord.yaml`: agents, routes and tenants, checked at start; every mistake is named with its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from shared.errors import ConfigurationError
from shared.settings import E164
from shared.wire.identifiers import Identifier

ACS_USER = re.compile(r"8:acs:[0-9A-Za-z-]+_[0-9A-Za-z-]+")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
DEFAULT_TENANT = "default"


class AgentConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One voice agent.

    Attributes:
        kind: `embedded` (the scripted demo agent) or `realtime` (a model's WebSocket).
        dialogue: embedded: the dialogue's YAML file, relative to patchcord.yaml.
        url: realtime: the WebSocket address.
        model: realtime: the model's or the deployment's name.
        api_key_env: realtime: the NAME of the environment variable that holds the key; never the key.
        voice: the voice to speak with, or "" for the agent's own choice.
        instructions: realtime: what the model is told before the call.
        audio: the line's format.
        recording: record both sides, on the media host's disk.
        recording_consent: callers are told that they are recorded, and agree; Patchcord only keeps this answer with
            each recording, it does not ask them.
        transfers: names the agent may transfer to, and where they lead (E.164 or `8:acs:…`). `fallback` is where a
            caller goes when the agent fails.
    """

    kind: Literal["embedded", "realtime"]
    dialogue: str = ""
    url: str = ""
    model: str = ""
    api_key_env: str = ""
    voice: str = ""
    instructions: str = ""
    audio: Literal["pcm24KMono", "pcm16KMono"] = "pcm24KMono"
    recording: bool = False
    recording_consent: bool = False
    transfers: dict[str, str] = {}


class Overflow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a caller gets who cannot be taken: the busy tone, or another number (`to`: E.164 or `8:acs:…`)."""

    action: Literal["reject", "redirect"] = "reject"
    to: str = ""


class Route(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Dialled addresses and who answers them. `to`: E.164 numbers, `8:acs:…` identities, or `*` for any."""

    name: str
    to: list[str]
    agent: str
    tenant: str = DEFAULT_TENANT
    task: str = ""
    overflow: Overflow = Overflow()


class TenantConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Limits of a tenant; `max_concurrent_calls` None takes the setting MAX_CONCURRENT_CALLS."""

    max_concurrent_calls: int | None = None


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of `patchcord.yaml`."""

    agents: dict[str, AgentConfig]
    routes: list[Route]
    tenants: dict[str, TenantConfig] = {}

    @property
    def tenant_names(self) -> list[str]:
        """Every tenant that has a route, sorted."""
        return sorted({route.tenant for route in self.routes})

    def concurrent_calls(self, tenant: str, default: int) -> int:
        """How many calls `tenant` may have at once."""
        limits = self.tenants.get(tenant)
        return (
            default if limits is None or limits.max_concurrent_calls is None else limits.max_concurrent_calls
        )


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


def _mistakes(config: Config) -> Iterator[tuple[str, str, str]]:
    """Place, what was expected, what was found."""
    for name, agent in config.agents.items():
        yield from _agent_mistakes(f"agents.{name}", name, agent)
    for name, tenant in config.tenants.items():
        if not TENANT.fullmatch(name):
            yield f"tenants.{name}", "a name of small letters, digits and -", name
        if tenant.max_concurrent_calls is not None and not 1 <= tenant.max_concurrent_calls <= 100_000:
            yield (
                f"tenants.{name}.max_concurrent_calls",
                "a whole number from 1 to 100000",
                str(tenant.max_concurrent_calls),
            )
    if not config.routes:
        yield "routes", "at least one route", "none"
    names: set[str] = set()
    addresses: set[tuple[str, str]] = set()
    for index, route in enumerate(config.routes):
        yield from _route_mistakes(f"routes[{index}]", route, config, names, addresses)


def _agent_mistakes(place: str, name: str, agent: AgentConfig) -> Iterator[tuple[str, str, str]]:
    if not NAME.fullmatch(name):
        yield place, "a name of small letters, digits, - and _", name
    if agent.kind == "embedded" and not agent.dialogue:
        yield f"{place}.dialogue", "the dialogue's YAML file", ""
    if agent.kind == "realtime":
        if not re.match(r"wss?://[^/]", agent.url):
            yield (
                f"{place}.url",
                "a WebSocket address such as wss://host.example/openai/v1/realtime",
                agent.url,
            )
        if not agent.model:
            yield f"{place}.model", "the model's name", ""
    for target, address in agent.transfers.items():
        if not _is_target(address):
            yield f"{place}.transfers.{target}", "an E.164 number or an 8:acs:… identity", address


def _route_mistakes(
    place: str, route: Route, config: Config, names: set[str], addresses: set[tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    if not NAME.fullmatch(route.name) or route.name in names:
        yield f"{place}.name", "a name of its own, of small letters, digits, - and _", route.name
    names.add(route.name)
    if not route.to:
        yield f"{place}.to", "at least one number, identity or *", "none"
    for index, address in enumerate(route.to):
        if address != "*" and not _is_target(address):
            yield f"{place}.to[{index}]", "an E.164 number, an 8:acs:… identity or *", address
        # An address belongs to one route; `*` to one route of each tenant.
        key = (route.tenant if address == "*" else "", address)
        if key in addresses:
            yield f"{place}.to[{index}]", "an address that no other route has", address
        addresses.add(key)
    if route.agent not in config.agents:
        yield f"{place}.agent", "one of " + ", ".join(sorted(config.agents)), route.agent
    if route.tenant != DEFAULT_TENANT and route.tenant not in config.tenants:
        yield f"{place}.tenant", f"{DEFAULT_TENANT} or a name under tenants", route.tenant
    if route.overflow.action == "redirect" and not _is_target(route.overflow.to):
        yield f"{place}.overflow.to", "an E.164 number or an 8:acs:… identity", route.overflow.to


def _is_target(address: str) -> bool:
    return bool(E164.fullmatch(address) or ACS_USER.fullmatch(address))


def route_for(config: Config, tenant: str | None, callee: Identifier) -> Route | None:
    """The route for a dialled address: an exact one first, then `*`. `tenant` None looks at all tenants' routes."""
    own = [route for route in config.routes if tenant is None or route.tenant == tenant]
    for wanted in ({callee.raw_id, callee.value} - {""}, {"*"}):
        for route in own:
            if not wanted.isdisjoint(route.to):
                return route
    return None
