"""IVR flows at work: callbacks in, requests to ACS out, one row in the store for each call.

The row is changed by replace-if-match before anything is asked of ACS, so of two processes only one goes on. Callbacks may
come in any order, twice, or late: the operation context says what they answer, and an old one changes nothing. What is asked
has its time; when nothing has come back by then (a lost callback, a process that died between its two writes) the sweep lets
the flow go on as if it had failed.
"""

import logging
from collections.abc import Callable, Mapping

import msgspec

from shared.calls.controls import CallControls
from shared.calls.events import CallEvent, EventKind, Json, pack, unpack
from shared.calls.handovers import Phase
from shared.calls.record import CallRecord
from shared.calls.recovery import Recovery
from shared.calls.repository import Calls
from shared.config.ivr import Ivr
from shared.conversations.conversations import Conversations
from shared.errors import CallGone, EntityChanged, EntityExists, PatchcordError
from shared.ivr.answers import answer_of
from shared.ivr.flow import move
from shared.ivr.state import (
    Action,
    Answer,
    Ask,
    CallIn,
    Happened,
    IvrState,
    Leave,
    Moved,
    Result,
    Speak,
    TransferTo,
)
from shared.store.entities import Entity, EntityStore
from shared.wire.acs_events import Callback

logger = logging.getLogger(__name__)

TABLE = "ivrs"

CONNECT_S = 60.0
"""How long an answered call may take to be connected (s)."""

ASKED_S = 15.0
"""How long ACS may take to accept a request (s), retries included; after that its process is taken for dead."""

ANSWER_S = 600.0
"""How long a prompt and the answer to it may take (s): 4000 characters are five minutes."""

RING_S = 30
"""How long a fallback number may ring (s)."""

MOVED_S = 75.0
"""How long a transfer or an invitation may take (s): ACS's own limit is 60 s."""

MOST_MOVES = 100
"""Moves that one callback may cause while ACS refuses everything: no flow has so many steps in a row."""


class Row(msgspec.Struct, frozen=True):
    """What the store keeps: the state, and until when its answer may take (Unix seconds)."""

    state: IvrState
    until: float


