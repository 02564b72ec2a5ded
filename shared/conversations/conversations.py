"""What joins calls that bring the same `externalConversationId`: their order, and the variables that they brought.

Table `conversations`, partition tenant, row the client's id. The words themselves stay with their calls. A call that goes on
with a conversation finds the turns of the earlier ones and their variables; what it brings itself is newer and wins
(requirements 134-136).
"""

from collections.abc import Callable, Mapping

import msgspec

from shared.calls.events import pack, row_key, unpack
from shared.calls.repository import Calls
from shared.errors import Conflict, EntityChanged, EntityExists
from shared.store.entities import Entity, EntityStore

TABLE = "conversations"

RETENTION_S = 24 * 3600.0
"""How long after its last call a conversation is remembered."""

STARTING_S = 60.0
"""A call without a record counts as live for so long: it may be on its way to us."""

KEPT_CALLS = 10
"""The newest calls of a conversation that are remembered."""


class ConversationBusy(Conflict):
    """The conversation has a live call already."""

    code = "409-02"


class Conversation(msgspec.Struct, frozen=True):
    """One conversation.

    Attributes:
        id: the client's.
        calls: our ids of its calls, oldest first; the last one is the newest.
        variables: all input variables so far.
        at: when its newest call began (Unix seconds).
        customer_id: who the client says that the caller is, or "".
    """

    id: str
    calls: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    at: float = 0.0
    customer_id: str = ""


class Conversations:
    """All conversations.

    Args:
        store: where they are.
        calls: the same store's calls.
        now: Unix seconds.
        retention_s: see `RETENTION_S`.
        one_at_a_time: a second call is refused while one is live.
    """

    def __init__(
        self,
        store: EntityStore,
        calls: Calls,
        now: Callable[[], float],
        *,
        retention_s: float = RETENTION_S,
        one_at_a_time: bool = True,
    ) -> None:
        self._store = store
        self._calls = calls
        self._now = now
        self._retention_s = retention_s
        self._one_at_a_time = one_at_a_time

    async def join(
        self,
        tenant: str,
        conversation_id: str,
        call_id: str,
        variables: Mapping[str, str],
        *,
        customer_id: str = "",
    ) -> Conversation:
        """Let a call go on with a conversation, or begin it; the same call may join again, with what it has learnt.

        A `customer_id` stays with the conversation until another is given.

        Raises:
            ConversationBusy: it has another live call.
        """
        while True:
            row = await self._store.get(TABLE, tenant, row_key(conversation_id))
            known = Conversation(conversation_id) if row is None else unpack(row.values, Conversation)
            again = call_id in known.calls
            if again and known.variables.items() >= variables.items():
                return known
            if not again and self._now() - known.at > self._retention_s:
                known = Conversation(conversation_id)
            if not again and self._one_at_a_time and known.calls and await self._live(tenant, known):
                raise ConversationBusy("the conversation has a live call")
            joined = Conversation(
                conversation_id,
                known.calls if again else (*known.calls, call_id)[-KEPT_CALLS:],
                {**known.variables, **variables},
                self._now(),
                customer_id or known.customer_id,
            )
            entity = Entity(tenant, row_key(conversation_id), pack(joined), row.etag if row else "")
            try:
                if row is None:
                    await self._store.insert(TABLE, entity)
                else:
                    await self._store.replace(TABLE, entity)
            except (EntityExists, EntityChanged):
                continue
            return joined

    async def _live(self, tenant: str, known: Conversation) -> bool:
        record = await self._calls.get(tenant, known.calls[-1])
        if record is None:
            return self._now() - known.at < STARTING_S
        # A caller who is being transferred comes back as a new call before the old one has ended.
        return record.live and not record.leaving
