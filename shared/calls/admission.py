"""Admission before answer: is there a media host with room, and may this tenant have one more call?

Media hosts write a heartbeat every second; the function app reads them before it answers. Whatever is refused here is
refused while the phone still rings: the route says whether the caller gets a busy tone or is redirected.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from shared.calls.repository import Calls
from shared.errors import EntityChanged, EntityExists, Unavailable
from shared.store.entities import Entity, EntityStore

TABLE, PARTITION = "mediahosts", "host"
MAX_AGE_S = 5.0
"""A heartbeat older than this (s) is a dead host's."""

SILENT_S = 60.0
"""Or, up to this age (s), that of a host that cannot write one, because the store is away."""


class NoMediaHost(Unavailable):
    """There is nobody who could carry the call's audio now: none is up, all are draining, or all are full."""

    code = "503-07"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a media host says about itself: calls now, calls at most, whether it takes new ones; `at` in Unix seconds."""

    host_id: str
    active: int
    capacity: int
    draining: bool
    at: float

    def ready(self, now: float, max_age_s: float = MAX_AGE_S) -> bool:
        """Alive, not draining, and with room for one more."""
        return now - self.at <= max_age_s and not self.draining and self.active < self.capacity


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer; true when admitted, else `reason` is `no_media_host`, `media_hosts_full` or `tenant_limit`."""

    reason: str = ""

    def __bool__(self) -> bool:
        return not self.reason


async def write_heartbeat(store: EntityStore, heartbeat: Heartbeat) -> None:
    """Insert or replace this host's heartbeat; the host is the only writer of its row.

    Raises:
        StoreUnavailable: the next heartbeat will tell.
    """
    values = {
        "active": heartbeat.active,
        "capacity": heartbeat.capacity,
        "draining": heartbeat.draining,
        "at": float(heartbeat.at),
    }
    before = await store.get(TABLE, PARTITION, heartbeat.host_id)
    row = Entity(PARTITION, heartbeat.host_id, values, before.etag if before else "")
    try:
        if before is None:
            await store.insert(TABLE, row)
        else:
            await store.replace(TABLE, row)
    except (EntityExists, EntityChanged):
        return  # the sweep removed a stale row, or a second writer was faster: the next beat, 1 s later, settles it


async def remove_heartbeat(store: EntityStore, host_id: str) -> None:
    """A host that ends says so; idempotent."""
    await store.delete(TABLE, PARTITION, host_id)


async def heartbeats(store: EntityStore) -> list[Heartbeat]:
    """All hosts that ever reported and were not removed, dead ones too."""
    return [
        Heartbeat(
            row.row,
            int(row.values["active"]),
            int(row.values["capacity"]),
            bool(row.values["draining"]),
            float(row.values["at"]),
        )
        for row in await store.query(TABLE, PARTITION)
    ]


async def has_silent_host(store: EntityStore, now: float) -> bool:
    """Whether a media host that takes calls was there a minute ago: after an outage of the store all have fallen silent."""
    return any(
        MAX_AGE_S < now - beat.at <= SILENT_S and not beat.draining for beat in await heartbeats(store)
    )


async def admit(store: EntityStore, now: float, max_age_s: float = MAX_AGE_S) -> Admission:
    """Whether any media host has room, by its heartbeat."""
    fresh = [beat for beat in await heartbeats(store) if now - beat.at <= max_age_s and not beat.draining]
    if not fresh:
        return Admission("no_media_host")
    return Admission("" if any(beat.ready(now, max_age_s) for beat in fresh) else "media_hosts_full")


async def admit_call(
    store: EntityStore,
    calls: Calls,
    *,
    tenant: str,
    call_id: str,
    limit: int,
    tenants: Collection[str],
    now: float,
    media: bool = True,
    moved: bool = False,
) -> Admission:
    """Whether this watched call may be answered (`Calls.watch` it first); `media` False: it needs no media host.

    `moved`: the caller is in a call of ours already, whose place it takes: only media hosts count, by their heartbeats.

    A call's place is the number of older watched calls, so of a burst exactly the first ones get in, whoever counts
    first, and a heartbeat that is a second old cannot let a burst through.
    """
    if moved:
        return await admit(store, now)
    if await calls.older_live(tenant, call_id, limit) >= limit:
        return Admission("tenant_limit")
    if not media:
        return Admission()
    admission = await admit(store, now)
    if not admission:
        return admission
    # Calls of a host that drains are still counted among the older ones, so they have their room.
    fresh = [beat for beat in await heartbeats(store) if now - beat.at <= MAX_AGE_S]
    room = sum(beat.active if beat.draining else beat.capacity for beat in fresh)
    older = await asyncio.gather(*(calls.older_live(name, call_id, room) for name in tenants))
    return Admission("media_hosts_full" if sum(older) >= room else "")
