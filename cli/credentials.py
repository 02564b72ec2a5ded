"""`patchcord credentials`: a tenant's API id and secrets. Only hashes are stored; a secret is printed once."""

import argparse
import sys
import time
from typing import TextIO

from shared.security.tenants import TenantDoor
from shared.store import open_store


async def credentials(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Issue, add or revoke; returns the exit code."""
    store = open_store(arguments.store)
    try:
        door = TenantDoor(store, arguments.environment, time.time)
        match arguments.action:
            case "issue":
                issued = await door.issue(arguments.tenant)
            case "add-secret":
                issued = await door.add_secret(arguments.api_id)
            case _:
                await door.revoke_secret(arguments.api_id, arguments.which)
                out.write(f"The {arguments.which} secret of {arguments.api_id} no longer opens anything.\n")
                return 0
    finally:
        await store.close()
    out.write(f"api-id      {issued.api_id}\napi-secret  {issued.api_secret}\n")
    out.write("Keep the secret now: it is not stored and cannot be shown again.\n")
    return 0
