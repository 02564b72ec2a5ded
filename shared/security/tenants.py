"""Tenants' API credentials: an id and a secret in two headers, in one environment.

Only a hash of a secret is stored. A secret is 256 random bits, so that a plain SHA-256 is as strong as a slow hash would be.
Each id may have two secrets at once: rotate, change the clients, revoke the old one. An id opens only the doors that it was
made for (`Scope`).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from shared.errors import Conflict, EntityChanged, InvalidInput, NotFound, OutOfScope, Unauthenticated
from shared.store.entities import Entity, EntityStore, Value

TABLE = "credentials"
SECRET_PREFIX = "pcs_"  # noqa: S105  # the mark by which the log filter and secret scanners know a secret
_ID_PREFIX = "pci_"

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ID = re.compile(r"pci_[0-9a-f]{16}")
_SECRET = re.compile(r"pcs_[A-Za-z0-9_-]{43}")

_NOBODY = Entity("", "", {"hash1": "0" * 64, "hash2": "0" * 64, "tenant": ""})
_ATTEMPTS = 5


class Scope(StrEnum):
    """What credentials may be used for."""

    CALLS_READ = "calls:read"
    CALLS_CREATE = "calls:create"
    CALL_TRANSFERS = "call-transfers"
    EVENTS = "events"
    TWILIO = "twilio"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client sends with each request; the secret is shown once, here."""

    api_id: str
    api_secret: str = field(repr=False)


class TenantDoor:
    """Issues and checks credentials.

    Args:
        store: where their hashes are.
        environment: credentials of another environment do not exist here.
        now: Unix time (s).
    """

    def __init__(self, store: EntityStore, environment: str, now: Callable[[], float]) -> None:
        self._store = store
        self._environment = environment
        self._now = now

    async def issue(self, tenant: str, scopes: Collection[Scope] = ALL_SCOPES) -> Credentials:
        """New credentials for a tenant; it may have several. They open the doors of `scopes`.

        Raises:
            InvalidInput: the tenant's id is not of lower-case letters, digits and hyphens.
            StoreUnavailable: try again.
        """
        if not _TENANT.fullmatch(tenant):
            raise InvalidInput("tenant", "1 to 63 lower-case letters, digits and hyphens")
        new = Credentials(_ID_PREFIX + secrets.token_hex(8), _new_secret())
        values = {
            "tenant": tenant,
            "scopes": " ".join(sorted(scopes)),
            **self._slot(1, new),
            "hash2": "",
        }
        await self._store.insert(TABLE, Entity(self._environment, new.api_id, values))
        return new

    async def rotate(self, api_id: str) -> Credentials:
        """A new secret for an id; the one before stays good until it is revoked.

        Raises:
            NotFound: no such id in this environment.
            Conflict: there are two already; revoke one.
            StoreUnavailable: try again.
        """
        new = Credentials(api_id, _new_secret())

        def add(values: dict[str, Value]) -> dict[str, Value]:
            for slot in (1, 2):
                if not values[f"hash{slot}"]:
                    return values | self._slot(slot, new)
            # Dropping one of them here would shut out a client that nobody has thought of.
            raise Conflict("there are two secrets already: revoke one first")

        await self._change(api_id, add)
        return new

    async def revoke(self, api_id: str, which: Literal["oldest", "newest", "all"]) -> None:
        """Make secrets worthless. Revoking the last one closes the door until `rotate`.

        Raises:
            NotFound: no such id in this environment, or it has no secret.
            StoreUnavailable: try again.
        """

        def revoke(values: dict[str, Value]) -> dict[str, Value]:
            live = sorted(
                (slot for slot in (1, 2) if values[f"hash{slot}"]), key=lambda n: values[f"order{n}"]
            )
            if not live:
                raise NotFound("there is no secret to revoke")
            for slot in {"oldest": live[:1], "newest": live[-1:], "all": live}[which]:
                del values[f"order{slot}"]
                values[f"hash{slot}"] = ""
            return values

        await self._change(api_id, revoke)

    async def authenticate(self, api_id: str | None, api_secret: str | None, scope: Scope) -> str:
        """The tenant whose credentials these are.

        The same is done for an unknown id as for a wrong secret, and no comparison stops early. A header that was sent twice
        arrives as one value with a comma in it, and is refused.

        Args:
            api_id: value of the id header, None if it is missing.
            api_secret: value of the secret header, None if it is missing.
            scope: what they are wanted for.

        Raises:
            Unauthenticated: for every reason alike.
            OutOfScope: they are good, but not for this.
            StoreUnavailable: nobody can say; try again.
        """
        api_id, api_secret = api_id or "", api_secret or ""
        if not _ID.fullmatch(api_id) or not _SECRET.fullmatch(api_secret):
            raise Unauthenticated
        entity = await self._store.get(TABLE, self._environment, api_id) or _NOBODY
        given = _hash(api_id, api_secret)
        first = hmac.compare_digest(given, str(entity.values["hash1"]))
        second = hmac.compare_digest(given, str(entity.values["hash2"]))
        if not (first | second):
            raise Unauthenticated
        # Rows of before there were scopes have none: those credentials opened every door.
        if scope not in str(entity.values.get("scopes", " ".join(ALL_SCOPES))).split():
            raise OutOfScope(f"these credentials were not made for {scope.value}")
        return str(entity.values["tenant"])

    def _slot(self, number: int, credentials: Credentials) -> dict[str, Value]:
        """The properties of one of the two secrets; `order` tells the older from the newer."""
        return {
            f"hash{number}": _hash(credentials.api_id, credentials.api_secret),
            f"order{number}": self._now(),
        }

    async def _change(self, api_id: str, change: Callable[[dict[str, Value]], dict[str, Value]]) -> None:
        for _ in range(_ATTEMPTS):
            entity = (
                await self._store.get(TABLE, self._environment, api_id) if _ID.fullmatch(api_id) else None
            )
            if entity is None:
                raise NotFound("no such API id in this environment")
            values = change(dict(entity.values))
            try:
                await self._store.replace(TABLE, Entity(entity.partition, entity.row, values, entity.etag))
                return
            except EntityChanged:
                continue
        raise Conflict("the credentials are being changed by somebody else")


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _hash(api_id: str, api_secret: str) -> str:
    """Bound to the id, so that equal secrets of two ids would not look equal."""
    return hashlib.sha256(f"{api_id}:{api_secret}".encode()).hexdigest()