class IvrRunner:
    """All calls in IVRs.

    Args:
        ivrs: `ivrs` of patchcord.yaml.
        store: where the states are.
        calls: the same store's calls.
        control: ACS.
        conversations: what a transferred caller's next call goes on with.
        recovery: ends calls that cannot go on.
        now: Unix seconds.
    """

    def __init__(
        self,
        ivrs: Mapping[str, Ivr],
        store: EntityStore,
        calls: Calls,
        control: CallControls,
        conversations: Conversations,
        recovery: Recovery,
        now: Callable[[], float],
    ) -> None:
        self._ivrs = ivrs
        self._store = store
        self._calls = calls
        self._control = control
        self._conversations = conversations
        self._recovery = recovery
        self._now = now

    async def begin(self, tenant: str, call_id: str, state: IvrState) -> None:
        """Keep what is known before the call is answered; the same call may begin again.

        Raises:
            StoreUnavailable: the call must not be answered.
        """
        row = pack(Row(state, self._now() + CONNECT_S))
        try:
            await self._store.insert(TABLE, Entity(tenant, call_id, row))
        except EntityExists:
            logger.info("call %s: is in its IVR already", call_id)

    async def callback(self, record: CallRecord, callback: Callback) -> None:
        """ACS reports; callbacks that no flow waits for change nothing.

        Raises:
            StoreUnavailable: the delivery may be repeated.
        """
        happened = answer_of(callback)
        if happened is not None:
            await self._happened(record, callback.call_connection_id, happened)

    async def in_time(self, record: CallRecord) -> bool:
        """Whether the call's answer may still come."""
        entity = await self._store.get(TABLE, record.tenant, record.call_id)
        if entity is None:
            return False
        row = unpack(entity.values, Row)
        return row.state.phase != "over" and self._now() < row.until

    async def overdue(self, record: CallRecord) -> None:
        """Nothing has come back in time: go on as if it had failed, or end a call that cannot."""
        entity = await self._store.get(TABLE, record.tenant, record.call_id)
        state = IvrState(phase="over") if entity is None else unpack(entity.values, Row).state
        if state.phase in ("ringing", "over"):
            await self._recovery.give_up(record, "ivr_stuck")
            return
        logger.warning("call %s: no answer for %s", record.call_id, state.context)
        await self._happened(record, record.call_connection_id, Answer(state.context, Result.FAILED))

    async def _happened(self, record: CallRecord, connection_id: str, happened: Happened) -> None:
        ivr = self._ivrs.get(record.ivr)
        if ivr is None:
            logger.error("call %s: no IVR %r in patchcord.yaml any more", record.call_id, record.ivr)
            return
        for _ in range(MOST_MOVES):
            entity = await self._store.get(TABLE, record.tenant, record.call_id)
            if entity is None:
                return
            before = unpack(entity.values, Row).state
            moved = move(ivr, before, happened)
            if moved.state == before:
                return
            kept = Row(moved.state, self._now() + ASKED_S)
            row = Entity(record.tenant, record.call_id, pack(kept), entity.etag)
            try:
                etag = await self._store.replace(TABLE, row)
            except EntityChanged:
                continue
            if before.phase == "fallback":
                joined = isinstance(moved.action, Leave)
                await self._phase(record, before.context, Phase.LEFT if joined else Phase.FAILED)
            await self._tell(record, before, moved)
            if moved.action is None:
                return
            if await self._do(ivr, record, connection_id, moved.state, moved.action):
                await self._asked(Entity(row.partition, row.row, {}, etag), moved)
                return
            happened = Answer(moved.state.context, Result.FAILED)
        logger.error("call %s: the IVR does not get on", record.call_id)

    async def _asked(self, row: Entity, moved: Moved) -> None:
        """ACS has taken the request: now the answer has its time, unless it is there already."""
        patience_s = ANSWER_S if isinstance(moved.action, Speak | Ask) else MOVED_S
        kept = Row(moved.state, self._now() + patience_s)
        try:
            await self._store.replace(TABLE, Entity(row.partition, row.row, pack(kept), row.etag))
        except EntityChanged:
            return

    async def _tell(self, record: CallRecord, before: IvrState, moved: Moved) -> None:
        """The record: steps, results, and variables that anybody may see."""
        for index, visit in enumerate(moved.visits):
            data: dict[str, Json] = {"name": visit.step}
            if visit.result:
                data["result"] = visit.result
            if index == len(moved.visits) - 1 and moved.state.phase != "over":
                data["variables"] = {**moved.state.shown}
            event_id = f"ivr-{before.turn:05}-{index:02}"  # its order is that of the steps
            await self._calls.append(
                record.tenant,
                record.call_id,
                CallEvent(event_id, EventKind.IVR_STEP, self._now() + index / 1e6, data),
            )

    async def _do(
        self, ivr: Ivr, record: CallRecord, connection_id: str, state: IvrState, action: Action
    ) -> bool:
        """Ask ACS; False when it would not."""
        context = state.context
        try:
            await self._ask(ivr, record, connection_id, state, action)
        except CallGone:
            logger.info("call %s: is gone", record.call_id)
        except PatchcordError as error:
            logger.warning("call %s: %s: %s", record.call_id, type(action).__name__, error.message)
            where = record.tenant, record.call_id
            await self._calls.note(
                *where,
                f"ivr-refused-{state.turn}",
                EventKind.FAULT,
                code="ivr_refused",
                message=error.message,
            )
            if isinstance(action, TransferTo | CallIn):
                await self._phase(record, context, Phase.REFUSED)
            return False
        return True

    async def _ask(
        self, ivr: Ivr, record: CallRecord, connection_id: str, state: IvrState, action: Action
    ) -> None:
        control, context = self._control.of(record.tenant), state.context
        match action:
            case Speak(prompt=prompt):
                await control.play(connection_id, [prompt], ivr.voice, context=context)
            case Ask():
                await control.recognise(
                    connection_id,
                    record.caller,
                    action.step,
                    action.prompts,
                    voice=ivr.voice,
                    language=ivr.language,
                    context=context,
                )
            case TransferTo():
                await self._begin_handover(record, state, "blind")
                if action.headers:
                    await self._conversations.join(
                        record.tenant, state.conversation, record.call_id, state.shown
                    )
                await control.transfer(
                    connection_id,
                    action.to,
                    action.headers,
                    caller_id="" if action.headers else ivr.caller_id,
                    context=context,
                )
            case CallIn(to=to):
                await self._begin_handover(record, state, "warm")
                await control.add_participant(
                    connection_id, to, caller_id=ivr.caller_id, timeout_s=RING_S, context=context
                )
            case Leave():
                await self._hang_up(record, connection_id, "handed_over", everyone=False)
            case _:
                await self._hang_up(record, connection_id, action.reason, everyone=True)

    async def _begin_handover(self, record: CallRecord, state: IvrState, mode: str) -> None:
        """Recorded first: the caller's next call may come before ACS has answered us."""
        await self._calls.note(
            record.tenant,
            record.call_id,
            f"transfer-{state.turn}",
            EventKind.TRANSFER,
            target=state.step,
            mode=mode,
            attempt=state.context,
        )

    async def _phase(self, record: CallRecord, attempt: str, phase: Phase) -> None:
        await self._calls.note(
            record.tenant,
            record.call_id,
            f"handover-{phase.value}-{attempt}",
            EventKind.HANDOVER,
            attempt=attempt,
            phase=phase.value,
        )

    async def _hang_up(self, record: CallRecord, connection_id: str, reason: str, *, everyone: bool) -> None:
        """Recorded first, so that the callback of its end finds the reason."""
        where = record.tenant, record.call_id
        await self._calls.note(*where, "hang_up", EventKind.HANG_UP, by="system", reason=reason)
        await self._control.of(record.tenant).hang_up(connection_id, everyone=everyone)
