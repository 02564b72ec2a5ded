"""What Twilio has told us about its calls: who rang whom, who is to answer, and which call transfer became of it.

Table `engagements`, partition tenant, row CallSid. The signed webhook writes a row before the audio comes; the audio's first
message may then say nothing about itself that the webhook did not. A call whose stream address came from our API has a row
from that message on.
"""

from collections.abc import Callable

import msgspec

from shared.calls.events import pack, unpack
from shared.calls.repository import all_rows
from shared.errors import EntityChanged, EntityExists
from shared.store.entities import Entity, EntityStore

TABLE = "engagements"

KEEP_S = 24 * 3600.0
"""Seconds that an engagement is remembered: no call at Twilio is longer."""


class Engagement(msgspec.Struct, frozen=True, kw_only=True):
    """One call at Twilio.

    Attributes:
        call_sid: Twilio's id of it.
        at: when the webhook, or else the audio, came (Unix seconds).
        agent, task, route: who answers, with what, by which rule; "" without a webhook.
        caller, callee: as Twilio names them; "" when withheld, or without a webhook.
        turn: a random word in the address that Twilio asks after this stream, so that a request which is sent again ends no
            later stream of the call.
        transfer_id: of the call transfer of its newest stream; "" as long as no audio has come since the webhook.
    """

    call_sid: str
    at: float
    agent: str = ""
    task: str = ""
    route: str = ""
    caller: str = ""
    callee: str = ""
    turn: str = ""
    transfer_id: str = ""


class Engagements:
    """All of them.

    Args:
        store: where they are.
        now: Unix seconds.
    """

    def __init__(self, store: EntityStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    async def get(self, tenant: str, call_sid: str) -> Engagement | None:
        """What is known of a call."""
        row = await self._store.get(TABLE, tenant, call_sid)
        return None if row is None else unpack(row.values, Engagement)

    async def engage(self, tenant: str, engagement: Engagement) -> None:
        """The webhook has come, perhaps again: the call's former transfer is no longer its newest."""
        await self._change(tenant, engagement.call_sid, lambda _before: engagement)

    async def begin(self, tenant: str, call_sid: str, transfer_id: str) -> None:
        """The call's audio has come, for this transfer."""

        def change(before: Engagement | None) -> Engagement:
            known = before or Engagement(call_sid=call_sid, at=self._now())
            return msgspec.structs.replace(known, transfer_id=transfer_id)

        await self._change(tenant, call_sid, change)

    async def _change(
        self, tenant: str, call_sid: str, change: Callable[[Engagement | None], Engagement]
    ) -> None:
        while True:
            row = await self._store.get(TABLE, tenant, call_sid)
            changed = change(None if row is None else unpack(row.values, Engagement))
            try:
                if row is None:
                    await self._store.insert(TABLE, Entity(tenant, call_sid, _values(changed)))
                else:
                    await self._store.replace(TABLE, Entity(tenant, call_sid, _values(changed), row.etag))
                return
            except (EntityExists, EntityChanged):
                continue


def _values(engagement: Engagement) -> dict[str, str | int | float | bool]:
    return {**pack(engagement), "at": float(engagement.at)}


async def forget_engagements(store: EntityStore, tenant: str, now: float) -> int:
    """Delete old rows of one 256th of the key space, a different one every 15 s (as `claims.forget_claims`); how many."""
    first = f"CA{int(now // 15) % 256:02x}"
    rows = await all_rows(store, TABLE, tenant, after=first, before=first + "g")
    old = [row for row in rows if now - float(row.values["at"]) > KEEP_S]
    for row in old:
        await store.delete(TABLE, tenant, row.row)
    return len(old)
