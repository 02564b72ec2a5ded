"""Our own ACS identity (8:acs:…): calls are moved to it when a media host must stop. Made once, kept in the vault.

ACS cannot list identities, so one that is forgotten stays for ever: it is written down before anything uses it. The vault is the
memory, azd's environment what the templates read.
"""

from typing import TYPE_CHECKING

from infra.hooks.steps import Deployment, StepFailed
from shared.config.checks import ACS_USER

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

SECRET = "patchcord-agent-identity"  # noqa: S105  # a name; what is in it is an address, and no secret
VALUE = "PATCHCORD_AGENT_IDENTITY"

SIGN_IN = (
    "see that you are signed in (azd auth login), and that you have Contributor on the ACS resource and Key Vault Secrets Officer "
    "on the vault; then: azd hooks run postdeploy"
)


async def agent_identity(deployment: Deployment) -> str:
    """The identity: azd's environment says which, else the vault, else a new one is made.

    Raises:
        StepFailed: the vault or ACS does not let us in, or one of them names something else.
    """
    from azure.core.exceptions import AzureError
    from azure.keyvault.secrets.aio import SecretClient

    vault = deployment.need("PATCHCORD_SIGNING_KEYS").partition("/secrets/")[0]
    transport = deployment.vault_transport
    options = {"transport": transport()} if transport else {}
    credential = deployment.credential()
    async with credential, SecretClient(vault, credential, **options) as client:
        try:
            return await _find_or_make(deployment, client)
        except AzureError as error:
            raise StepFailed(f"our ACS identity: {type(error).__name__}", SIGN_IN) from error


async def _find_or_make(deployment: Deployment, client: "SecretClient") -> str:
    wanted, kept = deployment.get(VALUE), await _kept(client)
    found = wanted or kept
    if found and not ACS_USER.fullmatch(found):
        raise StepFailed(
            f"{VALUE} or the vault's {SECRET} is not like 8:acs:RESOURCE_USER",
            f"azd env set {VALUE} '' and delete the secret: a new identity is made",
        )
    if not found:
        found = await _make(deployment)
        await client.set_secret(SECRET, found, content_type="text/plain")
        deployment.say(f"our ACS identity: made, {found}")
    elif kept != found:
        await client.set_secret(SECRET, found, content_type="text/plain")
        deployment.say(f"our ACS identity: {found}, as azd's environment says; written into the vault")
    else:
        deployment.say(f"our ACS identity: {found}, nothing changed")
    await deployment.keep(VALUE, found)
    return found


async def _kept(client: "SecretClient") -> str:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return (await client.get_secret(SECRET)).value or ""
    except ResourceNotFoundError:
        return ""


async def _make(deployment: Deployment) -> str:
    from azure.communication.identity.aio import CommunicationIdentityClient

    transport = deployment.acs_transport
    options = {"transport": transport()} if transport else {}
    credential = deployment.credential()
    async with (
        credential,
        CommunicationIdentityClient(deployment.need("ACS_ENDPOINT"), credential, **options) as client,
    ):
        return str((await client.create_user()).raw_id)
