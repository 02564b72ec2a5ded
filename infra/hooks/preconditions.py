"""What must be right before anything is created: an hour later it would cost an hour."""

import re
from collections.abc import AsyncIterator, Iterator

from infra.hooks.commands import CommandFailed
from infra.hooks.steps import ROOT, Deployment, StepFailed
from shared.config.checks import ACS_USER
from shared.config.document import Config, load_config
from shared.errors import ConfigurationError
from shared.settings import E164

DATA_LOCATIONS = (
    "Africa", "Asia Pacific", "Australia", "Brazil", "Canada", "Europe", "France", "Germany", "India", "Japan",
    "Korea", "Norway", "Switzerland", "UAE", "UK", "United States", "usgov",
)  # fmt: skip
"""Those that are known of ACS; there may be more by now."""

KINDS = ("phoneNumber", "communicationUser")
MOST_VALUES = 25
"""Event Grid's: values in all filters of one subscription; our own identity is one of them."""

FLAGS = (
    "PATCHCORD_WIRE_EVENTS", "PATCHCORD_PRIVATE_NETWORK", "PATCHCORD_ZONE_REDUNDANT", "PATCHCORD_PURGE_PROTECTION",
    "PATCHCORD_COMPATIBLE_API", "PATCHCORD_RECORDINGS",
)  # fmt: skip
WHOLE = (
    "PATCHCORD_MAX_CONCURRENT_CALLS", "PATCHCORD_CALLS_PER_REPLICA", "PATCHCORD_MEDIA_REPLICAS",
    "PATCHCORD_MEDIA_MAX_REPLICAS", "PATCHCORD_BUDGET",
)  # fmt: skip
ONE_OF = {
    "PATCHCORD_LOG_LEVEL": ("debug", "info", "warning", "error"),
    "PATCHCORD_MEDIA_SCALING": ("fixed", "activeCalls"),
}

type Mistake = tuple[str, str]
"""What is wrong, and what to do."""


async def check(deployment: Deployment) -> None:
    """Check names, numbers, patchcord.yaml, and that the programs of later steps are there.

    Raises:
        StepFailed: names every mistake there is.
    """
    mistakes = [*_names(deployment), *_numbers(deployment), *_values(deployment)]
    try:
        config = load_config(ROOT / "patchcord.yaml")
    except ConfigurationError as error:
        mistakes.append((str(error), "mend patchcord.yaml; it goes into both processes"))
    else:
        for number in unrouted(deployment, config):
            deployment.say(f"note: no route of patchcord.yaml takes {number}: its callers will get nobody")
    mistakes += [mistake async for mistake in _programs(deployment)]
    if mistakes:
        what = "\n".join(f"  - {what}\n    what to do: {cure}" for what, cure in mistakes[:-1])
        raise StepFailed(f"{what}\n  - {mistakes[-1][0]}".strip(), mistakes[-1][1])
    deployment.say("names, numbers, patchcord.yaml, az and azd: as they should be")


def unrouted(deployment: Deployment, config: Config) -> list[str]:
    """Numbers of ours that no route takes; with call transfers they may be in the pool of those, which is in the store."""
    taken = {address for route in config.all_routes for address in route.to}
    if "*" in taken or config.call_transfers:
        return []
    return [number for number in deployment.listed("PATCHCORD_PHONE_NUMBERS") if number not in taken]


def _names(deployment: Deployment) -> Iterator[Mistake]:
    name = deployment.get("AZURE_ENV_NAME")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name.lower()):
        yield (
            f"the environment's name {name!r}",
            "azd env new NAME: a letter, then letters, digits and -, at most 32",
        )
    group = deployment.get("PATCHCORD_RESOURCE_GROUP")
    if group and not re.fullmatch(r"[\w().-]{0,89}[\w()-]", group):
        yield (
            f"PATCHCORD_RESOURCE_GROUP {group!r}",
            "letters, digits, ( ) . _ -, at most 90, not ending with a dot",
        )
    location = deployment.get("PATCHCORD_DATA_LOCATION")
    if not re.fullmatch(r"[A-Za-z ]{2,40}", location):
        yield (
            f"PATCHCORD_DATA_LOCATION {location!r}: where ACS keeps data at rest; it cannot be changed later",
            "azd env set PATCHCORD_DATA_LOCATION Europe (or another of: " + ", ".join(DATA_LOCATIONS) + ")",
        )
    elif location not in DATA_LOCATIONS:
        deployment.say(f"note: {location!r} is no data location of ACS that was known when this was written")


def _numbers(deployment: Deployment) -> Iterator[Mistake]:
    numbers = deployment.listed("PATCHCORD_PHONE_NUMBERS")
    for number in numbers:
        if not E164.fullmatch(number):
            yield (
                f"PATCHCORD_PHONE_NUMBERS: {number!r} is not E.164",
                "write it with + and country code, such as +18005550100",
            )
    if len(set(numbers)) < len(numbers):
        yield (
            "PATCHCORD_PHONE_NUMBERS: a number stands there twice",
            "azd env set PATCHCORD_PHONE_NUMBERS …, each one once",
        )
    kinds = deployment.listed("PATCHCORD_ADDRESS_KINDS")
    for kind in kinds:
        if kind not in KINDS:
            yield f"PATCHCORD_ADDRESS_KINDS: {kind!r}", "one or both of " + ", ".join(KINDS) + ", or nothing"
    if len(numbers) + 1 + len(kinds) > MOST_VALUES:
        yield (
            f"{len(numbers)} numbers: Event Grid filters by at most {MOST_VALUES} values, our own identity among them",
            "leave PATCHCORD_PHONE_NUMBERS empty to take all calls of the resource; patchcord.yaml's routes decide then",
        )
    identity = deployment.get("PATCHCORD_AGENT_IDENTITY")
    if identity and not ACS_USER.fullmatch(identity):
        yield f"PATCHCORD_AGENT_IDENTITY {identity!r}", "leave it empty: the post-deploy hook makes one"


def _values(deployment: Deployment) -> Iterator[Mistake]:
    for name in FLAGS:
        if (value := deployment.get(name)) and value not in ("true", "false"):
            yield f"{name} {value!r}", f"azd env set {name} true, or false"
    for name in WHOLE:
        if (value := deployment.get(name)) and not re.fullmatch(r"[0-9]{1,9}", value):
            yield f"{name} {value!r}", f"azd env set {name} to a whole number"
    for name, options in ONE_OF.items():
        if (value := deployment.get(name)) and value not in options:
            yield f"{name} {value!r}", f"azd env set {name} to one of " + ", ".join(options)
    for address in deployment.listed("PATCHCORD_ALERT_EMAILS"):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            yield f"PATCHCORD_ALERT_EMAILS: {address!r}", "e-mail addresses, comma-separated"


async def _programs(deployment: Deployment) -> AsyncIterator[Mistake]:
    cures = {
        "az": "az login; with several subscriptions: az account set -s …",
        "azd": "https://aka.ms/azd-install",
    }
    for program, *arguments in (("azd", "version"), ("az", "account", "show", "--output", "none")):
        try:
            await deployment.run(program, *arguments)
        except CommandFailed as error:
            yield f"{program}: {error}", cures[program]
