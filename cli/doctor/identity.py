"""Link "identity": can tokens be had where no key is set?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cli.doctor.arm import SCOPE as ARM_SCOPE
from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.config.realtime import RealtimeAgentConfig

TOKEN_S = 15.0
ACS, VAULT, TABLES, GRID = (
    f"https://{name}/.default"
    for name in ("communication.azure.com", "vault.azure.net", "storage.azure.com", "eventgrid.azure.net")
)
MODEL = "https://ai.azure.com/.default"
MEND = "az login --tenant TENANT (on Azure: the identity must be assigned, and AZURE_CLIENT_ID its client id)"


def wanted(exam: Examination) -> dict[str, str]:
    """What tokens are needed for, by scope."""
    settings = exam.settings
    found: dict[str, str] = {}
    if not settings.acs.access_key and "ACS_ENDPOINT" not in exam.wrong:
        found[ACS] = "ACS"
    places = [settings.signing_keys, settings.verification_keys]
    if any(place.startswith("https:") for place in places):
        found[VAULT] = "Key Vault"
    if settings.store.startswith("https:"):
        found[TABLES] = "Table Storage"
    if settings.events_topic and not settings.events_key:
        found[GRID] = "the Event Grid topic"
    tenants = exam.config.tenants.values() if exam.config else ()
    if any(tenant.acs is not None and not tenant.acs.key for tenant in tenants):
        found.setdefault(ACS, "ACS")
    agents = exam.config.agents.values() if exam.config else ()
    if any(isinstance(agent, RealtimeAgentConfig) and agent.auth == "entra" for agent in agents):
        found[MODEL] = "the realtime model"
    if exam.arm is not None:
        found[ARM_SCOPE] = "Azure Resource Manager"
    return found


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Ask for each token once, as azure-identity does in both processes."""
    scopes = wanted(exam)
    if not scopes or exam.subject.is_partial:
        yield unknown("tokens", "none is needed: everything is reached by keys, or is on this machine")
        return
    for scope, name in scopes.items():
        try:
            async with asyncio.timeout(TOKEN_S):
                await open_credential(exam).get_token(scope)
        except Exception as error:  # azure-identity's many, aiohttp's, the system's: there is no token; its text is not shown
            exam.no_token.add(scope)
            yield broken(name, f"no token for {scope} ({type(error).__name__})", MEND)
        else:
            yield ok(
                name,
                f"a token for {scope}; it is yours, roles of the deployed identities are not proven by it",
            )


def open_credential(exam: Examination) -> Any:
    """The one credential of this examination."""
    if exam.credential is None:
        from azure.identity.aio import DefaultAzureCredential

        identity = exam.known_settings.managed_identity if exam.known_settings else ""
        exam.credential = DefaultAzureCredential(managed_identity_client_id=identity or None)
    return exam.credential
