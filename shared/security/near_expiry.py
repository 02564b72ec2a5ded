"""Key Vault says that a secret nears its expiry (functions.md 5): is it one that holds our keys?"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from shared.wire.acs_events import GridEvent

NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"


def is_near_expiry(event: GridEvent, addresses: Iterable[str]) -> bool:
    """Whether the event tells of the near end of a secret at one of `addresses`.

    Args:
        event: from Event Grid.
        addresses: of key sources, such as `https://VAULT.vault.azure.net/secrets/NAME`.
    """
    if event.type != NEAR_EXPIRY:
        return False
    vault, name = str(event.data.get("VaultName")).lower(), str(event.data.get("ObjectName"))
    for address in addresses:
        parts = urlsplit(address)
        if parts.path == f"/secrets/{name}" and (parts.hostname or "").split(".")[0] == vault:
            return True
    return False
