"""Link "patchcord.yaml": the file, what it names on disk, and the secrets that it refers to."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.config.agents import EmbeddedAgentConfig
from shared.config.checks import SECRET
from shared.config.document import Config, load_config
from shared.errors import ConfigurationError, KeysUnavailable

REFERENCES = frozenset({"auth_token", "authorization", "key", "secret", "signing_key"})
"""Fields that hold a reference to a secret."""

VAULT_MEND = "az keyvault secret set --vault-name VAULT --name NAME --file FILE, with role Key Vault Secrets User for who reads it"


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Read it as both processes do at their start."""
    settings = exam.settings
    if none := exam.without("the file", "PATCHCORD_CONFIG"):
        yield none
        return
    try:
        exam.config = config = load_config(settings.config)
    except ConfigurationError as error:
        where = exam.subject.mend("PATCHCORD_CONFIG")
        mend = where if error.setting == "PATCHCORD_CONFIG" else f"correct it in {settings.config}"
        yield broken("the file", str(error), mend)
        return
    yield ok("the file", f"{settings.config}: {len(config.agents)} agents, {len(config.all_routes)} routes")
    for one in _dialogues(config, settings.config.parent):
        yield one
    async for one in _tools(exam, config):
        yield one
    async for one in _secrets(exam, config):
        yield one


def _dialogues(config: Config, folder: Path) -> Iterator[Finding]:
    from media_host.agents.embedded.dialogue import load_dialogue

    for name, agent in config.agents.items():
        if isinstance(agent, EmbeddedAgentConfig):
            try:
                load_dialogue(folder / agent.dialogue)
            except ConfigurationError as error:
                yield broken(f"dialogue of {name}", str(error), f"correct {folder / agent.dialogue}")
            else:
                yield ok(f"dialogue of {name}", agent.dialogue)


async def _tools(exam: Examination, config: Config) -> AsyncIterator[Finding]:
    from media_host.tools import ToolBox

    if not config.tools:
        return
    try:
        tools = ToolBox.from_config(config, exam.secrets, exam.http)
    except ConfigurationError as error:
        yield broken(
            "tools", str(error), "correct it, or install the package that the media host is to import"
        )
    else:
        await tools.close()
        yield ok("tools", ", ".join(config.tools))


async def _secrets(exam: Examination, config: Config) -> AsyncIterator[Finding]:
    """Can each reference be read? `env:` is looked up in the subject's settings."""
    settings = exam.settings
    named = references(msgspec.to_builtins(config))
    if settings.events_key:
        named.setdefault(settings.events_key, "PATCHCORD_EVENTS_KEY")
    for reference, place in named.items():
        variable = reference.removeprefix("env:")
        if exam.hides(reference):
            yield unknown(place, f"{variable} is a secret of the deployment, which only its processes read")
            continue
        try:
            exam.secret_values.add(await exam.secrets.get(reference))
        except ConfigurationError as error:
            if variable == reference:
                mend = (
                    VAULT_MEND if reference.startswith("https:") else f"write the secret into {reference[5:]}"
                )
                yield broken(place, str(error), mend)
            elif exam.subject.is_closed or exam.is_public:
                yield broken(place, f"{variable} is not set", exam.subject.mend(variable))
            else:
                yield unknown(place, f"{variable} is not set here; the process that reads it may have it")
        except KeysUnavailable as error:
            yield broken(place, str(error), VAULT_MEND)
        else:
            yield ok(place, f"{reference} can be read")


def references(value: Any, place: str = "", field: str = "") -> dict[str, str]:
    """References to secrets, each with the first place that has it."""
    found: dict[str, str] = {}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = references(inner, f"{place}.{name}" if place else str(name), str(name))
            found = below | found
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found = references(inner, f"{place}[{index}]") | found
    elif isinstance(value, str) and field in REFERENCES and SECRET.fullmatch(value):
        found[value] = place
    return found
