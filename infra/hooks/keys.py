"""The signing keys: made once, by whoever deploys; afterwards the function app rotates them."""

import re
import time

from infra.hooks.steps import Deployment, StepFailed
from shared.errors import InvalidInput, KeysUnavailable
from shared.security.key_sources import KeyVaultKeySource
from shared.security.keyring import ensure_keys

TRIES, PAUSE_S = 30, 10.0
"""A new role assignment needs up to five minutes until the vault knows of it."""

SIGN_IN_S = 60.0

LET_ME_IN = (
    "see that you are signed in (azd auth login), that AZURE_PRINCIPAL_ID is you (azd env get-values) with the role Key Vault "
    "Secrets Officer, and, with PATCHCORD_PRIVATE_NETWORK, that your address is in PATCHCORD_OPERATOR_ADDRESSES; then: azd hooks "
    "run postprovision"
)


class _Secret(KeyVaultKeySource):
    """Knows whether anything was written."""

    written = False

    async def save(self, text: str) -> None:
        await super().save(text)
        self.written = True


async def make_keys(deployment: Deployment) -> None:
    """Make both key documents if there is no private one; bring the public one in line if it is not.

    Raises:
        StepFailed: the vault does not let us in, or what is in it is no key document.
    """
    signing, verification = (
        _source(deployment, name) for name in ("PATCHCORD_SIGNING_KEYS", "PATCHCORD_VERIFICATION_KEYS")
    )
    try:
        created = await _ensure(deployment, signing, verification)
    except InvalidInput as error:
        raise StepFailed(
            f"the vault's signing secret is no key document ({error})",
            "disable its newest version in the portal, so that the one before is used, or delete the secret and run this again "
            "(calls of the last three hours are then refused their callbacks)",
        ) from error
    finally:
        await signing.close()
        await verification.close()
    if created:
        deployment.say("signing keys: made; the private half stays in the vault")
    elif verification.written:
        deployment.say(
            "signing keys: they were there; their public half was missing or old, and is right now"
        )
    else:
        deployment.say("signing keys: they are there, nothing changed")


async def _ensure(deployment: Deployment, signing: _Secret, verification: _Secret) -> bool:
    for left in reversed(range(TRIES)):
        try:
            return await ensure_keys(signing, verification, time.time())
        except KeysUnavailable as error:
            if left == 0:
                raise StepFailed(
                    f"the vault does not let us in: {error}",
                    LET_ME_IN,
                ) from error
            if left == TRIES - 1:
                deployment.say(
                    "signing keys: the vault does not let us in yet; a new role needs up to five minutes"
                )
            await deployment.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _source(deployment: Deployment, setting: str) -> _Secret:
    address = deployment.need(setting)
    found = re.fullmatch(r"(https://[^/@\s]+)/secrets/([0-9A-Za-z-]{1,127})", address)
    if found is None:
        raise StepFailed(
            f"{setting} is no Key Vault secret's address", "run `azd provision` again: it sets this"
        )
    transport = deployment.vault_transport
    return _Secret(
        found[1],
        found[2],
        timeout_s=SIGN_IN_S,
        credential=deployment.credential(),
        transport=transport() if transport else None,
    )
