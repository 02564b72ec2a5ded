"""`patchcord credentials`: a tenant's API id and secrets. Only hashes are stored; a secret is printed once."""

import argparse
import sys
import time
from typing import Any, TextIO

from shared.security.tenants import ALL_SCOPES, Scope, TenantDoor
from shared.store import open_store


def add_to(commands: Any) -> None:
    """The command's arguments."""
    credentials = commands.add_parser(
        "credentials", help="create, rotate or revoke a tenant's API credentials"
    )
    actions = credentials.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="a new API id with its first secret, printed once")
    create.add_argument("tenant", help="a tenant of patchcord.yaml")
    create.add_argument(
        "--scope",
        action="append",
        choices=[scope.value for scope in Scope],
        default=[],
        help="what it may be used for; give it several times; default: everything",
    )
    rotate = actions.add_parser(
        "rotate", help="a new secret for an API id; the one before stays good until you revoke it"
    )
    rotate.add_argument("api_id")
    revoke = actions.add_parser("revoke", help="make an API id worthless, or one of its two secrets")
    revoke.add_argument("api_id")
    revoke.add_argument(
        "--secret",
        choices=("all", "oldest", "newest"),
        default="all",
        help="default: %(default)s; after a rotation: oldest",
    )
    for action in (create, rotate, revoke):
        action.add_argument(
            "--store",
            required=True,
            metavar="ADDRESS",
            help="as in PATCHCORD_STORE: sqlite:PATH or a storage account",
        )
        action.add_argument(
            "--environment",
            default="local",
            metavar="NAME",
            help="as in PATCHCORD_ENVIRONMENT; default: %(default)s",
        )


async def credentials(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Create, rotate or revoke; returns the exit code."""
    store = open_store(arguments.store)
    try:
        door = TenantDoor(store, arguments.environment, time.time)
        match arguments.action:
            case "create":
                scopes = [Scope(name) for name in arguments.scope] or ALL_SCOPES
                issued = await door.issue(arguments.tenant, scopes)
            case "rotate":
                issued = await door.rotate(arguments.api_id)
            case _:
                await door.revoke(arguments.api_id, arguments.secret)
                what = "" if arguments.secret == "all" else f"The {arguments.secret} secret of "  # noqa: S105  # which one is meant
                out.write(f"{what}{arguments.api_id} no longer opens anything.\n")
                return 0
    finally:
        await store.close()
    out.write(f"api-id      {issued.api_id}\napi-secret  {issued.api_secret}\n")
    out.write("Keep the secret now: it is not stored and cannot be shown again.\n")
    return 0
