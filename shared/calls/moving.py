"""Moving a caller from one media host to another: ACS transfers the call to our own identity, and the new call goes on.

Table `moves`, partition "move", row a secret of 128 random bits, which travels in the custom context and nowhere else. What the
new call is to know (agent, task, variables, conversation) is read from the old call's record, never from the context: a
stranger who dials our identity can make nothing up. A move serves one call, soon.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.calls.admission import heartbeats
from shared.calls.record import CallRecord
from shared.calls.repository import Calls, all_rows
from shared.config.document import Config
from shared.config.routes import Route
from shared.errors import EntityChanged
from shared.store.entities import Entity, EntityStore
from shared.wire.custom_context import CONVERSATION, MOVE

TABLE, PARTITION = "moves", "move"

VALID_S = 90.0
"""How long a move may take to come back as a call (s): ACS gives a transfer 60 s."""

KEPT_S = 3600.0

MODE = "move"
"""The `mode` of a move's `transfer` event."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A call that comes back: the route for it, and the call that it goes on with."""

    route: Route
    before: CallRecord


class Moves:
    """All moves.

    Args:
        config: of patchcord.yaml.
        store: where they are.
        calls: the same store's calls.
        now: Unix seconds.
    """

    def __init__(self, config: Config, store: EntityStore, calls: Calls, now: Callable[[], float]) -> None:
        self._config = config
        self._store = store
        self._calls = calls
        self._now = now

    async def another_host(self, host_id: str) -> bool:
        """Whether a ready media host other than this one is known: a killed host's heartbeat looks fresh for a while."""
        now = self._now()
        return any(beat.ready(now) and beat.host_id != host_id for beat in await heartbeats(self._store))

    def may_move(self, record: CallRecord) -> bool:
        """Whether the call may be moved at all.

        Not one that another system has lent us (its own temporary number or identity brought it), not one with more than
        two in it, not for a tenant with an ACS resource of its own (the identity belongs to ours), and not for ever.
        """
        recovery = self._config.recovery
        return bool(
            recovery.identity
            and not record.transfer_id
            and not record.handed_over
            and len(record.participants) <= 2
            and record.tenant not in self._config.acs_resources
            and record.moves < recovery.most_moves
        )

    async def prepare(self, record: CallRecord) -> Mapping[str, str]:
        """Write the move down; the custom context for the transfer.

        Raises:
            StoreUnavailable: then nobody would know the call when it comes back.
        """
        name = secrets.token_urlsafe(16)
        values: dict[str, str | float] = {
            "tenant": record.tenant,
            "callId": record.call_id,
            "at": self._now(),
            "claimedBy": "",
        }
        await self._store.insert(TABLE, Entity(PARTITION, name, values))
        context = {MOVE: name}
        if record.conversation_id:
            context[CONVERSATION] = record.conversation_id
        return context

    async def claim(self, name: str, *, callee: str, call_key: str) -> Moved | None:
        """The move that a call to `callee` (a raw id) names, if it is one, in time, and no other call's.

        The same call (`call_key`) may ask again: its event may be delivered twice.

        Raises:
            StoreUnavailable: nobody can know.
        """
        if callee != self._config.recovery.identity or not 16 <= len(name) <= 64 or not _is_plain(name):
            return None
        row = await self._store.get(TABLE, PARTITION, name)
        if row is None or self._now() - float(row.values["at"]) > VALID_S:
            return None
        if not row.values["claimedBy"]:
            claimed = Entity(PARTITION, name, {**row.values, "claimedBy": call_key}, row.etag)
            try:
                await self._store.replace(TABLE, claimed)
            except EntityChanged:
                return await self.claim(name, callee=callee, call_key=call_key)
        elif row.values["claimedBy"] != call_key:
            return None
        before = await self._calls.get(str(row.values["tenant"]), str(row.values["callId"]))
        if before is None or before.agent not in self._config.agents:
            return None
        return Moved(self._route(before), before)

    def _route(self, before: CallRecord) -> Route:
        """As the call was routed first; nobody waits in a queue or is redirected in the middle of a conversation."""
        return Route(
            name=before.route,
            to=[self._config.recovery.identity],
            agent=before.agent,
            tenant=before.tenant,
            task=before.task,
        )

    async def forget(self) -> int:
        """Delete old rows; how many."""
        rows = await all_rows(self._store, TABLE, PARTITION)
        old = [row for row in rows if self._now() - float(row.values["at"]) > KEPT_S]
        for row in old:
            await self._store.delete(TABLE, PARTITION, row.row)
        return len(old)


def _is_plain(name: str) -> bool:
    """Whether `name` is of the letters that `token_urlsafe` makes, so that every store takes it."""
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum()
